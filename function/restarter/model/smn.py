"""SMN's topic URNs, and the URLs that its messages may contain. No I/O here.

https://support.huaweicloud.com/intl/en-us/usermanual-smn/smn_ug_a9002.html
"""

import re
from typing import Any, NamedTuple

URN = re.compile(r"urn:smn:([a-z0-9-]{1,64}):([A-Za-z0-9_-]{1,1024}):[A-Za-z0-9_-]{1,255}")
CERTIFICATE_PATH = r"/smn/SMN_[a-z0-9-]{1,64}_[0-9a-fA-F]{32}\.pem"
CONSOLE_PATH = r"/smn/subscription/confirm"
API_PATH = r"/rest/v2/notifications/subscription/confirm"
QUERY = r"\?[!-\"$-~]{1,2048}"
# The domain of Huawei's own console; CALLER_SMN_DOMAINS are the domains of SMN itself.
CONSOLE_DOMAIN = "huaweicloud.com"


class Topic(NamedTuple):
    """The region and project in a topic's URN, urn:smn:{region}:{project_id}:{name}."""

    region: str
    project_id: str


def topic_of(urn: Any) -> Topic | None:
    """The topic that a URN names; None if it is not a URN of SMN."""
    match = URN.fullmatch(urn) if isinstance(urn, str) else None
    return Topic(match[1], match[2]) if match else None


def is_certificate_url(url: str, topic_urn: str, domains: tuple[str, ...]) -> bool:
    """Whether the URL is one of an SMN certificate: SMN's host in the topic's region, and a path of SMN's form."""
    return _is_at(url, _hosts(topic_urn, domains), CERTIFICATE_PATH)


def is_confirmation_url(url: str, topic_urn: str, domains: tuple[str, ...]) -> bool:
    """Whether a GET of the URL confirms a subscription: at a console, or at SMN's API in the topic's region."""
    consoles = [f"console.{domain}" for domain in (*domains, CONSOLE_DOMAIN)]
    return _is_at(url, consoles, CONSOLE_PATH + QUERY) or _is_at(url, _hosts(topic_urn, domains), API_PATH + QUERY)


def _hosts(topic_urn: str, domains: tuple[str, ...]) -> list[str]:
    topic = topic_of(topic_urn)
    return [f"smn.{topic.region}.{domain}" for domain in domains] if topic else []


def _is_at(url: str, hosts: list[str], rest: str) -> bool:
    """Whether a URL is https, has exactly one of `hosts` (no port, no user), then matches the pattern `rest`."""
    return bool(hosts) and re.fullmatch(f"https://({'|'.join(map(re.escape, hosts))}){rest}", url) is not None
