"""Authentication without a network: what SMN signs, which addresses are SMN's, whose certificate counts, and when."""

import asyncio
import json
import time
from base64 import b64encode
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, SHA512
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate, load_pem_x509_certificates
from standardwebhooks import Webhook

import signers
from example import BEARER, PROJECT, settings
from restarter.callers import bearer, configured_authenticators, smn_certificates, smn_signature, standard_webhooks
from restarter.http.call import Answer, Call, NoAnswer
from restarter.http.transport import Transport
from restarter.model.delivery import Delivery, DeliveryContext
from restarter.model.errors import AuthenticationUnavailable
from restarter.model.outcome import Reason
from restarter.model.smn import is_certificate_url, is_confirmation_url
from restarter.settings.errors import SettingsError
from restarter.settings.model import load
from signers import CERTIFICATE_URL, CONFIRM_URL, TOPIC, certificate, key_set, rsa_key, sign_smn, smn_message

SAMPLES = Path(__file__).parent / "synthetic_smn"
PEM = SAMPLES / "SMN_cn-north-4_00000000000000000000000000000001.pem"
EXPIRED = SAMPLES / "SMN_cn-north-4_00000000000000000000000000000002_expired.pem"
GOOD = sorted(path.stem for path in SAMPLES.glob("*.json") if not path.stem.startswith("bad_"))
SIGNED = sorted(path.stem for path in SAMPLES.glob("*.string_to_sign"))
CERTIFICATE = load_pem_x509_certificate(PEM.read_bytes())
THEN = CERTIFICATE.not_valid_before_utc + timedelta(days=1)
VERSION = bytes.fromhex("a003020102")  # the third, as each certificate says in DER
DOMAINS = ("myhuaweicloud.com", "myhuaweicloud.eu", "myhuaweicloud.cn")


class Host(Transport):
    """SMN's host: answers every call alike, and remembers where they went."""

    def __init__(self, answer: Answer | NoAnswer) -> None:
        super().__init__()
        self.answer = answer
        self.asked: list[str] = []

    async def send(self, call: Call, headers: Mapping[str, str], seconds: float) -> Answer | NoAnswer:
        """Nothing but the address may go there."""
        assert (call.method, call.content, dict(headers), dict(call.headers)) == ("GET", b"", {}, {})
        assert 0 < seconds <= 2
        self.asked.append(call.url)
        return self.answer


def sample(name: str) -> dict[str, str]:
    message: dict[str, str] = json.loads((SAMPLES / f"{name}.json").read_text("utf-8"))
    return message


def context(received_at: datetime = THEN) -> DeliveryContext:
    return DeliveryContext(received_at, 0.0, float("inf"))


def pinned(pem: bytes, folder: Path, host: Transport | None = None) -> smn_signature.Smn:
    """SMN's authenticator with its certificate in a file."""
    path = written(folder / "smn.pem", pem)
    nobody = Host(NoAnswer(sent=False, reason=Reason.NO_CONNECTION))
    return smn_signature.Smn(settings(caller_smn_topics=TOPIC, caller_smn_certificate=path), host or nobody)


def fetching(host: Transport) -> smn_signature.Smn:
    """SMN's authenticator with the certificate of SMN's host."""
    return smn_signature.Smn(settings(caller_smn_topics=TOPIC), host)


def written(path: Path, content: str | bytes) -> str:
    """The name of a file with that content."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def covered(way: smn_signature.Smn, message: Any, received_at: datetime = THEN) -> Any:
    """The authenticated part of a message, read as JSON; None if nothing does."""
    delivery = Delivery("POST", "/", {"x-smn-topic-urn": TOPIC}, json.dumps(message).encode())
    found = asyncio.run(way.authenticate(delivery, context(received_at)))
    assert found is None or not found.delivery.headers
    return None if found is None else json.loads(found.delivery.body)


# What SMN signs


@pytest.mark.parametrize("name", SIGNED)
def test_the_string_to_sign_is_the_one_that_was_signed(name: str) -> None:
    text = (SAMPLES / f"{name}.string_to_sign").read_bytes()
    assert smn_signature.strings_to_sign(sample(name))[0] == text
    assert signers.string_to_sign(sample(name)) == text


def test_each_type_that_is_signed_has_a_sample() -> None:
    assert {sample(name)["type"] for name in SIGNED} == set(smn_signature.SIGNED)


def test_an_empty_subject_may_be_signed_or_left_out() -> None:
    """It is looked for in the signed text first, and left out then."""
    with_it, without = smn_signature.strings_to_sign(sample("notification_empty_subject_signed_without"))
    assert b"\nsubject\n\ntimestamp\n" in with_it
    assert without == with_it.replace(b"subject\n\n", b"")


@pytest.mark.parametrize("name", ["notification", "notification_no_subject", "subscription_confirmation"])
def test_all_else_has_one_form_only(name: str) -> None:
    assert len(smn_signature.strings_to_sign(sample(name))) == 1


@pytest.mark.parametrize("name", GOOD)
def test_a_good_sample_is_proved_by_the_pinned_certificate(name: str, tmp_path: Path) -> None:
    host = Host(NoAnswer(sent=False, reason=Reason.NO_CONNECTION))
    message = sample(name)
    found = covered(pinned(PEM.read_bytes(), tmp_path, host), message)
    unsigned = {"signature_version", "signing_cert_url", "unsubscribe_url"}
    assert found == {field: value for field, value in message.items() if field not in unsigned}
    assert not host.asked


@pytest.mark.parametrize("name", GOOD)
def test_a_good_sample_is_proved_by_the_certificate_of_smns_host(name: str) -> None:
    host = Host(Answer(200, PEM.read_bytes()))
    message = sample(name)
    assert covered(fetching(host), message)
    assert host.asked == [message["signing_cert_url"]]


@pytest.mark.parametrize("name", ["bad_tampered_message", "bad_sha1_signature"])
def test_a_bad_sample_is_not_proved(name: str, tmp_path: Path) -> None:
    assert covered(pinned(PEM.read_bytes(), tmp_path), sample(name)) is None


def test_nothing_is_fetched_from_elsewhere() -> None:
    """Its signature is good: with the certificate pinned it would get in."""
    host = Host(Answer(200, PEM.read_bytes()))
    assert covered(fetching(host), sample("bad_cert_host")) is None
    assert not host.asked


@pytest.mark.parametrize("field", ["message", "message_id", "subject", "timestamp", "topic_urn", "type"])
@pytest.mark.parametrize(
    "change", [lambda value: value + " ", lambda value: "", lambda value: None, lambda value: [value]]
)
def test_a_sample_with_any_signed_field_changed_is_not_proved(field: str, change: Any, tmp_path: Path) -> None:
    message: dict[str, Any] = sample("notification")
    assert covered(pinned(PEM.read_bytes(), tmp_path), message | {field: change(message[field])}) is None


@pytest.mark.parametrize("kind", ["SubscriptionConfirmation", "UnsubscribeConfirmation"])
def test_the_address_in_a_confirmation_is_signed(kind: str, tmp_path: Path) -> None:
    key = rsa_key("smn")
    way = pinned(certificate(key), tmp_path)
    message = sign_smn(smn_message(kind), key)
    now = datetime.now(UTC)
    assert covered(way, message, now)
    assert covered(way, message | {"subscribe_url": f"{CONFIRM_URL}1"}, now) is None
    assert covered(way, {name: value for name, value in message.items() if name != "subscribe_url"}, now) is None


def test_only_what_was_signed_is_proved(tmp_path: Path) -> None:
    """Beside the fields of a genuine message anybody could put a request of his own."""
    added = {"task_id": 1, "specversion": "1.0", "httpMethod": "POST", "requestContext": {}, "body": "{}", "record": []}
    found = covered(pinned(PEM.read_bytes(), tmp_path), sample("notification") | added)
    assert set(found) == {"message", "message_id", "subject", "timestamp", "topic_urn", "type", "signature"}


@pytest.mark.parametrize(
    "how",
    [
        {"padding": PSS(MGF1(SHA256()), 32)},
        {"digest": SHA1()},  # noqa: S303  # it must not get in
        {"digest": SHA512()},
        {"text": b""},
    ],
    ids=["pss", "sha1", "sha512", "nothing"],
)
def test_a_signature_of_another_kind_is_none(how: dict[str, Any], tmp_path: Path) -> None:
    key, now = rsa_key("smn"), datetime.now(UTC)
    way = pinned(certificate(key), tmp_path)
    assert covered(way, sign_smn(smn_message(), key), now)
    assert covered(way, sign_smn(smn_message(), key, **how), now) is None


# Whose certificate counts, and when


@pytest.mark.parametrize("place", ["file", "host"])
def test_a_certificate_counts_from_its_first_second_to_its_last(place: str, tmp_path: Path) -> None:
    pem, second = PEM.read_bytes(), timedelta(seconds=1)
    way = pinned(pem, tmp_path) if place == "file" else fetching(Host(Answer(200, pem)))
    first, last = CERTIFICATE.not_valid_before_utc, CERTIFICATE.not_valid_after_utc
    times = (first - second, first, last, last + second)
    found = [covered(way, sample("notification"), received_at) is not None for received_at in times]
    assert found == [False, True, True, False]


def test_an_expired_certificate_in_the_file(tmp_path: Path) -> None:
    """It proves nothing alone, and does no harm beside a good one."""
    expired, good = EXPIRED.read_bytes(), PEM.read_bytes()
    assert covered(pinned(expired, tmp_path), sample("notification")) is None
    assert covered(pinned(expired, tmp_path), sample("notification"), datetime(2015, 6, 1, tzinfo=UTC))
    assert covered(pinned(expired + good, tmp_path), sample("notification"))
    assert covered(pinned(certificate(rsa_key("other")) + good, tmp_path), sample("notification"))


def test_a_certificate_of_another_key_proves_nothing(tmp_path: Path) -> None:
    way = pinned(certificate(rsa_key("other")), tmp_path)
    assert covered(way, sign_smn(smn_message(), rsa_key("smn")), datetime.now(UTC)) is None


def odd_certificates() -> dict[str, bytes]:
    """Certificates that load, and whose key is none of RSA, or none that anybody knows."""
    curve = certificate(ec.generate_private_key(ec.SECP256R1()))
    known = bytes.fromhex("2a8648ce3d030107")
    der = _der(curve)
    assert known in der
    rsa = _der(certificate(rsa_key("smn")))
    modulus = rsa_key("smn").public_key().public_numbers().n.to_bytes(256, "big")
    return {
        "elliptic curve": curve,
        "unknown curve": _pem(der.replace(known, known[:-1] + b"\x7f")),
        "even exponent": _pem(rsa.replace(modulus + b"\x02\x03\x01\x00\x01", modulus + b"\x02\x03\x01\x00\x02")),
    }


def _der(pem: bytes) -> bytes:
    return load_pem_x509_certificate(pem).public_bytes(Encoding.DER)


def _pem(der: bytes) -> bytes:
    return b"-----BEGIN CERTIFICATE-----\n" + b64encode(der) + b"\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize("name", ["elliptic curve", "unknown curve", "even exponent"])
def test_a_certificate_of_no_rsa_key_proves_nothing(name: str, tmp_path: Path) -> None:
    pem = odd_certificates()[name]
    assert len(smn_certificates.read(pem)) == 1
    way = pinned(pem, tmp_path)
    assert covered(way, sign_smn(smn_message(), rsa_key("smn")), datetime.now(UTC)) is None


def test_what_is_no_certificate_is_read_as_none() -> None:
    der = _der(PEM.read_bytes())
    assert VERSION in der
    for pem in (
        b"",
        b"\xff",
        b"<html>",
        PEM.read_bytes()[:-100],
        _pem(der[:-1]),
        _pem(der.replace(VERSION, VERSION[:-1] + b"\x09")),
    ):
        assert smn_certificates.read(pem) == []


def url_of(number: int) -> str:
    """The address of one of many certificates."""
    return CERTIFICATE_URL.replace("0123456789abcdef0123456789abcdef", f"{number:032x}")


def test_names_that_smn_does_not_have_make_room_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Strangers can invent any number of them, and must not put a certificate out of the cache."""
    monkeypatch.setattr(smn_certificates, "MAX_NAMES", 4)
    host = Host(Answer(200, PEM.read_bytes()))
    kept = smn_certificates.Certificates(settings(caller_smn_topics=TOPIC), host)

    async def ask(*numbers: int) -> list[int]:
        host.asked.clear()
        for number in numbers:
            with suppress(AuthenticationUnavailable):
                await kept.find(url_of(number), TOPIC, context())
        return [int(url[-36:-4], 16) for url in host.asked]

    assert asyncio.run(ask(1, 2, 1, 2)) == [1, 2]
    host.answer = Answer(404, b"")
    assert asyncio.run(ask(*range(10, 20), 1, 2, 18, 19)) == list(range(10, 20))
    host.answer = Answer(200, PEM.read_bytes())
    assert asyncio.run(ask(3, 4, 5, 2, 3, 4, 5)) == [3, 4, 5]
    assert asyncio.run(ask(1)) == [1]


@pytest.mark.parametrize("status", [400, 403, 404])
def test_a_name_that_smn_does_not_have_is_asked_for_once_a_minute(status: int) -> None:
    """SMN may have it later: its messages are to come again."""
    host = Host(Answer(status, PEM.read_bytes()))
    way = fetching(host)
    for seconds, asked in ((0, 1), (60, 1), (61, 2), (0, 3), (0, 3)):
        with pytest.raises(AuthenticationUnavailable):
            covered(way, sample("notification"), THEN + timedelta(seconds=seconds))
        assert len(host.asked) == asked
    host.answer = Answer(200, PEM.read_bytes())
    assert covered(way, sample("notification"), THEN + timedelta(seconds=122))


def test_a_certificate_that_has_expired_is_fetched_again() -> None:
    """SMN may renew it at the same address; one that is expired as it comes is asked for once a minute."""
    key, now = rsa_key("smn"), datetime.now(UTC)
    soon = now + timedelta(seconds=4)
    host = Host(Answer(200, certificate(key, valid_to=soon)))
    way, message = fetching(host), sign_smn(smn_message(), key)
    for seconds, is_proved, asked in ((0, True, 1), (3, True, 1), (5, False, 2), (6, False, 2), (66, False, 3)):
        found = covered(way, message, now + timedelta(seconds=seconds))
        assert (found is not None, len(host.asked)) == (is_proved, asked)
    host.answer = Answer(200, certificate(key))
    assert covered(way, message, now + timedelta(seconds=127))
    assert covered(way, message, now + timedelta(seconds=128))
    assert len(host.asked) == 4


class SlowHost(Host):
    """SMN's host: knows one certificate, and takes its time for whatever it is asked."""

    def __init__(self, seconds: float, url: str) -> None:
        super().__init__(Answer(404, b""))
        self.seconds, self.url = seconds, url

    async def send(self, call: Call, headers: Mapping[str, str], seconds: float) -> Answer | NoAnswer:
        """The certificate, or none of that name."""
        answer = await super().send(call, headers, seconds)
        await asyncio.sleep(self.seconds)
        return Answer(200, PEM.read_bytes()) if call.url == self.url else answer


async def outcomes(kept: smn_certificates.Certificates, urls: list[str], deadline: float) -> list[str]:
    """For each address whether a delivery that has so many seconds finds a certificate there; all ask together."""

    async def ask(url: str) -> str:
        ours = DeliveryContext(THEN, 0.0, time.monotonic() + deadline)
        try:
            return "found" if await kept.find(url, TOPIC, ours) else "none"
        except AuthenticationUnavailable:
            return "unavailable"

    return await asyncio.gather(*map(ask, urls))


def test_a_fetch_is_shared_and_no_other_name_waits_for_it() -> None:
    host = SlowHost(0.05, url_of(0))
    kept = smn_certificates.Certificates(settings(caller_smn_topics=TOPIC), host)
    urls = [url_of(number) for number in (*range(1, 40), 0, 0, 0)]
    begun = time.monotonic()
    found = asyncio.run(outcomes(kept, urls, 4.5))
    assert found == ["unavailable"] * 39 + ["found"] * 3
    assert len(host.asked) == 40
    assert time.monotonic() - begun < 1  # one after the other they would take two seconds


def test_the_names_in_flight_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smn_certificates, "MAX_FETCHES", 8)
    host = SlowHost(0.02, url_of(0))
    kept = smn_certificates.Certificates(settings(caller_smn_topics=TOPIC), host)
    assert set(asyncio.run(outcomes(kept, [url_of(number) for number in range(1, 50)], 4.5))) == {"unavailable"}
    assert len(host.asked) == 8
    assert asyncio.run(outcomes(kept, [url_of(0)], 4.5)) == ["found"]


def test_each_delivery_waits_until_its_own_deadline() -> None:
    """Deliveries share a fetch, not the time that they have."""
    host = SlowHost(0.2, url_of(0))
    kept = smn_certificates.Certificates(settings(caller_smn_topics=TOPIC), host)

    async def both() -> tuple[list[str], list[str]]:
        return await asyncio.gather(outcomes(kept, [url_of(0)], 4.5), outcomes(kept, [url_of(0)], 0.05))

    first, second = asyncio.run(both())
    assert (first, second) == (["found"], ["unavailable"])
    assert len(host.asked) == 1


@pytest.mark.parametrize(
    "answer",
    [
        NoAnswer(sent=False, reason=Reason.NO_CONNECTION),
        NoAnswer(sent=True, reason=Reason.TIMEOUT),
        Answer(302, PEM.read_bytes()),
        Answer(206, PEM.read_bytes()),
        Answer(500, PEM.read_bytes()),
        Answer(503, b""),
        Answer(200, b""),
        Answer(200, None),
        Answer(200, b"<html></html>"),
        Answer(200, PEM.read_bytes() + b"\n" * (16 * 1024 - len(PEM.read_bytes()) + 1)),
    ],
)
def test_without_the_certificate_the_question_is_open(answer: Answer | NoAnswer) -> None:
    """A certificate that could not be fetched proves nothing, and refutes nothing."""
    with pytest.raises(AuthenticationUnavailable, match=r"^smn: the certificate could not be fetched$"):
        covered(fetching(Host(answer)), sample("notification"))


def test_a_certificate_may_have_16_kib() -> None:
    pem = PEM.read_bytes()
    assert covered(fetching(Host(Answer(200, pem + b"\n" * (16 * 1024 - len(pem))))), sample("notification"))


# Which addresses are SMN's

ANOTHER = "SMN_cn-north-4_0123456789abcdef0123456789abcdef.pem"
OTHER_CERTIFICATES = [
    CERTIFICATE_URL.replace("smn.cn-north-4.", "smn.cn-north-1."),
    CERTIFICATE_URL.replace("smn.cn-north-4.", "smn."),
    CERTIFICATE_URL.replace("smn.cn-north-4.", "smn.cn-north-4x."),
    CERTIFICATE_URL.replace("smn.cn-north-4.", "obs.cn-north-4."),
    CERTIFICATE_URL.replace("smn.cn-north-4.", "bucket.obs.cn-north-4."),
    CERTIFICATE_URL.replace("smn.cn-north-4.", "console."),
    CERTIFICATE_URL.replace("myhuaweicloud.com", "myhuaweicloud.org"),
    CERTIFICATE_URL.replace("myhuaweicloud.com", "huaweicloud.com"),
    CERTIFICATE_URL.replace("myhuaweicloud.com", "myhuaweicloud.com.cn"),
    f"{CERTIFICATE_URL}?",
    f"{CERTIFICATE_URL}?x=1",
    CERTIFICATE_URL.replace(ANOTHER, "SMN_.pem"),
    CERTIFICATE_URL.replace(ANOTHER, "SMN_a.b.pem"),
    CERTIFICATE_URL.replace(ANOTHER, "SMN_a/b.pem"),
    CERTIFICATE_URL.replace(ANOTHER, "SMN_a/../b.pem"),
    CERTIFICATE_URL.replace(ANOTHER, "SMN_a%2fb.pem"),
    CERTIFICATE_URL.replace(ANOTHER, "SMN_é.pem"),
    CERTIFICATE_URL.replace(ANOTHER, "SMN_a.pem.txt"),
    CERTIFICATE_URL.replace(ANOTHER, "SMN_a.PEM"),
    CERTIFICATE_URL.replace(ANOTHER, "SMN_axpem"),
    CERTIFICATE_URL.replace(ANOTHER, "smn_a.pem"),
    CERTIFICATE_URL.replace(ANOTHER, "OBS_a.pem"),
    CERTIFICATE_URL.replace("0123456789abcdef0", "123456789abcdef0"),
    CERTIFICATE_URL.replace("0123456789abcdef0", "00123456789abcdef0"),
    CERTIFICATE_URL.replace("0123456789abcdef0", "g123456789abcdef0"),
    CERTIFICATE_URL.replace("SMN_cn-north-4_", "SMN_"),
    CERTIFICATE_URL.replace("SMN_cn-north-4_", "SMN__"),
    CERTIFICATE_URL.replace("SMN_cn-north-4_", "SMN_cn_north_4_"),
    CERTIFICATE_URL.replace("SMN_cn-north-4_", f"SMN_{'a' * 65}_"),
    CERTIFICATE_URL.replace("/smn/", "/"),
    CERTIFICATE_URL.replace("/smn/", "/obs/"),
    CONFIRM_URL,
]


@pytest.mark.usefixtures("unmeasured")
@pytest.mark.parametrize("url", [*signers.look_alikes(CERTIFICATE_URL), *OTHER_CERTIFICATES], ids=ascii)
def test_an_address_that_only_looks_like_smns_certificate_is_none(url: str) -> None:
    assert url != CERTIFICATE_URL
    assert not is_certificate_url(url, TOPIC, DOMAINS)


@pytest.mark.parametrize(
    ("url", "region"),
    [
        (CERTIFICATE_URL, "cn-north-4"),
        (f"https://smn.cn-north-9.myhuaweicloud.com/smn/SMN_cn-north-9_{'0' * 32}.pem", "cn-north-9"),
        (f"https://smn.eu-west-101.myhuaweicloud.eu/smn/SMN_eu-west-101_{'f' * 32}.pem", "eu-west-101"),
        (f"https://smn.cn-north-2.myhuaweicloud.cn/smn/SMN_cn-north-2_{'A' * 32}.pem", "cn-north-2"),
    ],
)
def test_the_certificates_of_smn_are_found_in_the_region_of_the_topic(url: str, region: str) -> None:
    assert is_certificate_url(url, f"urn:smn:{region}:{PROJECT}:t", DOMAINS)
    assert not is_certificate_url(url, f"urn:smn:la-south-2:{PROJECT}:t", DOMAINS)


OTHER_CONFIRMATIONS = [
    CONFIRM_URL.partition("?")[0],
    CONFIRM_URL.partition("?")[0] + "?",
    CONFIRM_URL.replace("/confirm", "/unsubscribe"),
    CONFIRM_URL.replace("/smn/subscription/confirm", "/rest/v2/notifications/subscription/confirm"),
    CONFIRM_URL.replace("/smn/subscription/confirm", "/"),
    CONFIRM_URL.replace("console.huaweicloud.com", "huaweicloud.com"),
    CONFIRM_URL.replace("console.huaweicloud.com", "console.cn-north-4.huaweicloud.com"),
    CONFIRM_URL.replace("console.huaweicloud.com", "auth.huaweicloud.com"),
    CONFIRM_URL.replace("console.huaweicloud.com", "smn.cn-north-4.myhuaweicloud.com"),
    CONFIRM_URL.replace("console.huaweicloud.com", "console.partner.example"),
    f"{CONFIRM_URL}&x=\u00e9",
    f"{CONFIRM_URL}&x= ",
    f"{CONFIRM_URL}&x=#",
    f"{CONFIRM_URL}&x=\r\nX-Auth-Token:%20a",
    CONFIRM_URL.partition("?")[0] + "?" + "x" * 2049,
    "https://oms.cn-north-4.myhuaweicloud.com/v2/p/tasks/1/start?x=1",
    CERTIFICATE_URL,
]
API_CONFIRM_URL = (
    f"https://smn.cn-north-4.myhuaweicloud.com/rest/v2/notifications/subscription/confirm?topic_urn={TOPIC}&token=0"
)
OTHER_API_CONFIRMATIONS = [
    API_CONFIRM_URL.replace("cn-north-4.my", "cn-north-1.my"),
    API_CONFIRM_URL.replace("smn.cn-north-4.", "smn."),
    API_CONFIRM_URL.replace("smn.cn-north-4.", "console."),
    API_CONFIRM_URL.replace("myhuaweicloud.com", "huaweicloud.com"),
    API_CONFIRM_URL.replace("/rest/v2/notifications/", "/smn/"),
]


@pytest.mark.usefixtures("unmeasured")
@pytest.mark.parametrize(
    "url",
    [
        *signers.look_alikes(CONFIRM_URL),
        *OTHER_CONFIRMATIONS,
        *signers.look_alikes(API_CONFIRM_URL),
        *OTHER_API_CONFIRMATIONS,
    ],
    ids=ascii,
)
def test_an_address_that_only_looks_like_smns_confirmation_is_none(url: str) -> None:
    assert url not in (CONFIRM_URL, API_CONFIRM_URL)
    assert not is_confirmation_url(url, TOPIC, DOMAINS)


@pytest.mark.parametrize(
    "url",
    [
        CONFIRM_URL,
        API_CONFIRM_URL,
        API_CONFIRM_URL.replace(".com", ".eu"),
        *(CONFIRM_URL.replace("huaweicloud.com", domain) for domain in DOMAINS),
        CONFIRM_URL.partition("?")[0] + "?" + "x" * 2048,
    ],
)
def test_the_confirmations_of_console_and_api_are_found(url: str) -> None:
    assert is_confirmation_url(url, TOPIC, DOMAINS)


def test_the_domains_of_a_partner_cloud_replace_those_of_huawei() -> None:
    partner = ("cloud.example",)
    for url in (CERTIFICATE_URL.replace("myhuaweicloud.com", "cloud.example"),):
        assert is_certificate_url(url, TOPIC, partner)
        assert not is_certificate_url(url, TOPIC, DOMAINS)
        assert not is_certificate_url(url.replace("cloud.example", "cloudxexample"), TOPIC, partner)
    for url in (
        API_CONFIRM_URL.replace("myhuaweicloud.com", "cloud.example"),
        CONFIRM_URL.replace("huaweicloud.com", "cloud.example"),
    ):
        assert is_confirmation_url(url, TOPIC, partner)
        assert not is_confirmation_url(url, TOPIC, DOMAINS)
        assert not is_confirmation_url(url.replace("cloud.example", "cloudxexample"), TOPIC, partner)
    assert not is_certificate_url(CERTIFICATE_URL, TOPIC, partner)
    assert not is_confirmation_url(API_CONFIRM_URL, TOPIC, partner)


# Tokens and secrets


def proved(
    way: bearer.Bearer | standard_webhooks.StandardWebhook, headers: dict[str, str], body: bytes = b"{}"
) -> bool:
    delivery = Delivery("POST", "/", headers, body)
    found = asyncio.run(way.authenticate(delivery, context()))
    assert found is None or found.delivery.body == delivery.body
    return found is not None


def test_a_token_in_any_script_is_compared_and_not_stumbled_over() -> None:
    """Inside an APIG event a header can hold any character."""
    way = bearer.Bearer(settings())
    assert proved(way, {"authorization": f"bEaReR  {BEARER} "})
    for token in ("\u2603", "\u00e9", BEARER + "\u2603", BEARER[:-1], BEARER + BEARER[-1], BEARER.upper(), ""):
        assert not proved(way, {"authorization": f"Bearer {token}"})
    assert not proved(way, {})


VECTOR, VECTOR_TIME = '{"test": 2432232314}', 1614265330  # as the library's authors publish them


def test_the_vector_of_standard_webhooks_is_signed_as_its_authors_do() -> None:
    signed = signers.webhook_headers(VECTOR, timestamp=VECTOR_TIME)
    assert signed == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": str(VECTOR_TIME),
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    by_library = Webhook(signers.WEBHOOK_SECRET).sign(
        "msg_p5jXN8AQM9LWM0D4loKWxJek", datetime.fromtimestamp(VECTOR_TIME, UTC), VECTOR
    )
    assert signed["webhook-signature"] == by_library


def test_the_vector_itself_is_too_old_to_get_in() -> None:
    way = standard_webhooks.StandardWebhook(settings(caller_webhook_secrets=signers.WEBHOOK_SECRET))
    body = VECTOR.encode()
    assert proved(way, signers.webhook_headers(body), body)
    assert not proved(way, signers.webhook_headers(body, timestamp=VECTOR_TIME), body)


# Settings


WAYS: list[tuple[dict[str, object], list[str]]] = [
    ({}, ["bearer"]),
    ({"caller_webhook_secrets": signers.WEBHOOK_SECRET}, ["bearer", "webhook"]),
    ({"caller_smn_topics": TOPIC}, ["bearer", "smn"]),
    ({"caller_oidc_audience": "a", "caller_oidc_emails": "a@b"}, ["bearer", "oidc"]),
    ({"caller_trust_platform": True}, ["bearer", "platform"]),
    ({"caller_bearer_tokens": (), "caller_smn_topics": TOPIC}, ["smn"]),
]


@pytest.mark.parametrize(("changes", "names"), WAYS)
def test_only_configured_methods_authenticate(changes: dict[str, object], names: list[str]) -> None:
    assert [method.name for method in configured_authenticators(settings(**changes), Transport())] == names


def secret_of(size: int) -> str:
    return "whsec_" + b64encode(b"k" * size).decode()


LOADS: list[dict[str, str]] = [
    {"CALLER_BEARER_TOKENS": "x" * 24},
    {"CALLER_BEARER_TOKENS": f"{'x' * 24},{'y' * 16384},"},
    {"CALLER_WEBHOOK_SECRETS": signers.WEBHOOK_SECRET},
    {"CALLER_WEBHOOK_SECRETS": f"{secret_of(24)}, {secret_of(64)}"},
    {"CALLER_WEBHOOK_SECRETS": secret_of(25).rstrip("=")},
    {"CALLER_SMN_TOPICS": f"{TOPIC}, urn:smn:la-south-2:p:t"},
    {"CALLER_SMN_TOPICS": TOPIC, "CALLER_SMN_DOMAINS": "cloud.example,a-b.cloud.example"},
    {"CALLER_OIDC_AUDIENCE": "a", "CALLER_OIDC_EMAILS": "a@b, c@d"},
    {"CALLER_ORIGINS": "Eventgrid.example,*,127.0.0.1:80"},
]


@pytest.mark.parametrize("changes", LOADS)
def test_these_settings_of_callers_load(changes: dict[str, str], environment: pytest.MonkeyPatch) -> None:
    environment.delenv("CALLER_BEARER_TOKENS")
    for name, value in ({"CALLER_TRUST_PLATFORM": "true"} | changes).items():
        environment.setenv(name, value)
    loaded = load()
    for name, value in changes.items():
        found = getattr(loaded, name.lower())
        assert found == value or len(found) == len([part for part in value.split(",") if part])


BAD: list[tuple[dict[str, str], str]] = [
    ({"CALLER_BEARER_TOKENS": "x" * 23}, "each token needs 24"),
    ({"CALLER_BEARER_TOKENS": f"{'x' * 24}, {'y' * 23}"}, "each token needs 24"),
    ({"CALLER_BEARER_TOKENS": "x" * 16385}, "may have 16384 characters"),
    ({"CALLER_BEARER_TOKENS": "x" * 12 + " " + "x" * 12}, "printable ASCII"),
    ({"CALLER_BEARER_TOKENS": "x" * 24 + "\u00e9"}, "printable ASCII"),
    ({"CALLER_WEBHOOK_SECRETS": "whsec_"}, "whsec_ and the base64"),
    ({"CALLER_WEBHOOK_SECRETS": secret_of(23)}, "whsec_ and the base64"),
    ({"CALLER_WEBHOOK_SECRETS": secret_of(65)}, "whsec_ and the base64"),
    ({"CALLER_WEBHOOK_SECRETS": secret_of(32)[6:]}, "whsec_ and the base64"),
    ({"CALLER_WEBHOOK_SECRETS": secret_of(32).upper()}, "whsec_ and the base64"),
    ({"CALLER_WEBHOOK_SECRETS": "whpk_" + secret_of(32)[6:]}, "whsec_ and the base64"),
    ({"CALLER_WEBHOOK_SECRETS": secret_of(32) + "A"}, "whsec_ and the base64"),
    ({"CALLER_WEBHOOK_SECRETS": "whsec_" + "-_" * 16}, "whsec_ and the base64"),
    ({"CALLER_WEBHOOK_SECRETS": "whsec_" + "\u00e9" * 32}, "whsec_ and the base64"),
    ({"CALLER_WEBHOOK_SECRETS": f"{secret_of(32)},{secret_of(8)}"}, "whsec_ and the base64"),
    ({"CALLER_SMN_TOPICS": "oms-failed"}, "each topic must be like"),
    ({"CALLER_SMN_TOPICS": "*"}, "each topic must be like"),
    ({"CALLER_SMN_TOPICS": f"{TOPIC}:1"}, "each topic must be like"),
    ({"CALLER_SMN_TOPICS": TOPIC.replace("urn:smn:", "urn:oms:")}, "each topic must be like"),
    ({"CALLER_SMN_TOPICS": TOPIC.replace("cn-north-4", "cn.north|4")}, "each topic must be like"),
    ({"CALLER_SMN_TOPICS": TOPIC.replace("cn-north-4", "")}, "each topic must be like"),
    ({"CALLER_SMN_TOPICS": f"{TOPIC},urn:smn:cn-north-4:*:t"}, "each topic must be like"),
    ({"CALLER_SMN_TOPICS": TOPIC, "CALLER_SMN_DOMAINS": "https://cloud.example"}, "each must be a domain"),
    ({"CALLER_SMN_TOPICS": TOPIC, "CALLER_SMN_DOMAINS": "*.cloud.example"}, "each must be a domain"),
    ({"CALLER_SMN_TOPICS": TOPIC, "CALLER_SMN_DOMAINS": ".*"}, "each must be a domain"),
    ({"CALLER_SMN_TOPICS": TOPIC, "CALLER_SMN_DOMAINS": "com"}, "each must be a domain"),
    ({"CALLER_SMN_TOPICS": TOPIC, "CALLER_SMN_DOMAINS": "Cloud.example"}, "each must be a domain"),
    ({"CALLER_SMN_TOPICS": TOPIC, "CALLER_SMN_DOMAINS": "cloud.example:443"}, "each must be a domain"),
    ({"CALLER_SMN_TOPICS": TOPIC, "CALLER_SMN_DOMAINS": "-cloud.example"}, "each must be a domain"),
    ({"CALLER_OIDC_AUDIENCE": "a", "CALLER_OIDC_EMAILS": "anybody"}, "each must be the address"),
    ({"CALLER_OIDC_AUDIENCE": "a", "CALLER_OIDC_EMAILS": "a b@c"}, "each must be the address"),
    ({"CALLER_OIDC_AUDIENCE": "a", "CALLER_OIDC_EMAILS": "a@b@c"}, "each must be the address"),
    ({"CALLER_ORIGINS": "https://sender.example"}, "each must be a host"),
    ({"CALLER_ORIGINS": "*.example"}, "each must be a host"),
    ({"CALLER_TRUST_PLATFORM": "cloud-run"}, "true or false"),
]


@pytest.mark.parametrize(("changes", "fault"), BAD)
def test_a_bad_setting_of_a_caller_is_named_and_its_value_is_not(
    changes: dict[str, str], fault: str, environment: pytest.MonkeyPatch
) -> None:
    for name, value in changes.items():
        environment.setenv(name, value)
    found = faults()
    assert len(found) == 1
    assert found[0].startswith(f"{list(changes)[-1]}: ")
    assert fault in found[0]
    assert all(len(value) < 8 or value not in found[0] for value in changes.values())


def faults() -> list[str]:
    with pytest.raises(SettingsError) as error:
        load()
    return error.value.messages


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"CALLER_OIDC_AUDIENCE": "a"}, "CALLER_OIDC_EMAILS: required with CALLER_OIDC_AUDIENCE"),
        ({"CALLER_OIDC_EMAILS": "a@b"}, "CALLER_OIDC_AUDIENCE: required with CALLER_OIDC_EMAILS"),
    ],
)
def test_an_audience_needs_accounts_and_accounts_an_audience(
    changes: dict[str, str], fault: str, environment: pytest.MonkeyPatch
) -> None:
    for name, value in changes.items():
        environment.setenv(name, value)
    assert faults() == [fault]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"CALLER_SMN_CERTIFICATE": str(PEM)},
        {"CALLER_SMN_DOMAINS": "cloud.example"},
        {"CALLER_ORIGINS": "*"},
        {"CALLER_TRUST_PLATFORM": "false"},
        {"CALLER_SMN_TOPICS": ", ,"},
        {"CALLER_WEBHOOK_SECRETS": ","},
    ],
)
def test_settings_without_an_authentication_method_do_not_load(
    changes: dict[str, str], environment: pytest.MonkeyPatch
) -> None:
    environment.delenv("CALLER_BEARER_TOKENS")
    for name, value in changes.items():
        environment.setenv(name, value)
    assert faults() == [
        "CALLER_BEARER_TOKENS: no authentication method is configured; set this or another CALLER_ setting"
    ]


@pytest.mark.parametrize("changes", [{"CALLER_SMN_TOPICS": TOPIC}, {"CALLER_WEBHOOK_SECRETS": signers.WEBHOOK_SECRET}])
def test_one_authentication_method_is_enough(changes: dict[str, str], environment: pytest.MonkeyPatch) -> None:
    environment.delenv("CALLER_BEARER_TOKENS")
    for name, value in changes.items():
        environment.setenv(name, value)
    load()


BAD_FILES: list[tuple[str, bytes]] = [
    ("CALLER_SMN_CERTIFICATE", b""),
    ("CALLER_SMN_CERTIFICATE", b"\xff\xfe"),
    ("CALLER_SMN_CERTIFICATE", b"<html></html>"),
    ("CALLER_SMN_CERTIFICATE", PEM.read_bytes()[:200]),
    ("CALLER_SMN_CERTIFICATE", PEM.read_bytes().replace(b"CERTIFICATE", b"PRIVATE KEY")),
    ("CALLER_OIDC_KEYS", json.dumps({"keys": [{"kty": "RSA", "kid": "k", "n": "xQ", "e": "AQAB"}]}).encode()),
    ("CALLER_OIDC_KEYS", b""),
    ("CALLER_OIDC_KEYS", b"\xff"),
    ("CALLER_OIDC_KEYS", b"[]"),
    ("CALLER_OIDC_KEYS", b"7"),
    ("CALLER_OIDC_KEYS", b"{}"),
    ("CALLER_OIDC_KEYS", b'{"keys": []}'),
    ("CALLER_OIDC_KEYS", b'{"keys": 7}'),
    ("CALLER_OIDC_KEYS", b'{"keys": [7]}'),
    ("CALLER_OIDC_KEYS", b'{"keys": [{"kty": "RSA"}]}'),
    ("CALLER_OIDC_KEYS", PEM.read_bytes()),
]


@pytest.mark.parametrize(("name", "content"), BAD_FILES)
def test_a_file_of_a_caller_is_checked_at_start(
    name: str, content: bytes, tmp_path: Path, environment: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "file", content)
    environment.setenv(name, path)
    (fault,) = faults()
    assert fault.startswith(f"{name}: must be a ")
    assert path not in fault


@pytest.mark.parametrize("content", [PEM.read_bytes(), EXPIRED.read_bytes() + PEM.read_bytes()])
def test_certificates_are_read_at_start(content: bytes, tmp_path: Path, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("CALLER_SMN_CERTIFICATE", written(tmp_path / "smn.pem", content))
    assert load().caller_smn_certificate == tuple(load_pem_x509_certificates(content))


def test_a_key_set_of_google_is_read_at_start(tmp_path: Path, environment: pytest.MonkeyPatch) -> None:
    text = json.dumps(key_set(rsa_key("google")))
    environment.setenv("CALLER_OIDC_KEYS", written(tmp_path / "keys", text))
    found = load().caller_oidc_keys
    assert found is not None
    assert [key.key_id for key in found.keys] == [key["kid"] for key in json.loads(text)["keys"]]


@pytest.mark.parametrize("name", ["CALLER_SMN_CERTIFICATE", "CALLER_OIDC_KEYS"])
@pytest.mark.parametrize("path", ["no/such/file", "."])
def test_a_file_that_cannot_be_read_is_named_by_its_setting(
    name: str, path: str, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv(name, path)
    assert faults() == [f"{name}: must be a readable file"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("CALLER_OIDC_KEYS", b'{"keys": [{"kty": "RSA", "alg": "none"}]}'),
        ("CALLER_OIDC_KEYS", b'{"keys": [{"kty": "RSA", "alg": ["RS256"]}]}'),
        ("CALLER_OIDC_KEYS", b"[" * 20_000),
        ("CALLER_SMN_CERTIFICATE", _pem(_der(PEM.read_bytes()).replace(VERSION, VERSION[:-1] + b"\x09"))),
    ],
    ids=["none", "list", "nested", "version"],
)
def test_an_odd_file_of_a_caller_is_named_too(
    name: str, content: bytes, tmp_path: Path, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv(name, written(tmp_path / "file", content))
    (fault,) = faults()
    assert fault.startswith(f"{name}: must be a ")
