"""Deliveries signed as their senders do: SMN, Standard Webhooks, Google. Keys are made at run time; nothing is real.

Nothing of the function is used here, so what it lets in was signed by somebody who only read the senders' rules.

    body = json.dumps(sign_smn(smn_message(message='{"task_id": 1}'), rsa_key("smn")))
    pem = certificate(rsa_key("smn"))       # for CALLER_SMN_CERTIFICATE, or what SMN's host answers
    headers = webhook_headers(body)         # signed now, with WEBHOOK_SECRET
    token = id_token(rsa_key("google"))     # for «Authorization: Bearer …»
    keys = key_set(rsa_key("google"))       # for CALLER_OIDC_KEYS, or what Google answers

A change that is None takes the field, header or claim away.
"""

import hashlib
import hmac
import json
import time
from base64 import b64decode, b64encode, urlsafe_b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import AsymmetricPadding, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256, HashAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding

from example import PROJECT, TASK

TOPIC = f"urn:smn:cn-north-4:{PROJECT}:oms-failed"
CERTIFICATE_URL = "https://smn.cn-north-4.myhuaweicloud.com/smn/SMN_cn-north-4_0123456789abcdef0123456789abcdef.pem"
CONFIRM_URL = (
    "https://console.huaweicloud.com/smn/subscription/confirm"
    f"?token=0000000000000000&topic_urn={TOPIC}&region=cn-north-4&region_id=cn-north-4"
)
WEBHOOK_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # of the example in standard-webhooks 1.0.0
AUDIENCE = "https://service.example.run.app"
EMAIL = "pusher@my-project.iam.gserviceaccount.com"
KEY_ID = "key-1"

SIGNED = {
    "Notification": ("message", "message_id", "subject", "timestamp", "topic_urn", "type"),
    "SubscriptionConfirmation": ("message", "message_id", "subscribe_url", "timestamp", "topic_urn", "type"),
    "UnsubscribeConfirmation": ("message", "message_id", "subscribe_url", "timestamp", "topic_urn", "type"),
}


@cache
def rsa_key(name: str) -> RSAPrivateKey:
    """The RSA key of that name: made when first asked for, and the same for the whole process."""
    return generate_private_key(public_exponent=65537, key_size=2048)


def certificate(
    key: RSAPrivateKey | EllipticCurvePrivateKey,
    *,
    valid_from: datetime | None = None,
    valid_to: datetime | None = None,
) -> bytes:
    """A self-signed certificate of the key in PEM, valid from yesterday to tomorrow."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "smn test certificate")])
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(valid_from or now - timedelta(days=1))
        .not_valid_after(valid_to or now + timedelta(days=1))
        .sign(key, SHA256())
        .public_bytes(Encoding.PEM)
    )


def smn_message(kind: str = "Notification", **changes: Any) -> dict[str, Any]:
    """A message of SMN over HTTPS as smn_ug_a9002 shows it, not signed yet."""
    fields = {
        "type": kind,
        "topic_urn": TOPIC,
        "message_id": "a51671f77d4a479cacb09e2cd591a983",
        "timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "message": json.dumps({"task_id": TASK, "task_status": "FAILED"}),
        "signature_version": "v1",
        "signing_cert_url": CERTIFICATE_URL,
    }
    if kind == "Notification":
        unsubscribe = f"https://console.huaweicloud.com/smn/subscription/unsubscribe?subscription_urn={TOPIC}:1"
        fields |= {"subject": "OMS", "unsubscribe_url": unsubscribe}
    else:
        fields |= {"subscribe_url": CONFIRM_URL}
    return _changed(fields, changes)


def string_to_sign(message: dict[str, Any]) -> bytes:
    """What SMN signs (smn_ug_a9003): name and value of each field that is there, each followed by a newline."""
    names = SIGNED.get(message["type"], SIGNED["Notification"])
    return "".join(f"{name}\n{message[name]}\n" for name in names if name in message).encode()


def sign_smn(
    message: dict[str, Any],
    key: RSAPrivateKey,
    *,
    text: bytes | None = None,
    padding: AsymmetricPadding | None = None,
    digest: HashAlgorithm | None = None,
) -> dict[str, Any]:
    """The message with its signature; of another text, or made in another way, for those that must not get in."""
    signed = string_to_sign(message) if text is None else text
    signature = key.sign(signed, padding or PKCS1v15(), digest or SHA256())
    return message | {"signature": b64encode(signature).decode()}


def webhook_headers(
    body: str | bytes,
    secret: str = WEBHOOK_SECRET,
    *,
    message_id: str = "msg_p5jXN8AQM9LWM0D4loKWxJek",
    timestamp: float | None = None,
    **changes: str | None,
) -> dict[str, str]:
    """The three headers of Standard Webhooks; `changes` are of single ones afterwards: id, timestamp, signature."""
    seconds = str(int(time.time() if timestamp is None else timestamp))
    raw = body.encode() if isinstance(body, str) else body
    key = b64decode(secret.removeprefix("whsec_"))
    mac = hmac.digest(key, f"{message_id}.{seconds}.".encode() + raw, hashlib.sha256)
    headers = {"id": message_id, "timestamp": seconds, "signature": f"v1,{b64encode(mac).decode()}"}
    return {f"webhook-{name}": value for name, value in _changed(headers, changes).items()}


def id_token(key: RSAPrivateKey, *, header: dict[str, Any] | None = None, **changes: Any) -> str:
    """An ID token as Google makes one for a service account (RS256), with changes to its claims and its header."""
    now = int(time.time())
    claims = {
        "aud": AUDIENCE,
        "azp": "113774264463038321964",
        "email": EMAIL,
        "email_verified": True,
        "exp": now + 3600,
        "iat": now,
        "iss": "https://accounts.google.com",
        "sub": "113774264463038321964",
    }
    first = _changed({"alg": "RS256", "kid": KEY_ID, "typ": "JWT"}, header or {})
    return compact(first, _changed(claims, changes), lambda text: key.sign(text, PKCS1v15(), SHA256()))


def compact(header: Any, claims: Any, sign: Callable[[bytes], bytes]) -> str:
    """Any header and claims as a JWT, with any signature; what is bytes already goes in as it is."""
    text = ".".join(
        _base64url(part if isinstance(part, bytes) else json.dumps(part).encode()) for part in (header, claims)
    )
    return f"{text}.{_base64url(sign(text.encode()))}"


def key_set(*keys: RSAPrivateKey, **named: RSAPrivateKey) -> dict[str, Any]:
    """A JSON Web Key Set of public keys: those without a name have the id KEY_ID."""
    return {"keys": [_public(key, KEY_ID) for key in keys] + [_public(key, name) for name, key in named.items()]}


def _public(key: RSAPrivateKey, kid: str) -> dict[str, str]:
    numbers = key.public_key().public_numbers()
    modulus, exponent = (_base64url(n.to_bytes((n.bit_length() + 7) // 8, "big")) for n in (numbers.n, numbers.e))
    return {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid, "n": modulus, "e": exponent}


def _base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _changed(fields: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in (fields | changes).items() if value is not None}


def six_look_alikes(url: str) -> list[str]:
    """Six of them, of each kind at least one, without those that are two lines: SMN's signature covers one line."""
    several = [one for one in look_alikes(url) if not {"\n", "\r"} & set(one)]
    return several[:: -(-len(several) // 6)]


def look_alikes(url: str) -> list[str]:
    """Addresses that somebody may take for this `https` one, and must not: none of them is it."""
    host, _, rest = url.removeprefix("https://").partition("/")
    path, mark, query = rest.partition("?")
    after = mark + query
    first, _, domain = host.partition(".")
    hosts = [
        *(f"{host}.evil.example", f"evil.example/{host}", f"evil{host}", f"evil.{host}", f"{first}.evil.{domain}"),
        *(
            f"{first}{domain}",
            f"{first}-{domain}",
            f"{first}.{domain}m",
            f"{first}.{domain[:-1]}",
            f"{host}.",
            f".{host}",
        ),
        *(f"user@{host}", f"user:word@{host}", f"@{host}", f"{host}@evil.example", f"evil.example\\@{host}"),
        *(f"{host}\\@evil.example", f"{host}\\.evil.example", f"evil.example#@{host}", f"evil.example?@{host}"),
        *(f"{host}#.evil.example", f"{host}?.evil.example", f"{host}%2f.evil.example", f"{host}%00.evil.example"),
        *(f"{host}:443", f"{host}:8443", f"{host}:0", f"{host}:", f"{host}:443@evil.example"),
        *(
            host.upper(),
            host.title(),
            host.replace(".", "%2e"),
            host.replace(".", "%2E", 1),
            host.replace(".", "\u3002"),
        ),
        *(host.replace("o", "\u043e"), host.replace("o", "\u00ba"), host.replace("u", "\uff55"), f"\u200b{host}"),
        *(
            host.replace(".", "\u00ad.", 1),
            host.replace(".", "\n.", 1),
            host.replace(".", "\t.", 1),
            f" {host}",
            f"{host} ",
        ),
        *("127.0.0.1", "169.254.169.254", "[::1]", "2130706433", "0x7f.1", "localhost", "", "example.com"),
        *(host.replace(".", "x", 1), host.replace(".", "x"), f"{host}\x00", f"{host}\r\nHost:%20{host}"),
    ]
    paths = [
        *(f"/{path}", f"./{path}", f"x/../{path}", f"%2e%2e/{path}", f"../{path}", path.upper(), path.title()),
        *(path.replace("/", "//"), path.replace("/", "%2f"), path.replace("/", "\\"), path.replace("/", "/\n")),
        *(
            f"{path}/",
            f"{path}/..",
            f"{path};x",
            f"{path}%00",
            f"{path}\x00",
            f"{path}%0a",
            f"{path}.",
            f"{path}\u00e9",
        ),
        *(f"{path}%23", f"{path}%3f", f"x{path}", f"x/{path}", f"%{ord(path[0]):x}{path[1:]}", path[:-1], ""),
    ]
    schemes = [
        *("http://", "HTTPS://", "https:/", "https:", "//", "", "https:\\\\", "https:///", " https://", "\nhttps://"),
        *("ftp://", "file://", "wss://", "javascript://", "https+http://", "https://https://", "view-source:https://"),
    ]
    return [
        *(f"https://{other}/{rest}" for other in hosts),
        *(f"https://{host}/{other}{after}" for other in paths),
        *(f"{scheme}{host}/{rest}" for scheme in schemes),
        *(f"{url}{end}" for end in ("\n", "\r\n", " ", "\t", "\x01", "#", "#fragment", "\u00e8", "\u2028", "\x7f")),
        *(f"{url}\nhttps://evil.example/", f"https://evil.example/\n{url}", f"https://evil.example/?{url}", ""),
    ]
