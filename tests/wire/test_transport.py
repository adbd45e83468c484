"""The real client over a real socket, against the simulator when it misbehaves."""

import asyncio
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

import pytest
from pydantic import SecretStr

from example import PROJECT, TASK, slowness
from restarter.http.call import Answer, Call, NoAnswer
from restarter.http.transport import MAX_ANSWER_BYTES, Transport
from restarter.model.delivery import AccessKey
from restarter.model.outcome import Reason
from restarter.model.task import Start
from restarter.oms import start_task, tasks
from restarter.oms.signing import identify
from restarter.settings.model import StorageCredentials
from simulator import Simulator

KEY = AccessKey(SecretStr("AKEXAMPLE0000000001"), SecretStr("SKEXAMPLE00000000000000000000000000000001"))
KEYS = StorageCredentials(src_ak="a", src_sk="b", dst_ak="c", dst_sk="d")


@pytest.fixture
def oms() -> Iterator[tuple[Simulator, str]]:
    simulator = Simulator()
    with simulator.serving() as url:
        yield simulator, url


def signed(call: Call) -> dict[str, str]:
    return identify(call, KEY, datetime.now(UTC))


def send(*calls: Call, seconds: float = 2.0) -> list[Answer | NoAnswer]:
    """The calls one after the other over one client."""

    async def all_of_them() -> list[Answer | NoAnswer]:
        transport = Transport()
        try:
            return [await transport.send(call, signed(call), seconds) for call in calls]
        finally:
            await transport.close()

    return asyncio.run(all_of_them())


def start(url: str) -> Call:
    start = Start(str(TASK), migrate_failed_object=True)
    return start_task.build(url, PROJECT, start, start_task.start_body(start, KEYS))


def test_a_signed_start_is_accepted_and_the_body_arrives_as_it_was_built(oms: tuple[Simulator, str]) -> None:
    simulator, url = oms
    (answer,) = send(start(url))
    assert isinstance(answer, Answer)
    assert (answer.status, answer.body, simulator.starts(TASK)) == (200, b"", 1)
    (call,) = simulator.calls()
    assert call["body"] == {
        "src_ak": "a",
        "src_sk": "b",
        "dst_ak": "c",
        "dst_sk": "d",
        "migrate_failed_object": True,
    }


@pytest.mark.parametrize("name", ["photos-photos-20261027211637786_544", "a b", "a+b", "é%20/~&=?#", "\x01\x7f"])
def test_a_name_with_odd_characters_goes_over_the_wire_as_it_was_signed(name: str, oms: tuple[Simulator, str]) -> None:
    simulator, url = oms
    (answer,) = send(tasks.list_named(url, PROJECT, name, 0))
    assert isinstance(answer, Answer)
    assert answer.status != 401  # the simulator computes the signature from what it got
    (call,) = simulator.calls()
    assert parse_qs(call["query"])["task_name"] == [name]


@pytest.mark.parametrize(
    ("action", "expected", "starts"),
    [
        ({"reset_before": "fin"}, NoAnswer(sent=True, reason=Reason.CONNECTION_LOST), 0),
        ({"reset_before": "rst"}, NoAnswer(sent=True, reason=Reason.CONNECTION_LOST), 0),
        ({"reset_after": "fin"}, NoAnswer(sent=True, reason=Reason.CONNECTION_LOST), 1),
        ({"reset_after": "rst"}, NoAnswer(sent=True, reason=Reason.CONNECTION_LOST), 1),
        ({"hang": "before"}, NoAnswer(sent=True, reason=Reason.TIMEOUT), 0),
        ({"hang": "after"}, NoAnswer(sent=True, reason=Reason.TIMEOUT), 1),
    ],
)
def test_a_start_without_an_answer_may_have_been_sent_and_is_sent_once(
    action: dict[str, str], expected: NoAnswer, starts: int, oms: tuple[Simulator, str]
) -> None:
    simulator, url = oms
    simulator.set_rules([{"operation": "start", "action": action}])
    started_at = time.monotonic()
    first, second = send(start(url), start(url), seconds=0.5)
    assert first == expected
    assert second == expected
    assert [call["operation"] for call in simulator.calls()] == ["start", "start"]
    assert simulator.starts(TASK) == starts
    assert time.monotonic() - started_at < 10


def test_a_transport_can_be_closed_and_used_again_and_closed_before_it_was_used(oms: tuple[Simulator, str]) -> None:
    async def use() -> list[int]:
        transport = Transport()
        await transport.close()
        statuses = []
        for _ in range(2):
            call = tasks.show(oms[1], PROJECT, str(TASK))
            answer = await transport.send(call, signed(call), 2.0)
            assert isinstance(answer, Answer)
            statuses.append(answer.status)
            await transport.close()
        return statuses

    assert asyncio.run(use()) == [200, 200]


def test_a_connection_that_nobody_takes_proves_that_nothing_was_sent() -> None:
    assert send(start("http://127.0.0.1:9")) == [NoAnswer(sent=False, reason=Reason.NO_CONNECTION)]


@pytest.mark.parametrize(
    ("action", "status", "body"),
    [
        ({"answer": "redirect"}, 302, None),
        ({"answer": "bad_gateway"}, 502, None),
        ({"answer": {"status": 200, "size": MAX_ANSWER_BYTES + 1}}, 200, None),
        ({"answer": {"status": 200, "body": {"id": 1}, "gzip": True}}, 200, None),
        ({"answer": {"status": 429, "body": {"error_code": "APIGW.0308"}}}, 429, {"error_code": "APIGW.0308"}),
    ],
)
def test_an_answer_is_taken_as_it_is(
    action: dict[str, Any], status: int, body: dict[str, Any] | None, oms: tuple[Simulator, str]
) -> None:
    """No redirect is followed, nothing is unpacked, and what is too long is not kept."""
    simulator, url = oms
    simulator.set_rules([{"action": action}])
    (answer,) = send(start(url))
    assert isinstance(answer, Answer)
    assert answer.status == status
    assert answer.document == body
    assert len(simulator.calls()) == 1


@pytest.mark.parametrize(
    "body", [b"[" + b"[]," * 20_000 + b"0]", b"[" + b'{"":0},' * 20_000 + b"0]", b"[" + b"0," * 200_001 + b"0]"]
)
def test_an_answer_that_costs_too_much_to_parse_is_not_read(body: bytes) -> None:
    assert Answer(200, body).document is None


@pytest.mark.usefixtures("unmeasured")
@pytest.mark.parametrize(
    "unit", [b"[],", b"{},", b'{"":0},', b"0,", b'"",', b'"%d":0,', b"1.5,", b'"\\u0041",', b"[", b'{"":'], ids=ascii
)
def test_an_answer_holds_the_event_loop_for_at_most_50_ms(unit: bytes) -> None:
    """Of 4 MiB, or as much as is parsed; the first of three tries that is short enough, for the machine may be busy."""
    took = []
    for size in (MAX_ANSWER_BYTES, MAX_ANSWER_BYTES // 8, MAX_ANSWER_BYTES // 64):
        units = b"".join(unit % number if b"%" in unit else unit for number in range(size // len(unit)))
        answer = Answer(
            200, b"{" + units + b'"":0}' if b":0," in unit[:8] and unit[:1] == b'"' else b"[" + units + b"0]"
        )
        tries = []
        for _ in range(3):
            began = time.thread_time()
            assert answer.document is None or len(answer.body or b"") < MAX_ANSWER_BYTES
            tries.append(time.thread_time() - began)
            if tries[-1] < 0.05:
                break
        took.append(min(tries))
    assert max(took) < 0.05 or max(took) < 0.05 * slowness()


Talk = Callable[[asyncio.StreamWriter], Any]


@pytest.mark.parametrize(
    ("spoken", "expected"),
    [
        (b"garbage\r\n\r\n", NoAnswer(sent=True, reason=Reason.CONNECTION_LOST)),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", Answer(200, None)),
        (b"HTTP/1.1 200 OK\r\nX-Request-Id: <a b>\r\nContent-Length: 0\r\n\r\n", Answer(200, b"")),
        (b"HTTP/1.1 200 OK\r\nX-Request-Id: r-1\r\nContent-Length: 0\r\n\r\n", Answer(200, b"", "r-1")),
        (b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n", Answer(200, b"")),
    ],
)
def test_what_a_server_can_do_to_an_answer(spoken: bytes, expected: Answer | NoAnswer) -> None:
    """Once the status is there it counts; a body cut short is no body; a cookie is not brought back."""
    heard: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        heard.append(head)
        writer.write(spoken)
        await writer.drain()
        writer.close()

    async def run() -> list[Answer | NoAnswer]:
        transport = Transport()
        async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            call = tasks.show(url, PROJECT, "1")
            answers = [await transport.send(call, signed(call), 1.0) for _ in range(2)]
            await transport.close()
            return answers

    assert asyncio.run(run()) == [expected, expected]
    assert all(b"cookie" not in head.lower() for head in heard)
