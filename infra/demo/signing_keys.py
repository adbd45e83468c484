"""Keys for one run of the demo, and how SMN, Google and senders of webhooks sign with them. They open nothing else.

It shares no code with what it tests, so that a signature both agree on is right.
"""

import hashlib
import hmac
import json
import os
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import jwt
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from jwt.algorithms import RSAAlgorithm

from example_settings import PROJECT

TOPIC = f"urn:smn:cn-north-4:{PROJECT}:oms-failed"
AUDIENCE = "https://restarter.example"
ACCOUNT = "pusher@example-project.iam.gserviceaccount.com"
KEY_ID = "demo"
# smn_ug_a9003: a notification may lack its subject, and only questions have a subscribe_url.
SMN_FIELDS = ("message", "message_id", "subject", "subscribe_url", "timestamp", "topic_urn", "type")


@dataclass(frozen=True)
class Signer:
    """One set of keys."""

    rsa: RSAPrivateKey
    secret: bytes

    def webhook(self, message_id: str, timestamp: str, body: bytes) -> str:
        """Standard Webhooks 1.0.0: HMAC-SHA256 over id.timestamp.body."""
        text = f"{message_id}.{timestamp}.".encode() + body
        return "v1," + b64encode(hmac.digest(self.secret, text, hashlib.sha256)).decode()

    def smn(self, message: Mapping[str, str]) -> str:
        """Each field's name and value, a newline after each; RSA PKCS #1 v1.5 with SHA-256."""
        text = "".join(f"{name}\n{message[name]}\n" for name in SMN_FIELDS if name in message)
        return b64encode(self.rsa.sign(text.encode(), PKCS1v15(), SHA256())).decode()

    def id_token(self, claims: Mapping[str, object]) -> str:
        """A JWT as Google makes it."""
        return jwt.encode(dict(claims), self.rsa, algorithm="RS256", headers={"kid": KEY_ID})


@dataclass(frozen=True)
class SigningKeys:
    """The senders' keys, those of somebody else, and the settings that make the function take the former."""

    sender: Signer
    stranger: Signer
    settings: Mapping[str, str]


@contextmanager
def signing_keys() -> Iterator[SigningKeys]:
    """Keys that last as long as the block, with the public halves in files for the function."""
    sender = _signer()
    with TemporaryDirectory() as folder:
        certificate, key_set = Path(folder, "smn.pem"), Path(folder, "google.json")
        certificate.write_bytes(_certificate(sender.rsa))
        key_set.write_text(_key_set(sender.rsa), "ascii")
        settings = {
            "CALLER_WEBHOOK_SECRETS": "whsec_" + b64encode(sender.secret).decode(),
            "CALLER_SMN_TOPICS": TOPIC,
            "CALLER_SMN_CERTIFICATE": str(certificate),
            "CALLER_OIDC_AUDIENCE": AUDIENCE,
            "CALLER_OIDC_EMAILS": ACCOUNT,
            "CALLER_OIDC_KEYS": str(key_set),
        }
        yield SigningKeys(sender, _signer(), settings)


def _signer() -> Signer:
    return Signer(generate_private_key(public_exponent=65537, key_size=2048), os.urandom(32))


def _certificate(key: RSAPrivateKey) -> bytes:
    """Self-signed, and valid for a day around now."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "smn.example")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    dated = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    return dated.sign(key, SHA256()).public_bytes(Encoding.PEM)


def _key_set(key: RSAPrivateKey) -> str:
    public = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return json.dumps({"keys": [public | {"kid": KEY_ID, "alg": "RS256", "use": "sig"}]})
