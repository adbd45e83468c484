"""The server's worker: what its signals do, and what its reader of HTTP does with what is no HTTP."""

import asyncio
import contextlib
import logging
import signal
import socket
import time
from collections.abc import Iterator
from types import FrameType
from typing import Any

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
def test_what_uvicorn_raises_again_after_the_last_reply_ends_the_program_and_the_next_signal_does_nothing(
    number: int, worker: http_worker.Worker
) -> None:
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


async def hello(_scope: Any, _receive: Any, send: Any) -> None:
    """An application that begins its reply at once, and ends it when it is too late."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await asyncio.sleep(0.05)
    with contextlib.suppress(Exception):
        await send({"type": "http.response.body", "body": b"hello"})


async def say(*parts: bytes, pause: float = 0.1, idle_s: float = 5) -> bytes:
    """What a server answers to these bytes until it closes the connection.

    Args:
        parts: Packets.
        pause: Seconds after each.
        idle_s: For how long an idle connection stays.
    """
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(hello, http=http_protocol.Http, lifespan="off", log_config=None)
    config.timeout_keep_alive = idle_s  # type: ignore[assignment]  # the loop takes parts of a second, too
    running = uvicorn.Server(config)
    serving = asyncio.create_task(running.serve(sockets=[listening]))
    reader, writer = await asyncio.open_connection(*listening.getsockname())
    for part in parts:
        writer.write(part)
        await asyncio.sleep(pause)
    answer = await asyncio.wait_for(reader.read(), 5)
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


def test_garbage_after_a_reply_closes_the_connection_without_a_traceback(caplog: pytest.LogCaptureFixture) -> None:
    request = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert asyncio.run(say(request, b"zz\r\ngarbage\r\n")).startswith(b"HTTP/1.1 200 ")
    assert [record for record in caplog.records if record.exc_info] == []


GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"


@pytest.mark.parametrize("parts", [[b""], [b"G"] * 5, [GET, b"G"], [GET, *([b"G"] * 4)], [GET]], ids=ascii)
def test_a_connection_waits_for_a_head_no_longer_than_idle(parts: list[bytes]) -> None:
    """Neither one byte nor many that come slowly hold it, before the first request or after a reply."""
    began = time.monotonic()
    answered = asyncio.run(say(*parts, pause=0.05, idle_s=0.3))
    assert answered.count(b"HTTP/1.1 200") == (parts[0] == GET)
    assert 0.3 <= time.monotonic() - began < 1.5


def test_a_request_that_takes_longer_than_an_idle_connection_stays_is_answered() -> None:
    assert asyncio.run(say(GET, idle_s=0.01)).endswith(b"hello")
