"""The server's worker: what its signals do, and what its reader of HTTP does with what is no HTTP."""

import asyncio
import contextlib
import gc
import logging
import signal
import socket
import struct
import time
from collections.abc import Iterator
from types import FrameType
from typing import Any
from unittest import mock
from weakref import ref

import h11
import pytest
import uvicorn
import uvicorn_worker

from restarter.serving import http_protocol
from restarter.serving import worker as http_worker

HANDLED = [*http_worker.Worker.SIGNALS, signal.SIGTERM]


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[http_worker.Worker]:
    """The worker that the framework starts, without a server; the signals of this process are put back."""
    monkeypatch.setattr(uvicorn_worker, "UvicornWorker", uvicorn_worker.UvicornWorker)
    monkeypatch.setattr(uvicorn.config, "HTTP_PROTOCOLS", dict(uvicorn.config.HTTP_PROTOCOLS))
    http_worker.install()
    before = {number: signal.getsignal(number) for number in HANDLED}
    yield uvicorn_worker.UvicornWorker.__new__(uvicorn_worker.UvicornWorker)
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_signal_after_the_last_reply_ends_the_program(number: int, worker: http_worker.Worker) -> None:
    worker.init_signals()
    with pytest.raises(SystemExit) as ended:
        signal.raise_signal(number)
    assert ended.value.code == 0
    signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGINT)


def test_a_quick_stop_of_gunicorn_is_the_stop_that_uvicorn_knows(worker: http_worker.Worker) -> None:
    heard: list[int] = []

    def hear(number: int, _frame: FrameType | None) -> None:
        heard.append(number)

    signal.signal(signal.SIGTERM, hear)
    worker.handle_exit(signal.SIGQUIT, None)
    assert heard == [signal.SIGTERM]


def test_what_is_no_request_goes_to_the_framework_as_it_came() -> None:
    came: list[Any] = []

    async def framework(scope: Any, _receive: Any, _send: Any) -> None:
        came.append(scope)

    lifespan = {"type": "lifespan", "asgi": {"version": "3.0"}}
    asyncio.run(http_worker.EveryRequest(framework)(lifespan, None, None))
    assert came == [{"type": "lifespan", "asgi": {"version": "3.0"}}]


async def hello(_scope: Any, _receive: Any, send: Any) -> None:
    """An application that begins its reply at once, and ends it when it is too late."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await asyncio.sleep(0.05)
    with contextlib.suppress(Exception):
        await send({"type": "http.response.body", "body": b"hello"})


async def say(*parts: bytes, pause: float = 0.1, idle_s: float = 5, app: Any = hello) -> bytes:
    """What a server answers to these bytes until it closes the connection.

    Args:
        parts: Packets.
        pause: Seconds after each.
        idle_s: For how long an idle connection stays.
        app: The application.
    """
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, http=http_protocol.Http, lifespan="off", log_config=None)
    config.timeout_keep_alive = idle_s  # type: ignore[assignment]  # the loop takes parts of a second, too
    running = uvicorn.Server(config)
    serving = asyncio.create_task(running.serve(sockets=[listening]))
    reader, writer = await asyncio.open_connection(*listening.getsockname())
    for part in parts:
        writer.write(part)
        await asyncio.sleep(pause)
    answer = b""
    with contextlib.suppress(ConnectionResetError):
        while part := await asyncio.wait_for(reader.read(65536), 5):
            answer += part
    writer.close()
    running.should_exit = True
    await serving
    return answer


def test_uvicorn_reads_http_in_the_same_way_without_gunicorn(worker: http_worker.Worker) -> None:
    """As `functions-framework --debug` starts it; left to itself, it takes httptools, which bounds nothing."""
    config = uvicorn.Config(hello, log_config=None)
    config.load()
    assert config.http_protocol_class is http_protocol.Http


def test_what_is_no_http_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    assert asyncio.run(say(b"\x00\x01\r\n\r\n")).startswith(b"HTTP/1.1 400 ")
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_garbage_after_a_reply_began_leaves_no_traceback(caplog: pytest.LogCaptureFixture) -> None:
    request = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert asyncio.run(say(request, b"zz\r\ngarbage\r\n")).startswith(b"HTTP/1.1 200 ")
    assert [record for record in caplog.records if record.exc_info] == []


GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[ref[http_protocol.Http]]]:
    """The server's connections, as they are made; meanwhile no garbage is collected."""
    found: list[ref[http_protocol.Http]] = []
    made = http_protocol.Http.connection_made

    def note(http: http_protocol.Http, transport: asyncio.Transport) -> None:
        found.append(ref(http))
        made(http, transport)

    monkeypatch.setattr(http_protocol.Http, "connection_made", note)
    gc.disable()
    yield found
    gc.enable()


@pytest.mark.parametrize(
    "sent", [b"POST / HTTP/1.1\r\n" + b"X: y\r\n" * 10_000, b"garbage\r\n\r\n", GET], ids=lambda sent: sent[:4]
)
def test_what_a_closed_connection_read_is_gone_without_collecting_garbage(
    sent: bytes, connections: list[ref[http_protocol.Http]]
) -> None:
    """Collections come by the number of objects, and a head has 64 KiB: strangers would fill the memory."""
    assert asyncio.run(say(sent, idle_s=0.3)).startswith(b"HTTP/1.1 ")
    assert [one() for one in connections] == [None]


def test_what_a_reset_connection_read_is_gone_although_it_could_have_stayed_idle(
    connections: list[ref[http_protocol.Http]],
) -> None:
    async def reset() -> None:
        listening = socket.create_server(("127.0.0.1", 0))
        running = uvicorn.Server(uvicorn.Config(hello, http=http_protocol.Http, lifespan="off", log_config=None))
        serving = asyncio.create_task(running.serve(sockets=[listening]))
        reader, writer = await asyncio.open_connection(*listening.getsockname())
        writer.write(GET)
        assert (await reader.readuntil(b"hello")).startswith(b"HTTP/1.1 200")
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.close()
        for _ in range(100):
            if connections[0]() is None:
                break
            await asyncio.sleep(0.01)
        assert [one() for one in connections] == [None]
        running.should_exit = True
        await serving

    asyncio.run(reset())


def test_a_reply_leaves_in_one_call_of_the_system() -> None:
    async def reply() -> list[bytes]:
        config = uvicorn.Config(hello, http=http_protocol.Http, lifespan="off", log_config=None)
        http = http_protocol.Http(config, uvicorn.server.ServerState(), {})
        http.conn.receive_data(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        http.conn.next_event()
        real = mock.create_autospec(asyncio.Transport, instance=True)
        transport = http_protocol.LingeringTransport(real, http)
        for event in (
            h11.InformationalResponse(status_code=100, headers=[], reason="Continue"),
            h11.Response(status_code=200, headers=[("Content-Length", "5")], reason="OK"),
            h11.Data(data=b"hello"),
            h11.EndOfMessage(),
        ):
            transport.write(http.conn.send(event) or b"")
        return [called.args[0] for called in real.write.call_args_list]

    assert asyncio.run(reply()) == [
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    ]


@pytest.mark.parametrize("parts", [[b""], [b"G"] * 5, [GET, b"G"], [GET, *([b"G"] * 4)], [GET]], ids=ascii)
def test_a_connection_waits_for_a_head_no_longer_than_idle(parts: list[bytes]) -> None:
    """Neither one byte nor many that come slowly hold it, before the first request or after a reply."""
    began = time.monotonic()
    answered = asyncio.run(say(*parts, pause=0.05, idle_s=0.3))
    assert answered.count(b"HTTP/1.1 200") == (parts[0] == GET)
    assert 0.3 <= time.monotonic() - began < 1.5


def test_a_request_that_takes_longer_than_an_idle_connection_stays_is_answered() -> None:
    assert asyncio.run(say(GET, idle_s=0.01)).endswith(b"hello")


async def measure(scope: Any, receive: Any, send: Any) -> None:
    """An application that reads the whole body and replies how long it is, or that it is broken."""
    size, more = 0, True
    while more:
        message = await receive()
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    await asyncio.sleep(0.03)
    body = b"broken" if http_protocol.BROKEN_BODY in scope["state"] else b"%d bytes" % size
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


async def refuse(_scope: Any, _receive: Any, send: Any) -> None:
    """An application that replies before it has read anything."""
    headers = [(b"content-length", b"0"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


CHUNKED = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ([b"2\r\nhi\r\n0\r\n\r\n"], [b"2 bytes"]),
        ([b"2\r\nh", b"i\r\n", b"0\r\n", b"\r\n"], [b"2 bytes"]),
        ([b"2;extension=1\r\nhi\r\n0\r\nTrailer: x\r\n\r\n"], [b"2 bytes"]),
        ([b"2\r\nhi\r\n0\r\n\r\n", GET], [b"2 bytes", b"0 bytes"]),
        ([b"2\r\nhi\r\n0\r\n\r\n" + GET], [b"2 bytes"]),
        ([b"2\r\nhi\r\n0\r\n\r\ngarbage"], [b"2 bytes"]),
        ([b"1\r\na\r\n" * 900 + b"0\r\n\r\n"], [b"900 bytes"]),
        ([b"1\r\na\r\n" * 1100 + b"0\r\n\r\n"], [b"broken"]),
        ([b"2\r\nhi", b"zz"], [b"broken"]),
        ([b"zz\r\n", b"2\r\nhi\r\n0\r\n\r\n" + GET], [b"broken"]),
    ],
    ids=lambda value: ascii(value)[:60],
)
def test_chunks_are_read_at_once(parts: list[bytes], said: list[bytes]) -> None:
    """What is no chunk is for the application to refuse."""
    answered = asyncio.run(say(CHUNKED, *parts, idle_s=0.4, pause=0.02, app=measure))
    assert [part.partition(b"\r\n\r\n")[2] for part in answered.split(b"HTTP/1.1 200")[1:]] == said


@pytest.mark.parametrize("lines", [990, 1010])
def test_a_head_of_over_a_thousand_lines_is_not_parsed(lines: int) -> None:
    head = b"GET / HTTP/1.1\r\nHost: h\r\n" + b"a:\r\n" * lines + b"\r\n"
    status = b"HTTP/1.1 200" if lines < 1000 else b"HTTP/1.1 400"
    assert asyncio.run(say(head, idle_s=0.2, app=measure)).startswith(status)
    assert asyncio.run(say(GET + b"\n" * 2000, idle_s=0.2, app=measure)).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("sent", [0, 1, 9 * 1024 * 1024])
def test_what_comes_after_a_reply_is_read_within_bounds(sent: int) -> None:
    """And the sender gets the reply, although it has not sent its body yet."""
    head = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999\r\n\r\n"
    began = time.monotonic()
    answered = asyncio.run(say(head, b" " * sent, app=refuse))
    assert answered.startswith(b"HTTP/1.1 413")
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("bound", ["MAX_DISCARDED_BYTES", "DISCARD_TIMEOUT_S"])
def test_a_sender_that_goes_on_after_its_reply_is_cut_off(bound: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, bound, 0.1 if bound.endswith("S") and "TIMEOUT" in bound else 1000)
    ended: list[float] = []

    async def go_on() -> None:
        listening = socket.create_server(("127.0.0.1", 0))
        running = uvicorn.Server(uvicorn.Config(refuse, http=http_protocol.Http, lifespan="off", log_config=None))
        serving = asyncio.create_task(running.serve(sockets=[listening]))
        _, writer = await asyncio.open_connection(*listening.getsockname())
        writer.write(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999\r\n\r\n")
        began = time.monotonic()
        with contextlib.suppress(OSError):
            while time.monotonic() - began < 3:
                writer.write(b" " * 100)
                await writer.drain()
                await asyncio.sleep(0.01)
        ended.append(time.monotonic() - began)
        writer.close()
        running.should_exit = True
        await serving

    asyncio.run(go_on())
    assert ended[0] < 1


def test_a_sender_that_reset_the_connection_is_not_waited_for() -> None:
    async def close() -> None:
        config = uvicorn.Config(hello, http=http_protocol.Http, lifespan="off", log_config=None)
        http = http_protocol.Http(config, uvicorn.server.ServerState(), {})
        http.conn.receive_data(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n")
        http.conn.next_event()
        real = mock.create_autospec(asyncio.Transport, instance=True)
        real.is_closing.return_value = False
        real.write_eof.side_effect = OSError
        transport = http_protocol.LingeringTransport(real, http)
        transport.close()
        transport.close()
        assert transport.is_closing()
        real.write_eof.assert_called_once_with()

    asyncio.run(close())


def test_what_comes_after_broken_chunks_is_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def receive() -> None:
        config = uvicorn.Config(hello, http=http_protocol.Http, lifespan="off", log_config=None)
        http = http_protocol.Http(config, uvicorn.server.ServerState(), {})
        parsed: list[bool] = []
        monkeypatch.setattr(http, "handle_events", lambda: parsed.append(True))
        http.data_received(b"no HTTP\r\n\r\n")
        with pytest.raises(h11.RemoteProtocolError):
            http.conn.next_event()
        http.data_received(GET)
        assert parsed == [True]

    asyncio.run(receive())
