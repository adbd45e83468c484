"""SMN over HTTP(S): one flat object, signed (smn_ug_a9002). No I/O here; the signature was checked before.

https://support.huaweicloud.com/intl/en-us/usermanual-smn/smn_ug_a9002.html
"""

import re
from typing import Any

from restarter.dialects.parsing import Decoded, DecodeOptions, ParsedDelivery, Subscription, identifier
from restarter.dialects.payload import shown
from restarter.dialects.smn_message import read_notice
from restarter.model.errors import Malformed
from restarter.model.outcome import Reason
from restarter.model.request import Ignored

NAME = "smn"
# Where Huawei's own console is; the domains in the settings are those of SMN itself.
CONSOLE_DOMAIN = "huaweicloud.com"


def recognises(parsed: ParsedDelivery) -> bool:
    """Type, topic and signature stand in the body; the headers of the same names may be anybody's."""
    document = parsed.document
    return isinstance(document, dict) and {"type", "topic_urn", "signature"} <= document.keys()


def decode(parsed: ParsedDelivery, options: DecodeOptions) -> list[Decoded]:
    """A notification is an event; a topic that asks for a confirmation gets one if SMN itself signed the question."""
    document = parsed.document
    message_id = _identified(document)
    if document["type"] == "Notification":
        _check_fields(document, message_id)
        return [read_notice(document, NAME, options, by_smn=parsed.authenticated.authenticated_by == NAME)]
    if document["type"] != "SubscriptionConfirmation":  # of the others none is an event; no URL in them is followed
        return [Ignored(reason=Reason.SMN_TYPE, dialect=NAME, event_id=message_id)]
    if parsed.authenticated.authenticated_by != NAME:
        return [Ignored(reason=Reason.SUBSCRIPTION_NOT_SIGNED, dialect=NAME, event_id=message_id)]
    url = document.get("subscribe_url")
    if not isinstance(url, str) or not is_confirmation_url(url, document["topic_urn"], options.smn_domains):
        raise Malformed("subscribe_url: not an address of SMN", dialect=NAME, event_id=message_id)
    _check_fields(document, message_id)
    return [Subscription(url=url, dialect=NAME, event_id=message_id)]


def _identified(document: dict[str, Any]) -> str:
    try:
        return identifier(document.get("message_id"), "message_id")
    except Malformed as error:
        raise Malformed(error.reason, dialect=NAME) from None


def _check_fields(document: dict[str, Any], message_id: str) -> None:
    """Check that the fields can be told apart: SMN signs their lines, one after the other.

    Raises:
        Malformed: A field but `message` has a line break, or there is no time.
    """
    for name, value in document.items():
        if name != "message" and isinstance(value, str) and ("\n" in value or "\r" in value):
            raise Malformed(f"{shown(name)}: has a line break", dialect=NAME, event_id=message_id)
    if document.get("timestamp") is None:
        raise Malformed("timestamp: must be given", dialect=NAME, event_id=message_id)


def is_confirmation_url(url: str, topic_urn: str, domains: tuple[str, ...]) -> bool:
    """Whether the URL is the console's or the API's confirmation: https, no port, no user, no fragment."""
    region = topic_urn.split(":")[2]
    consoles = "|".join(re.escape(f"console.{domain}") for domain in (*domains, CONSOLE_DOMAIN))
    apis = "|".join(re.escape(f"smn.{region}.{domain}") for domain in domains)
    return (
        re.fullmatch(
            rf"https://(({consoles})/smn/subscription/confirm|({apis})/rest/v2/notifications/subscription/confirm)"
            r"\?[!-\"$-~]{1,2048}",
            url,
        )
        is not None
    )
