"""Authenticates by SMN's own signature, for the configured topics. Only `smn_certificates` does I/O.

Rule: https://support.huaweicloud.com/intl/en-us/usermanual-smn/smn_ug_a9003.html
«name and value of each field, each followed by a newline, in alphabetical order»; RSA PKCS #1 v1.5 with SHA-256.
"""

from base64 import b64decode
from typing import TYPE_CHECKING

from pydantic_core import to_json

from restarter.callers.smn_certificates import Certificates
from restarter.http.transport import Sender
from restarter.model.delivery import AuthenticatedDelivery, Delivery, DeliveryContext
from restarter.model.json_text import read_json
from restarter.settings.model import Settings

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

NOTIFICATION = ("message", "message_id", "subject", "timestamp", "topic_urn", "type")
CONFIRMATION = ("message", "message_id", "subscribe_url", "timestamp", "topic_urn", "type")
SIGNED = {
    "Notification": NOTIFICATION,
    "SubscriptionConfirmation": CONFIRMATION,
    "UnsubscribeConfirmation": CONFIRMATION,
}


class Smn:
    """Accepts messages that SMN signed for a configured topic. Anybody can have a topic, and SMN signs for all."""

    name = "smn"

    def __init__(self, settings: Settings, transport: Sender) -> None:
        self._topics = frozenset(settings.caller_smn_topics)
        self._certificates = Certificates(settings, transport)

    def applies_to(self, delivery: Delivery) -> bool:
        """Whether the body looks like a signed message. Headers are not signed, so they are not read."""
        return b'"signature"' in delivery.body and b'"topic_urn"' in delivery.body

    async def authenticate(self, delivery: Delivery, context: DeliveryContext) -> AuthenticatedDelivery | None:
        """The signed fields, if the signature is valid and the topic is configured.

        The topic is checked first, so that nothing is fetched for another topic. Headers and unsigned fields are
        dropped: anybody could add them to a genuine message.
        """
        message = _text_fields(delivery.body)
        topic = message.get("topic_urn", "")
        if topic not in self._topics or message.get("type") not in SIGNED or not is_unambiguous(message):
            return None
        certificates = await self._certificates.find(message.get("signing_cert_url", ""), topic, context)
        is_valid = any(_signature_valid(message, certificate) for certificate in certificates)
        return AuthenticatedDelivery(_signed_part(delivery, message), self.name) if is_valid else None


def is_unambiguous(message: dict[str, str]) -> bool:
    """Whether the signed text can be split into these fields in only one way.

    There each name and each value is a line, so a value of several lines could imitate further fields. Only `message`,
    which comes first, may have several lines, and the fields after it must be present.
    """
    single_lines = [message.get(name, "") for name in SIGNED[message["type"]] if name != "message"]
    return bool(message.get("message_id") and message.get("timestamp")) and not any(
        "\n" in value or "\r" in value for value in single_lines
    )


def strings_to_sign(message: dict[str, str]) -> list[bytes]:
    """The texts that SMN may have signed: one of Huawei's samples leaves out an empty subject, two keep it."""
    present = [name for name in SIGNED[message["type"]] if name in message]
    forms = [present]
    if message.get("subject") == "":
        forms.append([name for name in present if name != "subject"])
    return ["".join(f"{name}\n{message[name]}\n" for name in names).encode() for names in forms]


def _signed_part(delivery: Delivery, message: dict[str, str]) -> Delivery:
    names = (*SIGNED[message["type"]], "signature")
    return Delivery(
        delivery.method, delivery.path, {}, to_json({name: message[name] for name in names if name in message})
    )


def _signature_valid(message: dict[str, str], certificate: "Certificate") -> bool:
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm  # noqa: PLC0415  # heavy, for SMN alone
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415

    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return False
    if not isinstance(key, RSAPublicKey):
        return False
    for text in strings_to_sign(message):
        try:
            key.verify(b64decode(message.get("signature", ""), validate=True), text, PKCS1v15(), SHA256())
        except (InvalidSignature, ValueError):
            continue
        return True
    return False


def _text_fields(body: bytes) -> dict[str, str]:
    """The fields of a message that are strings, as all of SMN's are; empty if the body is not a JSON object."""
    try:
        document = read_json(body)
    except ValueError:
        return {}
    if not isinstance(document, dict):
        return {}
    return {name: value for name, value in document.items() if isinstance(value, str)}
