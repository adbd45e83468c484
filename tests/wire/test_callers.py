"""Authentication at the real entry point: who gets in, who does not, what is fetched, how little the response says.

pytest-httpx fails each test here in which anybody is called who was not expected: OMS, or a host that is not SMN's.
"""

import asyncio
import hashlib
import hmac
import json
import math
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any, NamedTuple

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, SHA384, SHA512, HashAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pytest_httpx import HTTPXMock

from example import BEARER, PROJECT, TASK, shown
from function_client import SHOW, START, Function
from signers import (
    AUDIENCE,
    CERTIFICATE_URL,
    CONFIRM_URL,
    EMAIL,
    KEY_ID,
    TOPIC,
    WEBHOOK_SECRET,
    certificate,
    compact,
    id_token,
    key_set,
    rsa_key,
    sign_smn,
    six_look_alikes,
    smn_message,
    string_to_sign,
    webhook_headers,
)

KEYS_URL = "https://www.googleapis.com/oauth2/v3/certs"
OTHER_SECRET = "whsec_" + b64encode(b"another secret, of 32 bytes.....").decode()
# Let in, and ignored: OMS is not asked.
DONE = json.dumps({"task_id": TASK, "task_status": "SUCCESS"})
# Let in, it would start a task.
CALL = json.dumps({"task_id": TASK})
EVENT = {"ce-specversion": "1.0", "ce-type": "oms.task.start", "ce-source": "/x", "ce-id": "1"}

Make = Callable[..., Function]


@pytest.fixture(scope="module")
def pinned(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Certificate and keys in files: nothing is fetched."""
    pem, keys = (tmp_path_factory.mktemp("pinned") / name for name in ("smn.pem", "keys.json"))
    pem.write_bytes(certificate(rsa_key("smn")))
    keys.write_text(json.dumps(key_set(rsa_key("google"))))
    return {"CALLER_SMN_CERTIFICATE": str(pem), "CALLER_OIDC_KEYS": str(keys)}


EVERY_WAY = {
    "CALLER_WEBHOOK_SECRETS": WEBHOOK_SECRET,
    "CALLER_SMN_TOPICS": TOPIC,
    "CALLER_OIDC_AUDIENCE": AUDIENCE,
    "CALLER_OIDC_EMAILS": EMAIL,
}


@pytest.fixture
def function(make_function: Make, pinned: dict[str, str]) -> Function:
    """The function with every authentication method but the platform's."""
    return make_function(**EVERY_WAY, **pinned)


@pytest.fixture
def fetching(make_function: Make) -> Function:
    """The same, with certificate and keys to be fetched."""
    return make_function(**EVERY_WAY)


@pytest.fixture(scope="module")
def pinned_app(start_once: Callable[..., Any], pinned: dict[str, str]) -> Any:
    return start_once(**EVERY_WAY, **pinned)


@pytest.fixture(scope="module")
def fetching_app(start_once: Callable[..., Any]) -> Any:
    return start_once(**EVERY_WAY)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def google(**changes: Any) -> dict[str, str]:
    """The header with an ID token of Google's."""
    return bearer(id_token(rsa_key("google"), **changes))


def signed(kind: str = "Notification", **changes: Any) -> dict[str, Any]:
    """A message that SMN signed."""
    return sign_smn(smn_message(kind, **changes), rsa_key("smn"))


def done(**changes: Any) -> dict[str, Any]:
    """A message that SMN signed, about a task that needs nothing."""
    return signed(message=DONE, **changes)


def refused(function: Function, reply: httpx.Response, tried: str) -> None:
    """Nobody learns more than which way was tried, and the operator gets one line."""
    assert reply.status_code == 401
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.headers["www-authenticate"] == "Bearer"
    assert reply.json() == {
        "type": "about:blank",
        "title": "Unauthorized",
        "status": 401,
        "detail": f"The caller was not authenticated: {tried}",
        "outcome": "unauthenticated",
        "reason": tried,
    }
    receipt = function.receipt()
    assert receipt.keys() <= {"time", "severity", "message", "outcome", "reason", "start_called", "duration_ms"}
    assert (receipt["severity"], receipt["outcome"], receipt["reason"]) == ("WARNING", "unauthenticated", tried)


def unreachable(function: Function, reply: httpx.Response, reason: str) -> None:
    """The sender is to come again."""
    assert reply.status_code == 503
    assert int(reply.headers["retry-after"]) > 0
    assert reply.json()["reason"] == reason
    assert (function.receipt()["outcome"], reply.json()["outcome"]) == ("unavailable", "unavailable")


def let_in(function: Function, reply: httpx.Response) -> None:
    """What came in was ignored for what it says, not for who says it."""
    assert reply.status_code in (200, 204)
    receipt = function.receipt()
    assert (receipt["outcome"], receipt["reason"]) == ("ignored", "task_succeeded")


def at_once(function: Function, *deliveries: tuple[dict[str, str], str]) -> list[int]:
    """The statuses of deliveries that are under way together."""

    async def send() -> list[httpx.Response]:
        transport = httpx.ASGITransport(function.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://function") as client:
            return await asyncio.gather(
                *(client.post("/", headers=headers, content=body) for headers, body in deliveries)
            )

    return [reply.status_code for reply in asyncio.run(send())]


def slowly(**answer: Any) -> Callable[[httpx.Request], Any]:
    """An answer that takes its time."""

    async def callback(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0.03)
        return httpx.Response(200, **answer)

    return callback


# Each authentication method, from the request to the start


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        (partial(bearer, BEARER), lambda: CALL, 200),
        (partial(webhook_headers, CALL), lambda: CALL, 200),
        (dict, lambda: json.dumps(signed()), 204),
        (google, lambda: CALL, 200),
        (lambda: google() | EVENT, lambda: CALL, 204),
        (lambda: webhook_headers(CALL) | bearer("x" * 24), lambda: CALL, 200),
    ],
    ids=["bearer", "webhook", "smn", "oidc", "oidc with an event", "one way of two"],
)
def test_each_way_leads_to_one_start(
    headers: Callable[[], dict[str, str]],
    body: Callable[[], str],
    status: int,
    function: Function,
    httpx_mock: HTTPXMock,
) -> None:
    httpx_mock.add_response(url=SHOW, json=shown())
    httpx_mock.add_response(method="POST", url=START)
    reply = function.request("POST", headers=headers(), content=body())
    assert (reply.status_code, function.receipt()["outcome"]) == (status, "started")


def test_what_the_platform_has_proved_needs_no_proof(make_function: Make) -> None:
    function = make_function(CALLER_BEARER_TOKENS=None, CALLER_TRUST_PLATFORM="true")
    let_in(function, function.request("POST", content=DONE))
    let_in(function, function.request("POST", content=DONE, headers=bearer("anything.at.all")))


def test_a_way_that_is_not_open_is_not_tried(make_function: Make) -> None:
    function = make_function(CALLER_BEARER_TOKENS=None, CALLER_WEBHOOK_SECRETS=WEBHOOK_SECRET)
    for headers, body in [(google(), CALL), (bearer(BEARER), CALL), ({}, json.dumps(signed())), ({}, CALL)]:
        refused(function, function.request("POST", headers=headers, content=body), "no credentials")


def test_platform_trust_said_off_is_no_trust(make_function: Make) -> None:
    function = make_function(CALLER_TRUST_PLATFORM="false")
    refused(function, function.request("POST", "/invoke", content=CALL), "no credentials")


# A bearer's token


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_each_of_two_tokens_gets_in(scheme: str, make_function: Make) -> None:
    second = "second-of-two-tokens-0002"
    function = make_function(CALLER_BEARER_TOKENS=f"{BEARER},{second}")
    for token in (BEARER, second):
        let_in(function, function.request("POST", content=DONE, headers={"Authorization": f"{scheme} {token}"}))
    refused(function, function.request("POST", content=CALL, headers=bearer(f"{BEARER},{second}")), "bearer")


# Standard Webhooks


def test_each_of_two_secrets_gets_in(make_function: Make) -> None:
    function = make_function(CALLER_WEBHOOK_SECRETS=f"{OTHER_SECRET},{WEBHOOK_SECRET}")
    for secret in (WEBHOOK_SECRET, OTHER_SECRET):
        let_in(function, function.request("POST", content=DONE, headers=webhook_headers(DONE, secret)))


def test_one_good_signature_of_several_gets_in(function: Function) -> None:
    """A sender that rotates its secret signs with both."""
    signed_at = int(time.time())
    headers = webhook_headers(DONE, timestamp=signed_at)
    good = headers["webhook-signature"]
    other = webhook_headers(DONE, OTHER_SECRET, timestamp=signed_at)["webhook-signature"]
    for several in (f"{other} {good}", f"{good} {other}", f"v1a,{good[3:]} {good}"):
        let_in(function, function.request("POST", content=DONE, headers=headers | {"webhook-signature": several}))


@pytest.mark.parametrize(("seconds", "gets_in"), [(299, True), (302, False)])
def test_a_signature_is_good_for_five_minutes_before_and_after(
    seconds: int,
    gets_in: bool,  # noqa: FBT001  # a column of the table
    function: Function,
) -> None:
    past = (math.ceil if gets_in else math.floor)(time.time()) - seconds
    headers = webhook_headers(DONE, timestamp=past)
    reply = function.request("POST", content=DONE, headers=headers)
    let_in(function, reply) if gets_in else refused(function, reply, "webhook")
    future = (math.floor if gets_in else math.ceil)(time.time()) + seconds
    reply = function.request("POST", content=DONE, headers=webhook_headers(DONE, timestamp=future))
    let_in(function, reply) if gets_in else refused(function, reply, "webhook")


def test_the_id_of_a_signed_call_is_its_event_id(function: Function) -> None:
    function.request("POST", content=DONE, headers=webhook_headers(DONE, message_id="msg_1"))
    assert function.receipt()["event_id"] == "msg_1"


# The certificates of SMN


def test_the_certificate_is_fetched_once_for_many_messages(fetching: Function, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(method="GET", url=CERTIFICATE_URL, content=certificate(rsa_key("smn")))
    for _ in range(3):
        let_in(fetching, fetching.request("POST", content=json.dumps(done())))
    refused(fetching, fetching.request("POST", content=json.dumps(done() | {"message": CALL})), "smn")
    (fetch,) = httpx_mock.get_requests()
    assert not fetch.content
    assert not {"authorization", "x-auth-token", "cookie", "x-project-id"} & set(fetch.headers)


def test_messages_that_come_together_wait_for_one_certificate(fetching: Function, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_callback(slowly(content=certificate(rsa_key("smn"))), url=CERTIFICATE_URL)
    assert at_once(fetching, *[({}, json.dumps(done()))] * 8) == [204] * 8
    assert len(httpx_mock.get_requests()) == 1


def test_another_certificate_is_fetched_beside_the_first(fetching: Function, httpx_mock: HTTPXMock) -> None:
    other_url = CERTIFICATE_URL.replace("0123456789abcdef0", "fedcba98765432100")
    httpx_mock.add_response(url=CERTIFICATE_URL, content=certificate(rsa_key("smn")))
    httpx_mock.add_response(url=other_url, content=certificate(rsa_key("other")))
    other = sign_smn(smn_message(message=DONE, signing_cert_url=other_url), rsa_key("other"))
    for message in (done(), other, done(), other):
        let_in(fetching, fetching.request("POST", content=json.dumps(message)))
    swapped = done() | {"signing_cert_url": other_url}
    refused(fetching, fetching.request("POST", content=json.dumps(swapped)), "smn")


UNREACHABLE: dict[str, dict[str, Any]] = {
    "redirect": {"status_code": 302, "headers": {"Location": "https://evil.example/x.pem"}},
    "redirect within": {"status_code": 301, "headers": {"Location": CERTIFICATE_URL.replace("_0", "_f")}},
    "internal error": {"status_code": 500},
    "bad gateway": {"status_code": 502, "html": "<h1>Bad gateway</h1>"},
    "throttled": {"status_code": 429},
    "html": {"html": "<html><title>Sign in</title></html>"},
    "empty": {"content": b""},
    "garbage": {"content": bytes(range(256))},
    "huge": {"content": b"x" * (1024 * 1024)},
    "no content": {"status_code": 204},
}
FAILURES = [
    httpx.ConnectError("no route"),
    httpx.ConnectTimeout("slow"),
    httpx.ReadTimeout("slow"),
    httpx.RemoteProtocolError("hung up"),
]
NO_CERTIFICATE = "smn: the certificate could not be fetched"
NO_KEYS = "oidc: the keys could not be fetched"


@pytest.mark.parametrize("answer", UNREACHABLE)
def test_a_missing_certificate_is_fetched_again(answer: str, fetching: Function, httpx_mock: HTTPXMock) -> None:
    """A certificate that does not come is asked for again with the next message."""
    pem = certificate(rsa_key("smn"))
    httpx_mock.add_response(url=CERTIFICATE_URL, **UNREACHABLE[answer])
    httpx_mock.add_response(url=CERTIFICATE_URL, content=pem)
    unreachable(fetching, fetching.request("POST", content=json.dumps(done())), NO_CERTIFICATE)
    let_in(fetching, fetching.request("POST", content=json.dumps(done())))


def test_a_certificate_in_too_long_a_file_is_not_taken(fetching: Function, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(url=CERTIFICATE_URL, content=certificate(rsa_key("smn")) + b"\n" * 16 * 1024)
    unreachable(fetching, fetching.request("POST", content=json.dumps(done())), NO_CERTIFICATE)


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
def test_a_host_that_is_down_makes_the_sender_redeliver(
    failure: httpx.TransportError, fetching: Function, httpx_mock: HTTPXMock
) -> None:
    """A host of certificates or keys that is down is a 503."""
    httpx_mock.add_exception(failure, url=CERTIFICATE_URL)
    httpx_mock.add_exception(failure, url=KEYS_URL)
    unreachable(fetching, fetching.request("POST", content=json.dumps(done())), NO_CERTIFICATE)
    unreachable(fetching, fetching.request("POST", content=DONE, headers=google()), NO_KEYS)


def test_a_host_that_does_not_answer_is_given_up(
    fetching: Function, httpx_mock: HTTPXMock, environment: pytest.MonkeyPatch
) -> None:
    async def never(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(60)
        return httpx.Response(200)

    environment.setattr("restarter.callers.smn_certificates.TIMEOUT_S", 0.02)
    environment.setattr("restarter.callers.google_oidc.TIMEOUT_S", 0.02)
    httpx_mock.add_callback(never, url=CERTIFICATE_URL, is_reusable=True)
    httpx_mock.add_callback(never, url=KEYS_URL, is_reusable=True)
    started_at = time.monotonic()
    unreachable(fetching, fetching.request("POST", content=json.dumps(done())), NO_CERTIFICATE)
    unreachable(fetching, fetching.request("POST", content=DONE, headers=google()), NO_KEYS)
    assert at_once(fetching, *[({}, json.dumps(done()))] * 3, *[(google(), DONE)] * 3) == [503] * 6
    assert time.monotonic() - started_at < 20


@pytest.mark.parametrize("status", [400, 403, 404])
def test_a_certificate_that_smn_does_not_have_is_asked_for_once(
    status: int, fetching: Function, httpx_mock: HTTPXMock
) -> None:
    """Within a minute; SMN may have it later, so the sender is to come again."""
    httpx_mock.add_response(url=CERTIFICATE_URL, status_code=status)
    for _ in range(3):
        unreachable(fetching, fetching.request("POST", content=json.dumps(done())), NO_CERTIFICATE)


def test_strangers_keep_no_certificate_from_a_cold_instance(fetching: Function, httpx_mock: HTTPXMock) -> None:
    """Whoever knows the topic's URN can name any number of certificates that SMN does not have."""

    async def missing(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0.5)
        return httpx.Response(404)

    httpx_mock.add_callback(slowly(content=certificate(rsa_key("smn"))), url=CERTIFICATE_URL)
    httpx_mock.add_callback(missing, is_reusable=True)
    names = [CERTIFICATE_URL.replace("0123456789abcdef0123456789abcdef", f"{number:032x}") for number in range(48)]
    strangers: list[tuple[dict[str, str], str]] = [
        ({}, json.dumps(smn_message(signing_cert_url=name) | {"signature": ""})) for name in names
    ]
    started_at = time.monotonic()
    statuses = at_once(fetching, *strangers, ({}, json.dumps(done())))
    assert statuses == [503] * 48 + [204]
    assert time.monotonic() - started_at < 12  # one after the other they would take 24 seconds
    assert len(httpx_mock.get_requests()) == 49


@pytest.mark.parametrize(
    "certificate_url",
    [
        CERTIFICATE_URL.replace("myhuaweicloud.com", "myhuaweicloud.eu"),
        CERTIFICATE_URL.replace("myhuaweicloud.com", "myhuaweicloud.cn"),
    ],
)
def test_smn_has_three_domains(certificate_url: str, fetching: Function, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(url=certificate_url, content=certificate(rsa_key("smn")))
    let_in(fetching, fetching.request("POST", content=json.dumps(done(signing_cert_url=certificate_url))))


def test_a_partner_cloud_has_its_own_certificates(make_function: Make, httpx_mock: HTTPXMock) -> None:
    """They are fetched from the configured domain alone."""
    partner = CERTIFICATE_URL.replace("myhuaweicloud.com", "cloud.example")
    httpx_mock.add_response(url=partner, content=certificate(rsa_key("smn")))
    function = make_function(**EVERY_WAY | {"CALLER_SMN_DOMAINS": "cloud.example"})
    let_in(function, function.request("POST", content=json.dumps(done(signing_cert_url=partner))))
    refused(function, function.request("POST", content=json.dumps(done())), "smn")


@pytest.mark.parametrize("topic", [f"{TOPIC}-2", TOPIC.replace("cn-north-4", "cn-north-1"), TOPIC.replace("2c", "3c")])
def test_for_a_topic_of_somebody_else_nothing_is_fetched(topic: str, fetching: Function) -> None:
    """SMN signs for every customer: a good signature says only that some topic sent it."""
    url = CERTIFICATE_URL.replace("cn-north-4", topic.split(":")[2])
    message = json.dumps(signed(topic_urn=topic, signing_cert_url=url))
    refused(fetching, fetching.request("POST", content=message), "smn")


# What a message of SMN may do


@pytest.mark.parametrize(
    ("headers", "added"),
    [
        (EVENT, {"task_id": 1}),
        (EVENT, {}),
        (
            {"Content-Type": "application/cloudevents+json"},
            {"specversion": "1.0", "source": "/x", "id": "1", "data": {}},
        ),
        ({}, {"httpMethod": "POST", "requestContext": {}, "body": json.dumps({"task_id": 1})}),
        ({}, {"record": [{"smn": {"message_id": "1", "message": CALL}}]}),
        ({}, {"subscription": "projects/p/subscriptions/s", "task_id": 1, "credentials": "other"}),
        ({"Content-Type": "text/plain", "Content-Encoding": "gzip", "Idempotency-Key": "x"}, {"event_id": 1}),
    ],
    ids=["event beside", "event around", "structured", "apig", "records", "fields", "headers"],
)
def test_nothing_around_or_beside_a_signed_message_counts(
    headers: dict[str, str], added: dict[str, Any], function: Function
) -> None:
    """Who ever saw a genuine message could put a request of his own there."""
    reply = function.request("POST", headers=headers, content=json.dumps(done() | added))
    assert reply.status_code == 204
    receipt = function.receipt()
    assert (receipt["dialect"], receipt["outcome"], receipt["reason"]) == ("smn", "ignored", "task_succeeded")


def test_the_confirmation_of_a_subscription_is_one_get(fetching: Function, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(url=CERTIFICATE_URL, content=certificate(rsa_key("smn")))
    httpx_mock.add_response(method="GET", url=CONFIRM_URL, json={"subscription_urn": "x"})
    reply = fetching.request("POST", content=json.dumps(signed("SubscriptionConfirmation")))
    assert (reply.status_code, reply.content) == (204, b"")
    receipt = fetching.receipt()
    assert (receipt["outcome"], receipt["reason"]) == ("ignored", "subscription_confirmed")
    assert "token=" not in json.dumps(receipt)
    get = httpx_mock.get_requests()[1]
    assert str(get.url) == CONFIRM_URL
    assert not {"authorization", "x-auth-token", "x-project-id", "cookie"} & set(get.headers)


@pytest.mark.parametrize(("hours", "is_confirmed"), [(47.9, True), (48.1, False), (960, False)])
def test_a_subscription_is_confirmed_for_48_hours(
    hours: float,
    is_confirmed: bool,  # noqa: FBT001  # a column of the table
    function: Function,
    httpx_mock: HTTPXMock,
) -> None:
    """SMN's link lives no longer: an older message was sent again by somebody who has it."""
    if is_confirmed:
        httpx_mock.add_response(method="GET", url=CONFIRM_URL)
    signed_at = (datetime.now(UTC) - timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ")
    message = signed("SubscriptionConfirmation", timestamp=signed_at)
    assert function.request("POST", content=json.dumps(message)).status_code == 204
    receipt = function.receipt()
    expected = ("ignored", "subscription_confirmed") if is_confirmed else ("refused", "stale_event")
    assert (receipt["outcome"], receipt["reason"]) == expected


@pytest.mark.parametrize(
    "url",
    [
        f"https://smn.cn-north-4.myhuaweicloud.com/rest/v2/notifications/subscription/confirm?topic_urn={TOPIC}&token=0",
        CONFIRM_URL.replace("console.huaweicloud.com", "console.myhuaweicloud.eu"),
    ],
)
def test_the_api_and_the_consoles_of_smn_confirm_too(url: str, function: Function, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(method="GET", url=url)
    message = json.dumps(signed("SubscriptionConfirmation", subscribe_url=url))
    assert function.request("POST", content=message).status_code == 204


@pytest.mark.parametrize(
    ("answer", "status", "outcome"),
    [
        ({"status_code": 200}, 204, "ignored"),
        ({"status_code": 201, "html": "<html></html>"}, 204, "ignored"),
        ({"status_code": 302, "headers": {"Location": "https://auth.huaweicloud.com/"}}, 422, "rejected"),
        ({"status_code": 400}, 422, "rejected"),
        ({"status_code": 403}, 422, "rejected"),
        ({"status_code": 404}, 422, "rejected"),
        ({"status_code": 429}, 503, "unavailable"),
        ({"status_code": 500}, 503, "unavailable"),
        ({"status_code": 503}, 503, "unavailable"),
    ],
)
def test_the_response_to_a_confirmation_decides(
    answer: dict[str, Any], status: int, outcome: str, function: Function, httpx_mock: HTTPXMock
) -> None:
    """A 2xx confirms, what may pass is a 503, and no redirect is followed."""
    httpx_mock.add_response(method="GET", url=CONFIRM_URL, **answer)
    reply = function.request("POST", content=json.dumps(signed("SubscriptionConfirmation")))
    assert (reply.status_code, function.receipt()["outcome"]) == (status, outcome)


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
def test_a_confirmation_without_an_answer_is_to_be_asked_for_again(
    failure: httpx.TransportError, function: Function, httpx_mock: HTTPXMock
) -> None:
    httpx_mock.add_exception(failure, method="GET", url=CONFIRM_URL)
    unreachable(
        function, function.request("POST", content=json.dumps(signed("SubscriptionConfirmation"))), "subscription"
    )


def test_the_address_in_a_farewell_is_never_followed(function: Function) -> None:
    """It would subscribe again."""
    reply = function.request("POST", content=json.dumps(signed("UnsubscribeConfirmation")))
    assert reply.status_code == 204
    assert function.receipt()["reason"] == "smn_type"


def test_a_subscription_that_another_way_proved_is_not_confirmed(make_function: Make, pinned: dict[str, str]) -> None:
    """Without SMN's signature the topic could be anybody's, and so could the address."""
    function = make_function(**EVERY_WAY, **pinned)
    for message in (
        smn_message("SubscriptionConfirmation") | {"signature": ""},
        signed("SubscriptionConfirmation", topic_urn=f"{TOPIC}-2"),
        signed("SubscriptionConfirmation") | {"subscribe_url": "https://evil.example/"},
    ):
        assert function.post(json=message).status_code == 204
        assert function.receipt()["reason"] == "subscription_not_signed"
        refused(function, function.request("POST", json=message), "smn")


def test_a_type_that_smn_does_not_sign_is_ignored_behind_another_way(function: Function) -> None:
    reply = function.post(
        json=smn_message("HttpSubscriptionUserConfirm", subscribe_url=CONFIRM_URL) | {"signature": "x"}
    )
    assert reply.status_code == 204
    assert function.receipt()["reason"] == "smn_type"


def test_a_subscription_in_an_envelope_needs_a_signature(
    make_function: Make, pinned: dict[str, str], httpx_mock: HTTPXMock
) -> None:
    """SMN can send to an APIG address: then its message is the body of an event that the platform authenticates."""
    httpx_mock.add_response(method="GET", url=CONFIRM_URL)
    function = make_function(**EVERY_WAY, **pinned, CALLER_TRUST_PLATFORM="true")
    genuine = signed("SubscriptionConfirmation")
    for message, reason in (
        (genuine, "subscription_confirmed"),
        (genuine | {"message": "?"}, "subscription_not_signed"),
    ):
        reply = function.request("POST", "/invoke", json=apig(body=json.dumps(message)))
        assert (reply.status_code, reply.json()["statusCode"]) == (200, 204)
        assert function.receipt()["reason"] == reason


def apig(**changes: Any) -> dict[str, Any]:
    """A request inside an event of FunctionGraph's APIG trigger."""
    return {"httpMethod": "POST", "requestContext": {}, "path": "/", "isBase64Encoded": False, "headers": {}} | changes


def test_odd_headers_inside_a_proved_envelope_break_nothing(function: Function) -> None:
    """Headers of HTTP have Latin letters only; in an event they can have any."""
    for headers in (bearer("\u2603"), bearer("\u2603.\u2603.\u2603"), {"webhook-signature": "v1,\u2603"} | EVENT):
        reply = function.post(json=apig(headers=headers, body=DONE))
        assert (reply.status_code, reply.json()["statusCode"] < 500) == (200, True)
        assert function.receipt()["outcome"] == "ignored"


# Google's ID tokens


@pytest.mark.parametrize(
    "changes",
    [{}, {"iss": "accounts.google.com"}, {"aud": [AUDIENCE]}, {"header": {"typ": None}}, {"sub": "1"}, {"exp": 9**11}],
)
def test_tokens_of_the_account_for_the_audience_get_in(changes: dict[str, Any], function: Function) -> None:
    let_in(function, function.request("POST", content=DONE, headers=google(**changes)))


def test_each_account_on_the_list_gets_in(make_function: Make, pinned: dict[str, str]) -> None:
    function = make_function(**EVERY_WAY | {"CALLER_OIDC_EMAILS": f"{EMAIL}, b@example.com"}, **pinned)
    for email in (EMAIL, "b@example.com"):
        let_in(function, function.request("POST", content=DONE, headers=google(email=email)))


def test_the_keys_are_fetched_once_for_many_tokens(fetching: Function, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(method="GET", url=KEYS_URL, json=key_set(rsa_key("other"), b=rsa_key("google")))
    for _ in range(3):
        let_in(fetching, fetching.request("POST", content=DONE, headers=google(header={"kid": "b"})))
    refused(fetching, fetching.request("POST", content=DONE, headers=google()), "bearer, oidc")
    (fetch,) = httpx_mock.get_requests()
    assert not {"authorization", "x-auth-token", "cookie", "x-project-id"} & set(fetch.headers)


def test_tokens_that_come_together_wait_for_one_set_of_keys(fetching: Function, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_callback(slowly(json=key_set(rsa_key("google"))), url=KEYS_URL)
    assert at_once(fetching, *[(google(), DONE)] * 8) == [200] * 8
    assert len(httpx_mock.get_requests()) == 1


class Clock:
    """Monotonic time that a test moves."""

    def __init__(self, environment: pytest.MonkeyPatch) -> None:
        self.now = 5.0
        environment.setattr("restarter.callers.google_oidc.time", SimpleNamespace(time=lambda: self.now))


def test_an_unknown_key_makes_google_asked_once_a_minute(
    fetching: Function, httpx_mock: HTTPXMock, environment: pytest.MonkeyPatch
) -> None:
    """The keys are fetched again for an unknown one, but not at once."""
    clock = Clock(environment)
    httpx_mock.add_response(url=KEYS_URL, json=key_set(a=rsa_key("google")))
    new, old = google(header={"kid": "b"}), google(header={"kid": "a"})
    for seconds in (0, 30, 30):
        clock.now += seconds
        let_in(fetching, fetching.request("POST", content=DONE, headers=old))
        refused(fetching, fetching.request("POST", content=CALL, headers=new), "bearer, oidc")
    assert len(httpx_mock.get_requests()) == 1
    httpx_mock.add_response(url=KEYS_URL, json=key_set(b=rsa_key("google")))
    clock.now += 1
    let_in(fetching, fetching.request("POST", content=DONE, headers=new))
    for seconds in (0, 60):
        clock.now += seconds
        refused(fetching, fetching.request("POST", content=CALL, headers=old), "bearer, oidc")
    assert len(httpx_mock.get_requests()) == 2


def test_the_keys_are_kept_for_an_hour(
    fetching: Function, httpx_mock: HTTPXMock, environment: pytest.MonkeyPatch
) -> None:
    """A key that Google withdrew must not count for ever."""
    clock = Clock(environment)
    httpx_mock.add_response(url=KEYS_URL, json=key_set(rsa_key("google")))
    for seconds in (0, 3600):
        clock.now += seconds
        let_in(fetching, fetching.request("POST", content=DONE, headers=google()))
    httpx_mock.add_response(url=KEYS_URL, json=key_set(rsa_key("other")))
    clock.now += 1
    refused(fetching, fetching.request("POST", content=CALL, headers=google()), "bearer, oidc")


def test_a_known_key_never_waits_for_strangers(
    fetching: Function, httpx_mock: HTTPXMock, environment: pytest.MonkeyPatch
) -> None:
    """Google does not respond; whoever sends tokens of unknown keys makes it asked once a minute."""
    clock = Clock(environment)
    httpx_mock.add_response(url=KEYS_URL, json=key_set(rsa_key("google")))
    let_in(fetching, fetching.request("POST", content=DONE, headers=google()))
    clock.now += 61
    asked = 0

    async def never(request: httpx.Request) -> httpx.Response:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0.5)
        raise httpx.ReadTimeout("slow")

    httpx_mock.add_callback(never, url=KEYS_URL, is_reusable=True)
    forged = google(header={"kid": "unknown"})
    answered: dict[int, float] = {}

    async def send() -> None:
        begun = time.monotonic()
        transport = httpx.ASGITransport(fetching.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://function") as client:

            async def one(number: int, headers: dict[str, str]) -> int:
                status = (await client.post("/", headers=headers, content=DONE)).status_code
                answered[number] = time.monotonic() - begun
                return status

            assert await asyncio.gather(*[one(n, forged) for n in range(4)], one(4, google())) == [503] * 4 + [200]

    fetching.run(send())
    assert answered[4] < 0.4 < min(answered[number] for number in range(4))
    fetching.receipts()
    unreachable(fetching, fetching.request("POST", content=CALL, headers=forged), NO_KEYS)
    assert asked == 1


def test_known_keys_are_used_for_a_day_while_google_does_not_respond(
    fetching: Function, httpx_mock: HTTPXMock, environment: pytest.MonkeyPatch
) -> None:
    clock = Clock(environment)
    httpx_mock.add_response(url=KEYS_URL, json=key_set(rsa_key("google")))
    let_in(fetching, fetching.request("POST", content=DONE, headers=google()))
    httpx_mock.add_response(url=KEYS_URL, status_code=500, is_reusable=True)
    for seconds in (3601, 59, 24 * 3600 - 3660):
        clock.now += seconds
        let_in(fetching, fetching.request("POST", content=DONE, headers=google()))
    assert len(httpx_mock.get_requests()) == 3
    clock.now += 1
    unreachable(fetching, fetching.request("POST", content=DONE, headers=google()), NO_KEYS)


def test_a_failed_fetch_is_one_although_the_clock_was_set_back(
    fetching: Function, httpx_mock: HTTPXMock, environment: pytest.MonkeyPatch
) -> None:
    """The key may exist: with a 401 the event would be lost."""
    clock = Clock(environment)
    clock.now = 5000.0
    httpx_mock.add_response(url=KEYS_URL, json=key_set(rsa_key("google")))
    let_in(fetching, fetching.request("POST", content=DONE, headers=google()))
    httpx_mock.add_response(url=KEYS_URL, status_code=500)
    clock.now = 100.0
    unreachable(fetching, fetching.request("POST", content=CALL, headers=google(header={"kid": "new"})), NO_KEYS)


def test_keys_in_a_file_are_never_fetched(function: Function, environment: pytest.MonkeyPatch) -> None:
    clock = Clock(environment)
    for seconds in (0, 61, 4000):
        clock.now += seconds
        refused(function, function.request("POST", content=CALL, headers=google(header={"kid": "b"})), "bearer, oidc")
        let_in(function, function.request("POST", content=DONE, headers=google()))


ODD_KEYS = [
    "[]",
    "7",
    "null",
    "{}",
    '{"keys": 7}',
    '{"keys": "key"}',
    '{"keys": {"a": 1}}',
    '{"keys": [7]}',
    '{"keys": []}',
    '{"keys": [{}]}',
    '{"keys": [{"kty": ["RSA"]}]}',
    '{"keys": [{"kty": "RSA", "kid": "key-1"}]}',
    '{"keys": [{"kty": "RSA", "kid": "key-1", "alg": "none"}]}',
    '{"keys": [{"kty": "RSA", "kid": "key-1", "alg": ["RS256"]}]}',
    '{"keys": [{"kty": "RSA", "kid": "key-1", "alg": 256}]}',
    '{"keys": [{"kty": "RSA", "kid": "key-1", "n": 5, "e": 3}]}',
    '{"keys": [{"kty": "RSA", "kid": "key-1", "n": "", "e": ""}]}',
    '{"keys": [{"kty": "EC", "kid": "key-1", "crv": ["P-256"]}]}',
    '{"keys": [{"kty": "EC", "kid": "key-1", "crv": "P-256", "x": 1, "y": 2}]}',
    "[" * 20_000,
    "{" * 20_000,
]


@pytest.mark.parametrize("answer", [*UNREACHABLE, *(text for text in ODD_KEYS)], ids=lambda text: text[:60])
def test_missing_keys_are_fetched_again(answer: str, fetching: Function, httpx_mock: HTTPXMock) -> None:
    """Where there are none, keys that do not come are asked for again with the next token."""
    httpx_mock.add_response(url=KEYS_URL, **UNREACHABLE.get(answer, {"text": answer}))
    httpx_mock.add_response(url=KEYS_URL, json=key_set(rsa_key("google")))
    unreachable(fetching, fetching.request("POST", content=DONE, headers=google()), NO_KEYS)
    let_in(fetching, fetching.request("POST", content=DONE, headers=google()))


@pytest.mark.parametrize(
    "key",
    [
        {"kty": "oct", "kid": KEY_ID, "k": "AAAA"},
        {"kty": "oct", "kid": KEY_ID, "k": "AAAA", "alg": "HS256"},
        {"kty": "OKP", "crv": "Ed25519", "kid": KEY_ID, "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
    ],
)
def test_a_key_of_another_kind_proves_nothing(key: dict[str, str], fetching: Function, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(url=KEYS_URL, json={"keys": [key]})
    refused(fetching, fetching.request("POST", content=CALL, headers=google()), "bearer, oidc")
    secret = b64decode(key.get("k", ""))
    token = compact({"alg": "HS256", "kid": KEY_ID}, {}, lambda text: hmac.digest(secret, text, hashlib.sha256))
    refused(fetching, fetching.request("POST", content=CALL, headers=bearer(token)), "bearer, oidc")


# Whose event it is


SECOND_TOKEN, SECOND_EMAIL = "second-of-two-tokens-0002", "second@my-project.iam.gserviceaccount.com"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (lambda: bearer(BEARER), lambda: bearer(SECOND_TOKEN)),
        (google, lambda: google(email=SECOND_EMAIL)),
        (lambda: webhook_headers(CALL), lambda: webhook_headers(CALL, OTHER_SECRET)),
        (lambda: bearer(BEARER), google),
    ],
    ids=["tokens", "accounts", "secrets", "methods"],
)
def test_an_id_is_its_senders_own(
    first: Callable[[], dict[str, str]],
    second: Callable[[], dict[str, str]],
    make_function: Make,
    pinned: dict[str, str],
    httpx_mock: HTTPXMock,
) -> None:
    """The same id of another account, token or secret is another event; of the same one it is a duplicate."""
    httpx_mock.add_response(url=SHOW, json=shown(2), is_reusable=True)
    several = {
        "CALLER_BEARER_TOKENS": f"{BEARER},{SECOND_TOKEN}",
        "CALLER_WEBHOOK_SECRETS": f"{WEBHOOK_SECRET},{OTHER_SECRET}",
        "CALLER_OIDC_EMAILS": f"{EMAIL},{SECOND_EMAIL}",
    }
    function = make_function(**EVERY_WAY | several, **pinned)
    for made, outcome in (
        *((first, "already_running"), (first, "duplicate")),
        *((second, "already_running"), (second, "duplicate")),
    ):
        headers = {"Idempotency-Key": "msg_p5jXN8AQM9LWM0D4loKWxJek"} | made()
        assert function.request("POST", content=CALL, headers=headers).status_code == 200
        receipt = function.receipt()
        assert receipt["outcome"] == outcome
        assert SECOND_TOKEN not in json.dumps(receipt)


# The hostile table: forged, replayed, unlisted, unsigned, half-signed, garbled

Headers = dict[str, str] | list[tuple[bytes, bytes]]


class Attempt(NamedTuple):
    """A delivery that must not be authenticated: the method that it tries, and what it sends, made when it is sent."""

    name: str
    tried: str
    made: Callable[[], tuple[Headers, str | bytes]]


def tokens() -> Iterator[Attempt]:
    """Bearers of no token of ours."""
    with_scheme = [
        *("", "x", "null", "undefined", "*", "Bearer", BEARER[:-1], BEARER[1:], f"{BEARER}x", f"x{BEARER}"),
        *(BEARER.upper(), BEARER.title(), BEARER[::-1], BEARER * 2, f"{BEARER} {BEARER}"),
        *(f"{BEARER},{BEARER}", f"{BEARER}, Bearer {BEARER}", f'"{BEARER}"', f"'{BEARER}'", f"<{BEARER}>"),
        *(f"{BEARER}=", f"{BEARER}\\n", f"{BEARER}%00", f"{BEARER};", f"token={BEARER}", f"Bearer {BEARER}"),
        *(BEARER.replace("-", "_"), BEARER.replace("0", "O"), b64encode(BEARER.encode()).decode(), "0" * 25),
        *("' OR 1=1 --", "${CALLER_BEARER_TOKENS}", "../../etc/passwd", "x" * 60_000, WEBHOOK_SECRET),
    ]
    for token in with_scheme:
        yield Attempt(f"bearer {token[:40]!r}", "bearer", partial(_with, bearer(token)))
    raw = [BEARER.encode() + b"\xff", b"\xff" * 24, b"\x00" + BEARER.encode(), "\u2603".encode(), b"\t\t\t"]
    for octets in raw:
        yield Attempt(f"bearer {octets!r}", "bearer", partial(_with, [(b"authorization", b"Bearer " + octets)]))
    twice = [(b"authorization", f"Bearer {token}".encode()) for token in (BEARER, BEARER)]
    yield Attempt("bearer twice", "bearer", partial(_with, twice))
    for value in (
        *("Bearer", "bearer", "", BEARER, f"Basic {b64encode(f'{BEARER}:'.encode()).decode()}", f"Token {BEARER}"),
        *(f"Bearer:{BEARER}", f"Bearer={BEARER}", f"Bearer\t{BEARER}", f"Digest {BEARER}", f"BearerX {BEARER}"),
        *(f"DPoP {BEARER}", f"Basic x, Bearer {BEARER}", f"Negotiate {BEARER}", f"Bearer,{BEARER}"),
    ):
        yield Attempt(f"scheme {value!r}", "no credentials", partial(_with, {"Authorization": value}))
    for name in (
        *("Proxy-Authorization", "X-Authorization", "X-Auth-Token", "X-Api-Key", "Cookie", "X-Forwarded-Authorization"),
        *("X-Serverless-Authorization", "Authorization-", "X-CFF-Auth-Token", "X-Goog-Iap-Jwt-Assertion"),
    ):
        yield Attempt(f"header {name}", "no credentials", partial(_with, {name: f"Bearer {BEARER}"}))


def _with(headers: Headers, body: str | bytes = CALL) -> tuple[Headers, str | bytes]:
    return headers, body


def webhooks() -> Iterator[Attempt]:
    """Signatures of Standard Webhooks that are none."""

    def attempt(name: str, tried: str = "webhook", body: str | bytes = CALL, **changes: Any) -> Attempt:
        return Attempt(f"webhook {name}", tried, lambda: (webhook_headers(CALL, **changes), body))

    yield attempt("without id", id=None)
    yield Attempt("webhook without timestamp", "webhook", lambda: (_without("webhook-timestamp"), CALL))
    yield Attempt("webhook without signature", "no credentials", lambda: (_without("webhook-signature"), CALL))
    yield attempt("empty id", id="")
    yield attempt("empty signature", signature="")
    yield attempt("other id", id="msg_2")
    yield attempt("longer id", id="msg_p5jXN8AQM9LWM0D4loKWxJek.")
    yield attempt("other case of the id", id="MSG_P5JXN8AQM9LWM0D4LOKWXJEK")
    yield attempt("other secret", secret=OTHER_SECRET)
    yield attempt("secret as text", secret="whsec_" + b64encode(WEBHOOK_SECRET.encode()).decode())
    for body in (f"{CALL} ", f" {CALL}", CALL.replace("1", "2"), CALL.replace(" ", ""), "", "{}", DONE, f"{CALL}\n"):
        yield attempt(f"other body {body!r}", body=body)
    for octets in (b"\xff", b"\xff\xfe" + CALL.encode(), CALL.encode("utf-16"), b"\x80{}", b"\xed\xa0\x80"):
        yield Attempt(f"webhook not UTF-8 {octets[:6]!r}", "webhook", partial(_signed_bytes, octets))
    for seconds in (302, 3600, 86400, 10**9):
        yield Attempt(f"webhook {seconds} s old", "webhook", partial(_late, seconds))
        yield Attempt(f"webhook {seconds} s early", "webhook", partial(_early, seconds))
    for text in (
        *("now", "nan", "inf", "-inf", "1e400", "0x65000000", "-1", "0", "", " ", "1,5", "9" * 400, "1014265330"),
        *("2126-11-24T00:00:00Z", "\\u0661", "1_000", "None", "1e-400", "18446744073709551616"),
    ):
        yield Attempt(f"webhook timestamp {text[:20]!r}", "webhook", partial(_stamped, text))
    for name, garble in {
        "no version": lambda value: value[3:],
        "no comma": lambda value: value.replace(",", ""),
        "two commas": lambda value: value.replace(",", ",,"),
        "third part": lambda value: f"{value},x",
        "v2": lambda value: value.replace("v1", "v2"),
        "v1a": lambda value: value.replace("v1", "v1a"),
        "V1": lambda value: value.replace("v1", "V1"),
        "empty": lambda value: "v1,",
        "only a comma": lambda value: ",",
        "only a space": lambda value: " ",
        "bad base64": lambda value: "v1,=",
        "cut": lambda value: value[:-5],
        "one character": lambda value: "v1,A",
        "cut to a byte": lambda value: value[:7],
        "longer": lambda value: "v1," + b64encode(b64decode(value[3:]) + b"\0").decode(),
        "swapped case": lambda value: f"v1,{value[3:].swapcase()}",
        "hex": lambda value: "v1," + b64decode(value[3:]).hex(),
        "reversed": lambda value: f"v1,{value[:2:-1]}",
        "zeros": lambda value: "v1," + b64encode(bytes(32)).decode(),
        "many": lambda value: " ".join(["v1,AAAA"] * 2000),
        "comma list": lambda value: f"v1,AAAA,{value}",
        "quoted": lambda value: f'"{value}"',
        "joined": lambda value: f"{value}, {value}",
        "bad beside good": lambda value: f"garbage {value}",
        "the secret": lambda value: f"v1,{WEBHOOK_SECRET[6:]}",
    }.items():
        yield Attempt(f"webhook signature: {name}", "webhook", partial(_garbled, garble))
    yield Attempt("webhook signature: not ASCII", "webhook", partial(_with, _raw(b"v1,\xe9\xff")))
    yield Attempt(
        "webhook signature: of the body alone", "webhook", partial(_garbled, lambda value: _mac(CALL.encode()))
    )
    yield Attempt("webhook of github", "no credentials", partial(_with, {"X-Hub-Signature-256": f"sha256={'0' * 64}"}))
    yield Attempt("webhook of svix, of another body", "webhook", lambda: (_renamed("svix"), CALL + " "))
    yield Attempt("webhook of svix behind a wrong one", "webhook", lambda: (_renamed("svix") | _wrong(), CALL))
    yield Attempt("webhook in the body", "no credentials", lambda: ({}, json.dumps(webhook_headers(CALL))))


def _without(name: str) -> Headers:
    return {key: value for key, value in webhook_headers(CALL).items() if key != name}


def _signed_bytes(body: bytes) -> tuple[Headers, bytes]:
    return webhook_headers(body), body


def _late(seconds: int) -> tuple[Headers, str]:
    return webhook_headers(CALL, timestamp=math.floor(time.time()) - seconds), CALL


def _early(seconds: int) -> tuple[Headers, str]:
    return webhook_headers(CALL, timestamp=math.ceil(time.time()) + seconds), CALL


def _stamped(text: str) -> tuple[Headers, str]:
    """Signed over this very timestamp."""
    headers = webhook_headers(CALL)
    mac = _mac(f"{headers['webhook-id']}.{text}.{CALL}".encode())
    return headers | {"webhook-timestamp": text, "webhook-signature": mac}, CALL


def _mac(text: bytes) -> str:
    secret = b64decode(WEBHOOK_SECRET.removeprefix("whsec_"))
    return "v1," + b64encode(hmac.digest(secret, text, hashlib.sha256)).decode()


def _garbled(garble: Callable[[str], str]) -> tuple[Headers, str]:
    headers = webhook_headers(CALL)
    return headers | {"webhook-signature": garble(headers["webhook-signature"])}, CALL


def _raw(signature: bytes) -> list[tuple[bytes, bytes]]:
    now = str(int(time.time())).encode()
    return [(b"webhook-id", b"1"), (b"webhook-timestamp", now), (b"webhook-signature", signature)]


def _wrong() -> dict[str, str]:
    return webhook_headers(CALL, OTHER_SECRET)


def _renamed(prefix: str) -> dict[str, str]:
    return {name.replace("webhook", prefix): value for name, value in webhook_headers(CALL).items()}


def messages() -> Iterator[Attempt]:
    """Messages that SMN did not sign for our topic, or not as they are."""

    def attempt(name: str, made: Callable[[], Any], tried: str = "smn") -> Attempt:
        return Attempt(f"smn {name}", tried, lambda: ({"X-SMN-TOPIC-URN": TOPIC}, _text(made())))

    signed_names = ("message", "message_id", "subject", "timestamp", "topic_urn", "type")
    others: list[Any] = ["x", "", "\n", 7, None, True, ["x"], {"x": 1}]
    for name in signed_names:
        for other in others:
            yield attempt(f"{name} = {other!r}", partial(lambda name, other: signed() | {name: other}, name, other))
        for end in (" ", "\n", "\u200b", "\x00"):
            yield attempt(
                f"{name} + {end!r}", partial(lambda name, end: signed() | {name: smn_message()[name] + end}, name, end)
            )
        tried = "no credentials" if name == "topic_urn" else "smn"
        yield attempt(f"without {name}", partial(_cut, name), tried)
    yield attempt("without signature", smn_message, "no credentials")
    signatures: list[Any] = ["", " ", "x", "=", "====", "AAAA", "\u00e9", "none", None, 7, True, [], {}, ["x"]]
    signatures += [b64encode(bytes(size)).decode() for size in (128, 250, 256, 8000)]
    for value in signatures:
        name = f"signature = {str(value)[:20]!r} of {len(str(value))}"
        yield attempt(name, partial(lambda value: signed() | {"signature": value}, value))
    garbles: dict[str, Callable[[str], Any]] = {
        "cut": lambda value: value[:-4],
        "longer": lambda value: b64encode(b64decode(value) + b"\0").decode(),
        "shifted": lambda value: b64encode(b"\0" + b64decode(value)[:-1]).decode(),
        "hex": lambda value: b64decode(value).hex(),
        "in lines": lambda value: f"{value[:76]}\n{value[76:]}",
        "spaced": lambda value: f" {value}",
        "in a list": lambda value: [value],
        "twice": lambda value: value * 2,
        "lower case": str.lower,
        "for url": lambda value: value.replace("+", "-").replace("/", "_") + "-_",
    }
    for name, garble in garbles.items():
        yield attempt(f"signature {name}", partial(_resigned, garble))
    hows: dict[str, dict[str, Any]] = {
        "another key": {"key": "other"},
        "pss": {"padding": PSS(MGF1(SHA256()), 32)},
        "sha1": {"digest": SHA1()},  # noqa: S303  # it must not get in
        "sha512": {"digest": SHA512()},
    }
    for name, how in hows.items():
        yield attempt(f"signed with {name}", partial(_made, **how))
    texts: dict[str, Callable[[bytes], bytes]] = {
        "nothing": lambda text: b"",
        "no last newline": lambda text: text[:-1],
        "line ends of Windows": lambda text: text.replace(b"\n", b"\r\n"),
        "values alone": lambda text: b"\n".join(text.split(b"\n")[1::2]),
        "another order": lambda text: b"\n".join(text.split(b"\n")[::-1]),
        "its own hash": lambda text: hashlib.sha256(text).digest(),
        "json": lambda text: json.dumps(smn_message()).encode(),
        "no subject": lambda text: text.replace(b"subject\nOMS\n", b""),
        "another topic": lambda text: text.replace(TOPIC.encode(), f"{TOPIC}-2".encode()),
    }
    for name, change in texts.items():
        yield attempt(
            f"signed text: {name}", partial(lambda change: _made(text=change(string_to_sign(smn_message()))), change)
        )
    for topic in (
        *(
            f"{TOPIC}-2",
            f"x{TOPIC}",
            TOPIC[:-1],
            TOPIC.upper(),
            f"{TOPIC}:1",
            f"{TOPIC},{TOPIC}",
            f" {TOPIC}",
            "urn:smn",
        ),
        *(TOPIC.replace("cn-north-4", "cn-north-1"), TOPIC.replace(PROJECT, "0" * 32), "*", ":::::", f"{TOPIC}\x00"),
    ):
        yield attempt(f"of topic {topic!r}", partial(signed, topic_urn=topic))
    for kind in ("notification", "NOTIFICATION", "Notification ", "HttpSubscriptionUserConfirm", "x", ""):
        yield attempt(f"of type {kind!r}", partial(signed, kind))
    yield attempt(
        "farewell made a welcome", lambda: signed("UnsubscribeConfirmation") | {"type": "SubscriptionConfirmation"}
    )
    yield attempt(
        "notice made a welcome",
        lambda: signed() | {"type": "SubscriptionConfirmation", "subscribe_url": CONFIRM_URL},
    )
    yield attempt(
        "welcome made a notice", lambda: signed("SubscriptionConfirmation") | {"type": "Notification", "message": CALL}
    )
    yield attempt(
        "welcome to elsewhere", lambda: signed("SubscriptionConfirmation") | {"subscribe_url": f"{CONFIRM_URL}&x=1"}
    )
    yield attempt("welcome not signed", lambda: smn_message("SubscriptionConfirmation") | {"signature": ""})
    yield attempt("fields moved", _moved)
    bodies: dict[str, Callable[[str], str | bytes]] = {
        "another message behind": lambda text: text[:-1] + f', "message": {json.dumps(CALL)}}}',
        "another topic behind": lambda text: text[:-1] + ', "topic_urn": "urn:smn:cn-north-4:p:t"}',
        "cut": lambda text: text[:-1],
        "doubled": lambda text: text * 2,
        "in a list": lambda text: f"[{text}]",
        "in an object": lambda text: f'{{"data": {text}}}',
        "after a mark": lambda text: b"\xef\xbb\xbf" + text.encode(),
        "nested": lambda text: text[:-1] + ', "x": ' + "[" * 5000 + "]" * 5000 + "}",
        "endless": lambda text: text[:-1] + ', "x": ' + "[" * 5000,
        "not a number": lambda text: text[:-1] + ', "x": NaN}',
        "half a character": lambda text: text[:-1] + ', "x": "\\ud800"}',
        "not UTF-8": lambda text: text.encode()[:-1] + b', "x": "\xff"}',
        "in quotes": lambda text: f"'{text}'",
        "with comments": lambda text: f"/**/{text}",
        "names alone": lambda text: '"signature" "topic_urn"',
        "list of names": lambda text: '["signature", "topic_urn", "type"]',
    }
    for name, change_body in bodies.items():
        yield attempt(f"body: {name}", partial(lambda change_body: change_body(json.dumps(signed())), change_body))
    hidden: dict[str, Callable[[str], str | bytes]] = {
        "as UTF-16": lambda text: text.encode("utf-16"),
        "in a string": json.dumps,
        "escaped names": lambda text: text.replace('"signature"', '"sign\\u0061ture"'),
        "other case": lambda text: text.replace('"signature"', '"Signature"'),
    }
    for name, change_body in hidden.items():
        yield attempt(
            f"body: {name}",
            partial(lambda change_body: change_body(json.dumps(signed())), change_body),
            "no credentials",
        )
    yield Attempt("smn headers alone", "no credentials", partial(_with, _smn_headers()))
    yield Attempt("smn headers beside an event", "no credentials", partial(_with, _smn_headers() | EVENT))


def _text(made: Any) -> str | bytes:
    return made if isinstance(made, str | bytes) else json.dumps(made)


def _cut(name: str) -> dict[str, Any]:
    return {key: value for key, value in signed().items() if key != name}


def _resigned(garble: Callable[[str], Any]) -> dict[str, Any]:
    message = signed()
    return message | {"signature": garble(message["signature"])}


def _made(key: str = "smn", **how: Any) -> dict[str, Any]:
    return sign_smn(smn_message(), rsa_key(key), **how)


def _moved() -> dict[str, Any]:
    """The signed text is the same to the letter, with the id in the message's place."""
    message = signed()
    moved = f"{message['message']}\nmessage_id\n{message['message_id']}\nsubject\n{message['subject']}"
    assert moved in string_to_sign(message).decode()
    rest = {name: value for name, value in message.items() if name not in ("message_id", "subject", "topic_urn")}
    return rest | {"message": moved, "topic_urn": f"{TOPIC}-2"}


def _smn_headers() -> dict[str, str]:
    return {"X-SMN-MESSAGE-TYPE": "Notification", "X-SMN-MESSAGE-ID": "1", "X-SMN-TOPIC-URN": TOPIC}


class In(NamedTuple):
    """A time that is known only when the token is made."""

    seconds: int


def id_tokens() -> Iterator[Attempt]:
    """ID tokens that Google did not sign, or not for us, or not now."""

    def attempt(name: str, made: Callable[[], str], tried: str = "bearer, oidc") -> Attempt:
        return Attempt(f"oidc {name}", tried, lambda: (bearer(made()), CALL))

    claims: dict[str, list[Any]] = {
        "aud": [
            None,
            "",
            "https://other.example",
            f"{AUDIENCE}/",
            AUDIENCE.upper(),
            AUDIENCE[:-1],
            f"{AUDIENCE}.evil",
            [],
            ["https://other.example"],
            7,
            {},
            {AUDIENCE: 1},
            [[AUDIENCE]],
            True,
            "*",
        ],
        "iss": [
            None,
            "",
            "https://accounts.google.com/",
            "http://accounts.google.com",
            "https://accounts.google.com.evil",
            "accounts.google.co",
            "https://securetoken.google.com/p",
            7,
            [],
            {},
            ["https://accounts.google.com"],
            True,
        ],
        "exp": [None, In(-31), In(-3600), 0, -1, 1.5, "", "tomorrow", [], {}, -1e400],
        "iat": [None, In(3600), "", "x", [], {}, 1e400],
        "nbf": [In(3600), "x", [], {}],
        "email": [
            None,
            "",
            "other@my-project.iam.gserviceaccount.com",
            EMAIL.upper(),
            f"{EMAIL}.evil",
            f" {EMAIL}",
            EMAIL[1:],
            f"{EMAIL},{EMAIL}",
            [EMAIL],
            {EMAIL: 1},
            7,
            True,
            f"{EMAIL}\x00",
            "*",
        ],
        "email_verified": [None, False, "true", "True", 1, "1", [True], {}, 0],
    }
    for name, values in claims.items():
        for value in values:
            yield attempt(f"{name} = {value!r}", partial(id_token_of, **{name: value}))
    headers: dict[str, list[Any]] = {
        "alg": [
            None,
            "none",
            "None",
            "NONE",
            "",
            "HS256",
            "RS384",
            "RS512",
            "PS256",
            "ES256",
            "EdDSA",
            "rs256",
            7,
            [],
            {},
        ],
        "kid": [None, "", "other", "KEY-1", " key-1", "key-1\x00", 7, True, ["key-1"], {}, "../key-1", "x" * 5000],
        "crit": [["x"], ["exp"], "x", []],
        "b64": [False],
    }
    for name, values in headers.items():
        for value in values:
            yield attempt(f"header {name} = {repr(value)[:30]}", partial(id_token_of, header={name: value}))
    yield attempt("of another key", partial(id_token_of, "other"))
    own = {"jwk": {"kty": "RSA"}, "jku": "https://evil.example/keys", "x5u": "https://evil.example/x.pem"}
    yield attempt("that brings its key", partial(id_token_of, "other", header=own))
    for digest in (SHA384(), SHA512(), SHA1()):  # noqa: S303  # it must not get in
        yield attempt(f"signed with {digest.name}", partial(_any, {}, partial(_by_google, digest)))
    yield attempt(
        "PS256 with its signature",
        partial(_any, {"alg": "PS256"}, lambda text: rsa_key("google").sign(text, PSS(MGF1(SHA256()), 32), SHA256())),
    )
    for alg in ("none", "None", "nOnE", "", "RS256"):
        yield attempt(f"{alg!r} without a signature", partial(_any, {"alg": alg}, lambda text: b""))
    for name, secret in {
        "pem": lambda: _public(Encoding.PEM),
        "der": lambda: _public(Encoding.DER),
        "stripped pem": lambda: _public(Encoding.PEM).strip(),
        "key set": lambda: json.dumps(key_set(rsa_key("google"))).encode(),
        "nothing": lambda: b"",
        "our token": BEARER.encode,
    }.items():
        yield attempt(f"HS256 with {name} as the secret", partial(_hs256, secret))
    cuts: dict[str, Callable[[str], str]] = {
        "without a signature": lambda token: token.rpartition(".")[0] + ".",
        "with a cut signature": lambda token: token[:-4],
        "with a longer signature": lambda token: token + "AAAA",
        "with a garbled signature": lambda token: token[:-20] + "!" + token[-19:],
        "with another payload": lambda token: _swapped(token, 1),
        "with another header": lambda token: _swapped(token, 0),
        "backwards": lambda token: ".".join(token.split(".")[::-1]),
        "in upper case": str.upper,
        "with a space": lambda token: token.replace(".", " .", 1),
        "with padding": lambda token: token.replace(".", "==.", 1),
    }
    for name, cut in cuts.items():
        yield attempt(name, partial(lambda cut: cut(id_token_of()), cut))
    for token in (
        *(
            "..",
            "a.b.c",
            ".a.",
            "a..",
            "..a",
            "e30.e30.",
            "e30.e30.e30",
            "bnVsbA.e30.AAAA",
            "W10.e30.AAAA",
            "Nw.e30.AAAA",
        ),
        *("IiI.e30.AAAA", "-._.-", "=.=.=", "%.%.%", "eyJhbGciOiJSUzI1NiJ9.e30.AAAA", f"{'A' * 20_000}.A.A"),
        *("/w.e30.AAAA", "_w.e30.AAAA", f"a.{BEARER}.b", "a .b .c"),
    ):
        yield attempt(f"garbled {token[:30]!r}", partial(str, token))
    for text in (
        b"[" * 15_000,
        b'{"alg":' * 3000,
        b'{"kid":' + b"1" * 5000 + b"}",
        b'{"kid": NaN}',
        b'{"kid": "\\ud800"}',
    ):
        yield attempt(f"header {text[:20]!r}", partial(_any, text, lambda text: b"x"))
    for token in ("a", "a.b", "a.b.c.d", "...."):
        yield attempt(f"of other parts {token!r}", partial(str, token), "bearer")
    yield attempt("with another part", lambda: f"{id_token_of()}.AAAA", "bearer")
    for name in ("X-Goog-Iap-Jwt-Assertion", "X-Serverless-Authorization", "Cookie", "X-Endpoint-Api-Userinfo"):
        yield Attempt(
            f"oidc in {name}", "no credentials", partial(lambda name: ({name: f"Bearer {id_token_of()}"}, CALL), name)
        )
    yield Attempt(
        "oidc in a scheme of its own", "no credentials", lambda: ({"Authorization": f"JWT {id_token_of()}"}, CALL)
    )


def id_token_of(name: str = "google", **changes: Any) -> str:
    now = int(time.time())
    times = {claim: now + value.seconds for claim, value in changes.items() if isinstance(value, In)}
    return id_token(rsa_key(name), **changes | times)


def _any(header: dict[str, Any] | bytes, sign: Callable[[bytes], bytes]) -> str:
    """The payload of a good token under any header and signature."""
    payload = _parts(id_token_of())[1]
    first = header if isinstance(header, bytes) else {"alg": "RS256", "kid": KEY_ID} | header
    return compact(first, payload, sign)


def _by_google(digest: HashAlgorithm, text: bytes) -> bytes:
    return rsa_key("google").sign(text, PKCS1v15(), digest)


def _parts(token: str) -> list[bytes]:
    return [b64decode(part + "==", altchars=b"-_") for part in token.split(".")]


def _hs256(secret: Callable[[], bytes]) -> str:
    return _any({"alg": "HS256"}, lambda text: hmac.digest(secret(), text, hashlib.sha256))


def _public(encoding: Encoding) -> bytes:
    return rsa_key("google").public_key().public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)


def _swapped(token: str, place: int) -> str:
    """One part of a token put into another."""
    other = id_token_of("other", sub="1", header={"x": 1}).split(".")
    return ".".join(other[at] if at == place else part for at, part in enumerate(token.split(".")))


def strangers() -> Iterator[Attempt]:
    """Those who bring no proof, or bring it where it does not count."""
    record = {"record": [{"smn": {"message_id": "1", "message": CALL, "topic_urn": TOPIC}}]}
    push = {"message": {"data": b64encode(CALL.encode()).decode(), "messageId": "1"}, "subscription": "s"}
    event = {"specversion": "1.0", "type": "oms.task.start", "source": "/x", "id": "1", "data": {"task_id": TASK}}
    bodies: dict[str, Any] = {
        "call": json.loads(CALL),
        "record": record,
        "push": push,
        "event": event,
        "batch": [event],
    }
    for name, body in bodies.items():
        yield Attempt(f"stranger with a {name}", "no credentials", partial(_with, {}, json.dumps(body)))
    structured = {"Content-Type": "application/cloudevents+json"}
    yield Attempt("stranger with an event", "no credentials", partial(_with, structured, json.dumps(event)))
    yield Attempt("stranger with event headers", "no credentials", partial(_with, EVENT))
    for body in (b"", b"\x00", b"\xff" * 100, b"[" * 10_000, b"<xml/>", b"task_id=1", b'"', b"{}", b"null"):
        yield Attempt(f"stranger with {body[:9]!r}", "no credentials", partial(_with, {}, body))
    for name, value in {
        "X-Forwarded-For": "127.0.0.1",
        "X-CFF-Request-Id": "1",
        "X-CFF-Security-Access-Key": "AKEXAMPLE0000000001",
        "X-Goog-Authenticated-User-Email": f"accounts.google.com:{EMAIL}",
        "User-Agent": "APIs-Google",
        "Host": "smn.cn-north-4.myhuaweicloud.com",
        "X-Apigateway-Api-Userinfo": "e30",
        "X-Auth-Token": "x",
        "Ce-Authorization": f"Bearer {BEARER}",
    }.items():
        yield Attempt(f"stranger with {name}", "no credentials", partial(_with, {name: value}))
    inner: dict[str, Callable[[], dict[str, Any]]] = {
        "token": lambda: apig(headers=bearer(BEARER), body=CALL),
        "signature": lambda: apig(headers=webhook_headers(CALL), body=CALL),
        "ID token": lambda: apig(headers=google(), body=CALL),
        "message": lambda: apig(body=json.dumps(signed())),
        "message in base64": lambda: apig(body=b64encode(json.dumps(signed()).encode()).decode(), isBase64Encoded=True),
    }
    for name, made in inner.items():
        yield Attempt(f"stranger's envelope around a {name}", "no credentials", partial(_enveloped, made))
    yield Attempt("stranger's event around a message", "smn", lambda: ({}, json.dumps(event | {"data": signed()})))
    yield Attempt("all at once, all of it wrong", "bearer, webhook, smn, oidc", _all_wrong)


def _enveloped(made: Callable[[], dict[str, Any]]) -> tuple[Headers, str]:
    return {}, json.dumps(made())


def _all_wrong() -> tuple[Headers, str]:
    body = json.dumps(signed() | {"message": CALL})
    return webhook_headers(body, OTHER_SECRET) | bearer(id_token_of("other")), body


ATTEMPTS = [*tokens(), *webhooks(), *messages(), *id_tokens(), *strangers()]


def test_the_table_is_long_and_has_no_attempt_twice() -> None:
    assert len(ATTEMPTS) > 400
    assert len({attempt.name for attempt in ATTEMPTS}) == len(ATTEMPTS)


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda attempt: ascii(attempt.name))
def test_nobody_else_gets_in(attempt: Attempt, pinned_app: Any, httpx_mock: HTTPXMock) -> None:
    headers, body = attempt.made()
    function = Function(pinned_app)
    refused(function, function.request("POST", headers=headers, content=body), attempt.tried)


@pytest.mark.parametrize("url", six_look_alikes(CERTIFICATE_URL), ids=ascii)
def test_a_certificate_is_fetched_from_nowhere_else(url: str, fetching_app: Any, httpx_mock: HTTPXMock) -> None:
    """With its certificate in a file the message would get in. All look-alikes are in unit/."""
    function = Function(fetching_app)
    refused(function, function.request("POST", content=json.dumps(done(signing_cert_url=url))), "smn")


@pytest.mark.parametrize("url", [None, 7, [CERTIFICATE_URL], {"url": CERTIFICATE_URL}, True])
def test_an_address_that_is_no_text_is_none(url: Any, fetching: Function) -> None:
    message = {name: value for name, value in done().items() if name != "signing_cert_url"}
    refused(fetching, fetching.request("POST", content=json.dumps(message)), "smn")
    refused(fetching, fetching.request("POST", content=json.dumps(message | {"signing_cert_url": url})), "smn")


@pytest.mark.parametrize("url", six_look_alikes(CONFIRM_URL), ids=ascii)
def test_a_signed_subscription_to_elsewhere_is_not_followed(url: str, pinned_app: Any, httpx_mock: HTTPXMock) -> None:
    """SMN would not sign it; if it did, the address would still not be followed. All look-alikes are in unit/."""
    function = Function(pinned_app)
    reply = function.request("POST", content=json.dumps(signed("SubscriptionConfirmation", subscribe_url=url)))
    assert (reply.status_code, reply.json()["reason"]) == (400, "subscribe_url: not an address of SMN")
    receipt = function.receipt()
    assert (receipt["outcome"], receipt["dialect"]) == ("malformed", "smn")


@pytest.mark.parametrize("line_break", ["\n", "\r"])
def test_an_address_of_two_lines_makes_no_signature_count(line_break: str, function: Function) -> None:
    message = signed("SubscriptionConfirmation", subscribe_url=f"{CONFIRM_URL}{line_break}x")
    refused(function, function.request("POST", content=json.dumps(message)), "smn")


def test_a_signed_subscription_without_its_address_is_malformed(function: Function) -> None:
    reply = function.request("POST", content=json.dumps(signed("SubscriptionConfirmation", subscribe_url=None)))
    assert reply.status_code == 400
    assert function.receipt()["outcome"] == "malformed"


def test_a_forgery_costs_no_second_fetch(fetching: Function, httpx_mock: HTTPXMock) -> None:
    """A forged message whose certificate is there is refused."""
    httpx_mock.add_response(url=CERTIFICATE_URL, content=certificate(rsa_key("smn")))
    forged = sign_smn(smn_message(), rsa_key("other"))
    for _ in range(3):
        refused(fetching, fetching.request("POST", content=json.dumps(forged)), "smn")
