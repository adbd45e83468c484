"""SDK-HMAC-SHA256 against vectors made with the official signer and one printed in Huawei's signing guide."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from restarter.dialects.parsing import ParsedDelivery
from restarter.http.call import Answer, Call
from restarter.model.delivery import AccessKey, AuthenticatedDelivery, AuthToken, Delivery
from restarter.oms.signing import identify, sign

VECTORS = json.loads((Path(__file__).parent / "signature_vectors.json").read_text())
NOW = datetime.fromisoformat("20260102T030405Z")
CALL = Call(
    "POST",
    "https://oms.cn-north-4.myhuaweicloud.com",
    "/v2/2c0689c860ad4728a497ffffc0844383/tasks/191297407830872/start",
    headers={"Content-Type": "application/json"},
    content=b'{"src_ak": "src_ak", "src_sk": "src_sk", "dst_ak": "dst_ak", "dst_sk": "dst_sk", '
    b'"migrate_failed_object": false}',
)
KEY = AccessKey(SecretStr("AKEXAMPLE0000000001"), SecretStr("SKEXAMPLE00000000000000000000000000000001"))


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_every_known_vector_is_reproduced(vector: dict[str, Any]) -> None:
    headers = {name: value for name, value in vector["headers_in"].items() if name not in ADDED_BY_SIGNING}
    call = Call(
        vector["method"],
        "https://" + vector["host"],
        vector["resource_path"],
        tuple((name, value) for name, value in vector["query"]),
        headers,
        (vector["body"] or "").encode(),
    )
    token = vector["headers_in"].get("X-Security-Token")
    key = AccessKey(SecretStr(vector["ak"]), SecretStr(vector["sk"]), SecretStr(token) if token else None)
    now = datetime.strptime(vector["headers_in"]["X-Sdk-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    assert sign(call, key, now)["Authorization"] == vector["authorization"]


ADDED_BY_SIGNING = {"X-Sdk-Date", "X-Security-Token"}


def test_the_literal_header_of_a_start() -> None:
    assert sign(CALL, KEY, NOW) == {
        "Host": "oms.cn-north-4.myhuaweicloud.com",
        "X-Sdk-Date": "20260102T030405Z",
        "Authorization": "SDK-HMAC-SHA256 Access=AKEXAMPLE0000000001, SignedHeaders=content-type;host;x-sdk-date, "
        "Signature=9ebdb866a9d33a4c53bf269fd9c38770e74d97b027cd8140e08be39701db4b0c",
    }


def test_the_order_of_query_pairs_does_not_change_the_signature() -> None:
    """The call keeps its own order."""
    one = Call("GET", CALL.origin, "/v2/p/tasks", (("b", "2"), ("a", "x y/~")))
    other = Call("GET", CALL.origin, "/v2/p/tasks", (("a", "x y/~"), ("b", "2")))
    assert sign(one, KEY, NOW) == sign(other, KEY, NOW)
    assert one.url.endswith("?b=2&a=x%20y%2F~")


def test_a_token_is_a_header_and_nothing_is_signed() -> None:
    headers = identify(CALL, AuthToken(SecretStr("a-token")), NOW)
    assert headers == {
        "Content-Type": "application/json",
        "Host": "oms.cn-north-4.myhuaweicloud.com",
        "X-Auth-Token": "a-token",
    }


DELIVERY = Delivery("POST", "/", {"authorization": "Bearer a-secret"}, b"a-secret")
PARSED = ParsedDelivery(AuthenticatedDelivery(DELIVERY, "bearer"), "", is_binary_event=False, document="a-secret")


@pytest.mark.parametrize(
    "value",
    [
        CALL._replace(headers={"X-Auth-Token": "a-secret"}, content=b"a-secret", origin="https://host/?token=a-secret"),
        Answer(200, b"a-secret", subject_token=SecretStr("a-secret"), date="a-secret"),
        AccessKey(SecretStr("a-secret"), SecretStr("a-secret"), SecretStr("a-secret")),
        AuthToken(SecretStr("a-secret")),
        DELIVERY,
        PARSED,
    ],
    ids=lambda value: type(value).__name__,
)
def test_nothing_secret_is_in_the_repr(value: object) -> None:
    assert type(value).__name__ in repr(value)
    assert "a-secret" not in f"{value} {value!r}"
