"""The whole app holds its promises whatever it is sent; tests/fuzz.py says which, and plays on for hours."""

import json
import time
from collections.abc import Iterator

import pytest

from example import shown
from fuzz import BEARER, Fuzzed, Raw, fuzzed, named_in, play

pytestmark = pytest.mark.usefixtures("unmeasured")
JSON = (b"content-type", b"application/json")
NOW = str(int(time.time())).encode()


@pytest.fixture(scope="module")
def running() -> Iterator[Fuzzed]:
    with fuzzed() as started:
        yield started


@pytest.mark.parametrize("number", [300, pytest.param(600, marks=pytest.mark.long)])
def test_deliveries_of_any_kind_break_no_promise(number: int, running: Fuzzed) -> None:
    play(running, number)
    assert running.deliveries >= number
    assert running.started > 10  # not all of them are rejected before they reach OMS
    assert {200, 204, 400, 401, 415, 503} <= running.statuses.keys()


BODIES = {
    "nested": b"[" * 500_000,
    "digits": b"[" + b"1" * 500_000 + b"]",
    "numbers": b"[" + b"1," * 250_000 + b"1]",
    "fields": json.dumps({f"f{number}": 1 for number in range(38_000)}).encode(),
    "objects": b'{"x":[' + b'{"a":{}},' * 58_000 + b"1]}",
    "records": b'{"record":[' + b'{"smn":{}},' * 46_000 + b"1]}",
    "alerts": b'{"version":"4","groupKey":"k","alerts":[' + b'{"labels":{}},' * 36_000 + b"1]}",
    "a word": b'{"' + b"a_" * 250_000 + b'!": 1}',
    "a name": b'{"task_name":"' + b"a-" * 250_000 + b'"}',
    "a message": json.dumps({"record": [{"smn": {"message_id": "1", "message": "a-b-" * 120_000}}]}).encode(),
}


@pytest.mark.parametrize("body", BODIES)
def test_the_most_that_a_body_can_hold_stalls_nobody(body: str, running: Fuzzed) -> None:
    running.check(Raw(headers=(JSON, BEARER), body=BODIES[body], proven=True))


HEADS: dict[str, tuple[tuple[bytes, bytes], ...]] = {
    "many": tuple((b"x-%d" % number, b"y") for number in range(16_000)),
    "one name": ((b"x", b"y"),) * 16_000,
    "signatures": (
        (b"webhook-signature", b"v1,AA== " * 8000),
        (b"webhook-id", b"1"),
        (b"webhook-timestamp", NOW),
    ),
    "a token": ((b"authorization", b"Bearer " + b"e30" * 10_000 + b"." + b"e30" * 10_000 + b".AA"),),
    "a trace": ((b"traceparent", b"00-" + b"a-" * 30_000), BEARER),
    "a quoted id": ((b"ce-id", b'"' + b"\\" * 60_000 + b'"'), (b"ce-specversion", b"1.0"), BEARER),
}


@pytest.mark.parametrize("head", HEADS)
def test_the_most_that_a_head_can_hold_stalls_nobody(head: str, running: Fuzzed) -> None:
    running.check(Raw(headers=(JSON, *HEADS[head]), body=b"{}", proven=True))


def test_the_largest_answer_of_oms_stalls_nobody(running: Fuzzed) -> None:
    answer = json.dumps(shown(id=7, src_node={"object_key": ["k" * 96] * 41_000})).encode()
    assert running.check(
        Raw(headers=(JSON, BEARER), body=b'{"task_id": 7}', proven=True, answers={"show": (200, answer)})
    ) == ["7"]


def test_what_a_delivery_names_is_found_however_it_is_wrapped() -> None:
    inner = b'{"body": "{\\"message\\": {\\"data\\": \\"eyJ0YXNrX2lkIjogNDJ9\\"}}"}'
    assert "42" in named_in(Raw(body=inner))
    assert "42" not in named_in(Raw(body=b"{}"))
