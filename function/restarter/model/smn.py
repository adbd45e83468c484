"""SMN's names: a topic's URN, and the addresses that its messages may hold. No I/O here.

https://support.huaweicloud.com/intl/en-us/usermanual-smn/smn_ug_a9002.html
"""

import re
from typing import Any, NamedTuple

URN = re.compile(r"urn:smn:([a-z0-9-]{1,64}):([A-Za-z0-9_-]{1,1024}):[A-Za-z0-9_-]{1,255}")
CERTIFICATE_PATH = r"/smn/SMN_[a-z0-9-]{1,64}_[0-9a-fA-F]{32}\.pem"
CONSOLE_PATH = r"/smn/subscription/confirm"
API_PATH = r"/rest/v2/notifications/subscription/confirm"
QUERY = r"\?[!-\"$-~]{1,2048}"
# Where Huawei's own console is; CALLER_SMN_DOMAINS are those of SMN itself.
CONSOLE_DOMAIN = "huaweicloud.com"


class Topic(NamedTuple):
    """Where a topic is: region and project of urn:smn:{region}:{project_id}:{name}."""

    region: str
    project_id: str


def topic_of(urn: Any) -> Topic | None:
    """The topic that a URN names; None where it is no URN of SMN."""
    match = URN.fullmatch(urn) if isinstance(urn, str) else None
    return Topic(match[1], match[2]) if match else None


def is_certificate_url(url: str, topic_urn: str, domains: tuple[str, ...]) -> bool:
    """Whether SMN keeps a certificate there: on its host in the topic's region, under the name that SMN gives it."""
    return _is_at(url, _hosts(topic_urn, domains), CERTIFICATE_PATH)


def is_confirmation_url(url: str, topic_urn: str, domains: tuple[str, ...]) -> bool:
    """Whether a GET there confirms a subscription: at a console, or at SMN's API in the topic's region."""
    consoles = [f"console.{domain}" for domain in (*domains, CONSOLE_DOMAIN)]
    return _is_at(url, consoles, CONSOLE_PATH + QUERY) or _is_at(url, _hosts(topic_urn, domains), API_PATH + QUERY)


def _hosts(topic_urn: str, domains: tuple[str, ...]) -> list[str]:
    topic = topic_of(topic_urn)
    return [f"smn.{topic.region}.{domain}" for domain in domains] if topic else []


def _is_at(url: str, hosts: list[str], rest: str) -> bool:
    """Whether a URL is https, one of the hosts to the letter, and the rest: no port, no user, no fragment."""
    return bool(hosts) and re.fullmatch(f"https://({'|'.join(map(re.escape, hosts))}){rest}", url) is not None
