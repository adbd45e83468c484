"""The pool over real sockets, against servers that speak raw bytes: who may have got a request, and what comes back."""

import asyncio
import contextlib
import functools
import gc
import socket
import ssl
import struct
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import httptools
import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from processes import free_port
from restarter.http.dial import dial
from restarter.http.pool import NOT_SENT, ConnectionPool, may_have_been_sent, tls_context
from restarter.http.response_parser import MAX_INFORMATIONAL

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
CLOSES = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"
SECRET = "secret-of-the-caller"
MIB = 1024 * 1024
Script = Callable[["Peer"], Awaitable[None]]


def in_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run the test in an event loop of its own, which must have had no errors that nobody saw."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        unseen: list[dict[str, Any]] = []

        async def watched() -> None:
            asyncio.get_running_loop().set_exception_handler(lambda _, context: unseen.append(context))
            await test(*args, **kwargs)

        asyncio.run(watched())
        assert unseen == []

    return run


@dataclass
class Peer:
    """The server's end of one connection."""

    server: "Server"
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def request(self) -> bytes:
        """Read one request with the content that its length tells."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0] or b"0"
        self.server.requests.append(head + await self.reader.readexactly(int(length)))
        return self.server.requests[-1]

    async def say(self, *parts: bytes) -> None:
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()

    def reset(self) -> None:
        """Hang up with RST."""
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


@dataclass
class Server:
    """What a scripted server has seen."""

    url: str = ""
    connections: int = 0
    requests: list[bytes] = field(default_factory=list)


@asynccontextmanager
async def serving(
    script: Script, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1", name: str = ""
) -> AsyncIterator[Server]:
    """A server that runs `script` for each connection and then hangs up."""
    seen = Server()
    running: set[asyncio.Task[None] | None] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.connections += 1
        running.add(asyncio.current_task())
        try:
            await script(Peer(seen, reader, writer))
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the pool hung up, or the test is over
        finally:
            writer.transport.abort() if tls else writer.close()

    server = await asyncio.start_server(talk, host, 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    seen.url = f"{'https' if tls else 'http'}://{name or (f'[{host}]' if ':' in host else host)}:{port}"
    try:
        yield seen
    finally:
        server.close()
        for task in running:
            assert task is not None
            task.cancel()
        await asyncio.gather(*(task for task in running if task is not None))
        await asyncio.sleep(0.01)  # transports close in the event loop


def answering(*answers: bytes) -> Script:
    """Say the next answer after each request; after the last one, hang up."""

    async def script(peer: Peer) -> None:
        for answer in answers:
            await peer.request()
            await peer.say(answer)

    return script


async def for_ever(peer: Peer) -> None:
    """Answer each request."""
    while True:
        await peer.request()
        await peer.say(OK)


async def hang(peer: Peer) -> None:
    """Read one request, and never answer."""
    await peer.request()
    await asyncio.sleep(60)


def build(url: str, method: str = "POST", content: bytes = b"{}", **seconds: float | None) -> httpx.Request:
    timeout = {"connect": 2.0, "pool": 2.0, **seconds}
    headers = {"Authorization": SECRET}
    return httpx.Request(method, url, headers=headers, content=content, extensions={"timeout": timeout})


async def fetch(pool: ConnectionPool, request: httpx.Request) -> tuple[int, bytes]:
    response = await pool.handle_async_request(request)
    try:
        return response.status_code, b"".join([chunk async for chunk in response.aiter_raw()])
    finally:
        await response.aclose()


async def failure(pool: ConnectionPool, request: httpx.Request) -> httpx.TransportError:
    """What the call raised; it says the same as the mark of the request, and no secret."""
    with pytest.raises(httpx.TransportError) as caught:
        await fetch(pool, request)
    error = caught.value
    assert isinstance(error, NOT_SENT) is not may_have_been_sent(request)
    assert SECRET not in repr(error) + repr(error.__cause__)
    return error


@asynccontextmanager
async def pooling(
    limit: int = 10, idle_seconds: float = 15.0, tls: ssl.SSLContext | None = None
) -> AsyncIterator[ConnectionPool]:
    pool = ConnectionPool(limit, idle_seconds=idle_seconds, tls=tls)
    try:
        yield pool
    finally:
        await pool.aclose()


def certificate(folder: Path, name: str, *, days: int = 1) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's TLS context with a certificate for `name`, and a client's that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    began = datetime.now(UTC) - timedelta(days=10)
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(began)
        .not_valid_after(began + timedelta(days=10 + days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = folder / f"{name}.pem"
    file.write_bytes(private + pem)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    return server, ssl.create_default_context(cadata=pem.decode())


# Nothing was sent


@pytest.mark.parametrize("scheme", ["http", "https"])
@in_loop
async def test_a_refused_connection(scheme: str) -> None:
    async with pooling() as pool:
        error = await failure(pool, build(f"{scheme}://127.0.0.1:{free_port()}/"))
        assert isinstance(error, httpx.ConnectError)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 64 + ".invalid"])
@in_loop
async def test_a_name_without_an_address(host: str) -> None:
    async with pooling() as pool:
        error = await failure(pool, build(f"http://{host}/", connect=20.0))
        assert isinstance(error, httpx.ConnectError)


@in_loop
async def test_a_connection_that_takes_too_long() -> None:
    """A server that accepts, and never sends its part of the TLS handshake."""
    async with serving(lambda peer: asyncio.sleep(60)) as server, pooling() as pool:
        error = await failure(pool, build(server.url.replace("http:", "https:"), connect=0.1))
        assert isinstance(error, httpx.ConnectTimeout)
        assert server.requests == []


@in_loop
async def test_a_certificate_for_another_name(tmp_path: Path) -> None:
    theirs, ours = certificate(tmp_path, "other.example")
    async with serving(answering(OK), theirs, name="localhost") as server, pooling(tls=ours) as pool:
        error = await failure(pool, build(server.url))
        assert isinstance(error, httpx.ConnectError)
        assert isinstance(error.__cause__, ssl.SSLCertVerificationError)
        assert server.requests == []


@in_loop
async def test_a_certificate_that_expired(tmp_path: Path) -> None:
    theirs, ours = certificate(tmp_path, "localhost", days=-1)
    async with serving(answering(OK), theirs, name="localhost") as server, pooling(tls=ours) as pool:
        assert isinstance(await failure(pool, build(server.url)), httpx.ConnectError)
        assert server.requests == []


@in_loop
async def test_a_certificate_that_no_root_of_certifi_signed(tmp_path: Path) -> None:
    theirs, _ = certificate(tmp_path, "localhost")
    async with serving(answering(OK), theirs, name="localhost") as server, pooling() as pool:
        assert isinstance(await failure(pool, build(server.url)), httpx.ConnectError)
        assert server.requests == []


@in_loop
async def test_a_server_that_does_not_speak_tls() -> None:
    async def plain(peer: Peer) -> None:
        await peer.say(OK)
        await asyncio.sleep(0.2)

    async with serving(plain) as server, pooling() as pool:
        error = await failure(pool, build(server.url.replace("http:", "https:")))
        assert isinstance(error, httpx.ConnectError)


@in_loop
async def test_a_server_that_hangs_up_within_the_handshake() -> None:
    async with serving(lambda peer: asyncio.sleep(0)) as server, pooling() as pool:
        error = await failure(pool, build(server.url.replace("http:", "https:")))
        assert isinstance(error, httpx.ConnectError)


@pytest.mark.parametrize(
    ("method", "name", "value"),
    [
        ("POST", b"X-Test", b"a\r\nEvil: b"),
        ("POST", b"X-Test", b"a\nb"),
        ("POST", b"X-Test", b"a\rb"),
        ("POST", b"X-Test\r\nEvil", b"a"),
        ("POST / HTTP/1.1\r\nEvil: b", b"X-Test", b"a"),
    ],
)
@in_loop
async def test_a_line_break_makes_no_other_header(method: str, name: bytes, value: bytes) -> None:
    async with serving(for_ever) as server, pooling() as pool:
        request = build(server.url, method)
        request.headers = httpx.Headers([*request.headers.raw, (name, value)])
        assert isinstance(await failure(pool, request), httpx.LocalProtocolError)
        assert server.connections == 0


def full(address: str, port: int) -> tuple[socket.socket, socket.socket]:
    """A listener whose queue is full, so that the system drops what is sent to it; and what fills it."""
    listener = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, port))
    listener.listen(0)
    return listener, socket.create_connection(listener.getsockname()[:2])


@pytest.mark.parametrize("dead", [["127.0.0.9"], ["::1"], ["::1", "::1", "::1", "::1", "::1", "::1"]])
@in_loop
async def test_of_two_addresses_of_which_one_drops_everything_the_other_is_used(
    dead: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As behind a network that drops IPv6: every request failed, for ever."""
    async with serving(for_ever) as server, pooling() as pool:
        port = int(server.url.rpartition(":")[2])
        real = socket.getaddrinfo

        def both(host: str, *arguments: Any, **options: Any) -> list[Any]:
            names = (*dead, "127.0.0.1") if host == "two.example" else (host,)
            return [found for name in names for found in real(name, *arguments, **options)]

        monkeypatch.setattr(socket, "getaddrinfo", both)
        listener, filling = full(dead[0], port)
        with listener, filling:
            began = time.monotonic()
            for _ in range(2):
                assert await fetch(pool, build(f"http://two.example:{port}/", connect=1.5)) == (200, b"hi")
            assert 0.2 < time.monotonic() - began < 1.4
            assert server.connections == 1


@pytest.mark.parametrize("refusing", [["127.0.0.9"], ["127.0.0.9", "::1", "127.0.0.8"]])
@in_loop
async def test_an_address_that_refuses_costs_no_time(refusing: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(for_ever) as server, pooling() as pool:
        real = socket.getaddrinfo

        def all_of_them(_host: str, *arguments: Any, **options: Any) -> list[Any]:
            return [found for name in (*refusing, "127.0.0.1") for found in real(name, *arguments, **options)]

        monkeypatch.setattr(socket, "getaddrinfo", all_of_them)
        began = time.monotonic()
        assert await fetch(pool, build(server.url.replace("127.0.0.1", "several.example"))) == (200, b"hi")
        assert time.monotonic() - began < 0.2


@in_loop
async def test_an_address_that_drops_is_waited_for_where_the_others_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    listener, filling = full("127.0.0.9", 0)
    with listener, filling:
        port = listener.getsockname()[1]
        found = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", (name, port)) for name in ("127.0.0.9", "127.0.0.8")]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_arguments, **_options: found)
        async with pooling() as pool:
            assert isinstance(await failure(pool, build("http://two.example/", connect=0.5)), httpx.ConnectTimeout)


@in_loop
async def test_a_name_without_any_address_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_arguments, **_options: [])
    async with pooling() as pool:
        assert isinstance(await failure(pool, build("http://none.example/")), httpx.ConnectError)


@in_loop
async def test_a_socket_that_nobody_needs_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two that connect at the same time, and of one that connects while the call is cancelled."""
    async with serving(for_ever) as server:
        address = ("127.0.0.1", int(server.url.rpartition(":")[2]))
        found = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", address)] * 2
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_arguments, **_options: found)
        monkeypatch.setattr("restarter.http.dial.NEXT_ADDRESS_S", 0)
        (await dial("two.example", 1)).close()
        for steps in range(12):
            dialling = asyncio.create_task(dial("two.example", 1))
            await asyncio.sleep(0.002)
            for _ in range(steps):
                await asyncio.sleep(0)
            dialling.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                (await dialling).close()
        await asyncio.sleep(0.05)
        assert server.connections > 0
    gc.collect()  # a socket that was left open would warn


# It may have been sent


@in_loop
async def test_a_reset_before_the_request_is_read() -> None:
    async def script(peer: Peer) -> None:
        await peer.reader.read(1)
        peer.reset()

    async with serving(script) as server, pooling() as pool:
        assert isinstance(await failure(pool, build(server.url)), httpx.ReadError)
        assert server.connections == 1


@in_loop
async def test_a_reset_after_the_request_is_read() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.reset()

    async with serving(script) as server, pooling() as pool:
        assert isinstance(await failure(pool, build(server.url)), httpx.ReadError)
        assert (server.connections, len(server.requests)) == (1, 1)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200",
        b"garbage\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        b"\r\n" * 40_000,
        b"HTTP/1.1 200 OK\r\nX-Test: a\0b\r\n\r\n",
        b"HTTP/1.1 099 Low\r\nContent-Length: 0\r\n\r\n" + OK,
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nX-Test: " + b"a" * 70_000 + b"\r\n\r\n",
        b"".join(b"X-Test: a\r\n" for _ in range(200_000)),
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * (MAX_INFORMATIONAL + 1) + OK,
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 10_000,
    ],
)
@in_loop
async def test_an_answer_without_a_usable_head(answer: bytes) -> None:
    """The request is not repeated, and the slot and the connection are free again."""
    async with serving(answering(answer)) as server, pooling(limit=1) as pool:
        for count in (1, 2):
            assert isinstance(await failure(pool, build(server.url)), httpx.RemoteProtocolError)
            assert (server.connections, len(server.requests)) == (count, count)


@in_loop
async def test_a_protocol_is_not_switched_even_when_the_caller_asks_for_it() -> None:
    answer = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n"
    async with serving(answering(answer)) as server, pooling() as pool:
        request = build(server.url)
        request.headers.update({"Upgrade": "h2c", "Connection": "upgrade"})
        assert isinstance(await failure(pool, request), httpx.RemoteProtocolError)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nh\r\n0\r\nTrailer: " + bytes([97]) * 70_000,
    ],
)
@in_loop
async def test_half_a_body_is_an_error_after_the_status(answer: bytes) -> None:
    async with serving(answering(answer)) as server, pooling() as pool:
        request = build(server.url)
        response = await pool.handle_async_request(request)
        assert response.status_code == 200
        with pytest.raises(httpx.RemoteProtocolError):
            await response.aread()
        assert may_have_been_sent(request)


@in_loop
async def test_a_reset_within_the_body() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(b"HTTP/1.1 200 OK\r\n\r\n", b"no length: ")
        await asyncio.sleep(0.05)
        peer.reset()

    async with serving(script) as server, pooling() as pool:
        assert isinstance(await failure(pool, build(server.url)), httpx.ReadError)


# What an answer may look like


@pytest.mark.parametrize(
    ("answer", "status", "body"),
    [
        (OK, 200, b"hi"),
        (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", 200, b"until the end"),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", 200, b"until the end"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n", 304, b""),
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 2\r\n\r\nhi", 302, b"hi"),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnone", 200, b"none"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;a=b\r\nh\r\n1\r\ni\r\n0\r\nTrailer: x\r\n\r\n",
            200,
            b"hi",
        ),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n" * MAX_INFORMATIONAL + OK, 200, b"hi"),
    ],
)
@in_loop
async def test_an_answer_comes_back_as_it_is(answer: bytes, status: int, body: bytes) -> None:
    async with serving(answering(answer)) as server, pooling() as pool:
        request = build(server.url)
        assert await fetch(pool, request) == (status, body)
        assert may_have_been_sent(request)
        assert server.connections == 1


@in_loop
async def test_an_answer_that_comes_byte_by_byte() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        for byte in OK:
            await peer.say(bytes([byte]))
            await asyncio.sleep(0)

    async with serving(script) as server, pooling() as pool:
        assert await fetch(pool, build(server.url)) == (200, b"hi")


@in_loop
async def test_a_target_stands_in_the_place_of_the_path() -> None:
    """As httpx documents the extension; so the pool's user need not parse an address for each call."""
    async with serving(for_ever) as server, pooling() as pool:
        request = build(f"{server.url}/path?query")
        request.extensions["target"] = b"/v2/p/tasks/1?limit=50"
        assert await fetch(pool, request) == (200, b"hi")
        await fetch(pool, build(f"{server.url}/path?query"))
        lines = [sent.partition(b"\r\n")[0] for sent in server.requests]
        assert lines == [b"POST /v2/p/tasks/1?limit=50 HTTP/1.1", b"POST /path?query HTTP/1.1"]


@pytest.mark.parametrize("target", [b"/a\r\nX-Evil: b", b"/a HTTP/1.1\r\n\r\n"])
@in_loop
async def test_a_line_break_in_a_target_is_not_sent(target: bytes) -> None:
    async with serving(for_ever) as server, pooling() as pool:
        request = build(server.url)
        request.extensions["target"] = target
        assert isinstance(await failure(pool, request), httpx.LocalProtocolError)
        assert server.connections == 0


@in_loop
async def test_headers_of_the_answer_are_neither_hints_nor_trailers() -> None:
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nh\r\n0\r\nTrailer: x\r\n\r\n"
    async with (
        serving(answering(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + answer)) as server,
        pooling() as pool,
    ):
        response = await pool.handle_async_request(build(server.url))
        assert await response.aread() == b"h"
        assert response.headers.raw == [(b"Transfer-Encoding", b"chunked")]


@in_loop
async def test_an_answer_leaves_nothing_for_the_garbage_collector() -> None:
    async with serving(for_ever) as server, pooling() as pool:
        gc.collect()  # what other tests left
        gc.disable()
        try:
            await fetch(pool, build(server.url))
            assert not [each for each in gc.get_objects() if isinstance(each, httptools.HttpResponseParser)]
        finally:
            gc.enable()


@in_loop
async def test_requests_and_headers_are_neither_changed_nor_parsed() -> None:
    answer = b"HTTP/1.1 200 OK\r\nX-Request-ID: a\r\nSet-Cookie: b\r\nContent-Length: 0\r\n\r\n"
    async with serving(answering(answer)) as server, pooling() as pool:
        headers = [(b"Host", b"oms.example"), (b"X-Odd-CASE", b"\xe9"), (b"Content-Length", b"2")]
        stream = httpx.ByteStream(b"{}")
        url = server.url + "/a%20b/%C3%A9?q=a%2Fb"
        response = await pool.handle_async_request(httpx.Request("PUT", url, headers=headers, stream=stream))
        assert response.headers.raw == [(b"X-Request-ID", b"a"), (b"Set-Cookie", b"b"), (b"Content-Length", b"0")]
        assert await response.aread() == b""
    lines = server.requests[0].split(b"\r\n")
    assert lines[0] == b"PUT /a%20b/%C3%A9?q=a%2Fb HTTP/1.1"
    assert lines[1:] == [b"Host: oms.example", b"X-Odd-CASE: \xe9", b"Content-Length: 2", b"", b"{}"]


@pytest.mark.parametrize("secure", [False, True])
@in_loop
async def test_four_mebibytes_there_and_back(secure: bool, tmp_path: Path) -> None:  # noqa: FBT001 - a parameter of the table
    theirs, ours = certificate(tmp_path, "localhost") if secure else (None, None)
    body = bytes(range(256)) * (4 * MIB // 256)

    async def echo(peer: Peer) -> None:
        content = (await peer.request()).partition(b"\r\n\r\n")[2]
        await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(content), content)
        await peer.reader.read()

    async with serving(echo, theirs, name="localhost") as server, pooling(tls=ours) as pool:
        response = await pool.handle_async_request(build(server.url, content=body))
        await asyncio.sleep(0.1)  # nobody reads: the connection is told to pause
        chunks = [chunk async for chunk in response.aiter_raw()]
        assert b"".join(chunks) == body
        assert max(map(len, chunks)) <= 32 * 1024


@in_loop
async def test_a_body_that_nobody_reads_is_not_piled_up() -> None:
    sent = 0

    async def script(peer: Peer) -> None:
        nonlocal sent
        await peer.request()
        await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (64 * MIB))
        for _ in range(64):
            await peer.say(bytes(MIB))
            sent += 1

    async with serving(script) as server, pooling() as pool:
        response = await pool.handle_async_request(build(server.url))
        await asyncio.sleep(0.3)
        assert sent < 32  # the rest waits at the server
        await response.aclose()


# Connections are kept, and dropped when they are of no use


@in_loop
async def test_one_connection_serves_many_requests() -> None:
    async with serving(for_ever) as server, pooling() as pool:
        for _ in range(5):
            assert await fetch(pool, build(server.url)) == (200, b"hi")
        assert (server.connections, len(server.requests)) == (1, 5)


@in_loop
async def test_one_tls_connection_serves_many_requests(tmp_path: Path) -> None:
    theirs, ours = certificate(tmp_path, "localhost")
    async with serving(for_ever, theirs, name="localhost") as server, pooling(tls=ours) as pool:
        for _ in range(5):
            assert await fetch(pool, build(server.url)) == (200, b"hi")
        assert (server.connections, len(server.requests)) == (1, 5)


@in_loop
async def test_a_body_without_length_may_end_without_the_goodbye_of_tls(tmp_path: Path) -> None:
    theirs, ours = certificate(tmp_path, "localhost")
    async with (
        serving(answering(b"HTTP/1.1 200 OK\r\n\r\nuntil the end"), theirs, name="localhost") as server,
        pooling(tls=ours) as pool,
    ):
        assert await fetch(pool, build(server.url)) == (200, b"until the end")


@in_loop
async def test_a_host_of_ipv6() -> None:
    async with serving(for_ever, host="::1") as server, pooling() as pool:
        assert await fetch(pool, build(server.url)) == (200, b"hi")
        assert b"Host: [::1]:" in server.requests[0]


@pytest.mark.parametrize("answer", [CLOSES, b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", OK])
@pytest.mark.parametrize("pause", [0.0, 0.05])
@in_loop
async def test_a_server_that_hangs_up_after_its_answer_loses_nothing(answer: bytes, pause: float) -> None:
    """Also when the next request comes before the event loop has seen the end."""
    async with serving(answering(answer)) as server, pooling() as pool:
        for _ in range(5):
            assert await fetch(pool, build(server.url)) == (200, b"hi")
            await asyncio.sleep(pause)
        assert (server.connections, len(server.requests)) == (5, 5)


@in_loop
async def test_the_socket_is_asked_when_the_event_loop_had_no_time_to() -> None:
    """The server's end came while this process was busy."""
    async with serving(for_ever) as server, pooling() as pool:
        listener = socket.create_server(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"

        def serve() -> bytes:
            peer, _ = listener.accept()
            heard = peer.recv(65536)
            peer.sendall(OK)
            ready.wait(5)
            peer.close()
            gone.set()
            return heard

        ready, gone = threading.Event(), threading.Event()
        first = asyncio.create_task(asyncio.to_thread(serve))
        assert await fetch(pool, build(url)) == (200, b"hi")
        ready.set()
        gone.wait(5)  # blocks the event loop
        listener.close()
        assert isinstance(await failure(pool, build(url)), httpx.ConnectError)  # a new connection, and not a lost start
        assert SECRET.encode() in await first
        assert await fetch(pool, build(server.url)) == (200, b"hi")


@pytest.mark.parametrize("pause", [0.0, 0.05])
@in_loop
async def test_bytes_that_nobody_asked_for_end_the_connection(pause: float) -> None:
    """They must never be the answer to the next request."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(OK)
        await asyncio.sleep(pause)
        await peer.say(b"HTTP/1.1 500 Forged\r\nContent-Length: 6\r\n\r\nforged")
        await peer.reader.read()

    async with serving(script) as server, pooling() as pool:
        for _ in range(3):
            assert await fetch(pool, build(server.url)) == (200, b"hi")
            await asyncio.sleep(2 * pause)
        assert server.connections == 3


@pytest.mark.parametrize(
    "more", [OK, b"garbage", b"HTTP/1.1 101 Switching Protocols\r\n\r\n", b"HTTP/2.0 099 x\r\n\r\n"]
)
@in_loop
async def test_bytes_after_the_answer_end_the_connection(more: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(OK + more)
        await peer.reader.read()

    async with serving(script) as server, pooling() as pool:
        for count in (1, 2):
            assert await fetch(pool, build(server.url)) == (200, b"hi")
            assert server.connections == count


@in_loop
async def test_unasked_bytes_end_the_connection_while_the_answer_waits() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(OK)
        await asyncio.sleep(0.02)
        await peer.say(b"HTTP/1.1 500 Forged\r\nContent-Length: 6\r\n\r\nforged")
        await peer.reader.read()

    async with serving(script) as server, pooling() as pool:
        for count in (1, 2):
            response = await pool.handle_async_request(build(server.url))
            await asyncio.sleep(0.05)
            assert (response.status_code, await response.aread()) == (200, b"hi")
            assert server.connections == count


@in_loop
async def test_an_idle_connection_whose_server_hangs_up_is_closed_at_once() -> None:
    """Also one that had been told to pause, for nobody read the answer."""
    closed = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(OK[:-1])
        await asyncio.sleep(0.02)
        await peer.say(OK[-1:])
        await asyncio.sleep(0.05)
        peer.writer.write_eof()
        await peer.reader.read()
        closed.set()

    async with serving(script) as server, pooling() as pool:
        response = await pool.handle_async_request(build(server.url))
        await asyncio.sleep(0.05)
        assert await response.aread() == b"hi"
        await asyncio.wait_for(closed.wait(), 2)


@in_loop
async def test_the_connection_that_was_used_last_is_used_next() -> None:
    """So those that load no longer needs grow old."""

    async def script(peer: Peer) -> None:
        name = peer.server.connections
        while True:
            await peer.request()
            await asyncio.sleep(0.02 * name)
            await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % name)

    async with serving(script) as server, pooling() as pool:
        await asyncio.gather(*(fetch(pool, build(server.url)) for _ in range(2)))
        assert [await fetch(pool, build(server.url)) for _ in range(2)] == [(200, b"2"), (200, b"2")]


@pytest.mark.parametrize("said", [OK, b""])
@in_loop
async def test_a_server_that_ends_with_its_handshake_gets_no_request(said: bytes, tmp_path: Path) -> None:
    """Until TLS 1.2 the server has the last word of the handshake, so more can come with it."""
    theirs, ours = certificate(tmp_path, "localhost")
    theirs.maximum_version = ssl.TLSVersion.TLSv1_2

    async def script(peer: Peer) -> None:
        peer.writer.write(said)
        peer.writer.close()
        await asyncio.sleep(0.05)

    async with serving(script, theirs, name="localhost") as server, pooling(tls=ours) as pool:
        assert isinstance(await failure(pool, build(server.url)), httpx.ConnectError)
        assert server.connections == 1


@in_loop
async def test_a_put_on_a_connection_that_drops_is_not_repeated() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(OK)
        await peer.request()
        peer.reset()

    async with serving(script) as server, pooling() as pool:
        assert await fetch(pool, build(server.url, "GET", b"")) == (200, b"hi")
        assert isinstance(await failure(pool, build(server.url, "PUT")), httpx.ReadError)
        assert (server.connections, [each.split(b" ")[0] for each in server.requests]) == (1, [b"GET", b"PUT"])


@in_loop
async def test_a_connection_that_was_idle_too_long_is_not_used() -> None:
    async with serving(for_ever) as server, pooling(idle_seconds=0.05) as pool:
        await fetch(pool, build(server.url))
        await asyncio.sleep(0.1)
        await fetch(pool, build(server.url))
        assert server.connections == 2


@pytest.mark.parametrize("seconds", [600, -600])
@in_loop
async def test_after_a_freeze_of_ten_minutes_no_connection_is_used_again(
    seconds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The event loop's clock may not know of them, so the current time counts; if that was set back, too."""
    async with serving(for_ever) as server, pooling() as pool:
        await fetch(pool, build(server.url))
        later = time.time() + seconds
        monkeypatch.setattr("restarter.http.pool.time", SimpleNamespace(time=lambda: later))
        await fetch(pool, build(server.url))
        assert server.connections == 2


@in_loop
async def test_after_a_clock_was_set_back_and_forth_no_connection_is_used_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The one that became idle first may look fresh, and one behind it not."""
    clock = mock.Mock(return_value=1000.0)
    monkeypatch.setattr("restarter.http.pool.time", SimpleNamespace(time=clock))
    monkeypatch.setattr("restarter.http.stream.time", SimpleNamespace(time=clock))
    async with serving(for_ever) as server, serving(for_ever) as other, pooling() as pool:
        behind = await pool.handle_async_request(build(other.url))
        await fetch(pool, build(server.url))
        clock.return_value -= 60
        await behind.aread()
        clock.return_value += 61
        await fetch(pool, build(other.url))
        assert (server.connections, other.connections) == (1, 2)


@in_loop
async def test_the_limit_counts_idle_connections_of_all_origins() -> None:
    async with serving(for_ever) as one, serving(for_ever) as other, pooling(limit=1) as pool:
        for server in (one, other, other, one):
            await fetch(pool, build(server.url))
        assert (one.connections, other.connections) == (2, 1)


@in_loop
async def test_an_answer_that_was_not_read_to_its_end_ends_its_connection() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(OK[:-1])
        await peer.reader.read()

    async with serving(script) as server, pooling(limit=1) as pool:
        for count in (1, 2):
            response = await pool.handle_async_request(build(server.url))
            await response.aclose()
            with pytest.raises(httpx.StreamClosed):
                await anext(aiter(response.stream))  # type: ignore[arg-type]
            assert server.connections == count


@in_loop
async def test_an_answer_before_the_whole_request_was_taken_ends_the_connection() -> None:
    async def script(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        peer.server.requests.append(b"")
        await peer.say(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        await asyncio.sleep(60)

    async with serving(script) as server, pooling() as pool:
        for count in (1, 2):
            assert await fetch(pool, build(server.url, content=bytes(32 * MIB))) == (413, b"")
            assert server.connections == count


# Limits, cancellation, closing


@in_loop
async def test_no_more_requests_than_the_limit_are_in_flight() -> None:
    running = most = 0

    async def script(peer: Peer) -> None:
        nonlocal running, most
        while True:
            await peer.request()
            running += 1
            most = max(most, running)
            await asyncio.sleep(0.01)
            running -= 1
            await peer.say(OK)

    async with serving(script) as server, pooling(limit=3) as pool:
        answers = await asyncio.gather(*(fetch(pool, build(server.url)) for _ in range(12)))
        assert answers == [(200, b"hi")] * 12
        assert (most, server.connections) == (3, 3)


@in_loop
async def test_no_slot_in_time() -> None:
    async with serving(hang) as server, pooling(limit=1) as pool:
        first = asyncio.create_task(fetch(pool, build(server.url)))
        await asyncio.sleep(0.05)
        assert isinstance(await failure(pool, build(server.url, pool=0.05)), httpx.PoolTimeout)
        first.cancel()
        await asyncio.wait([first])
        assert (server.connections, len(server.requests)) == (1, 1)


@in_loop
async def test_a_call_cancelled_while_it_connects_was_not_sent() -> None:
    async with serving(lambda peer: asyncio.sleep(60)) as server, pooling(limit=1) as pool:
        request = build(server.url.replace("http:", "https:"))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await fetch(pool, request)
        assert not may_have_been_sent(request)


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nh"])
@in_loop
async def test_a_call_cancelled_later_may_have_been_sent(said: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(said)
        await peer.reader.read()

    async with serving(script) as server, pooling(limit=1) as pool:
        for count in (1, 2):
            request = build(server.url)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await fetch(pool, request)
            assert may_have_been_sent(request)
            assert (server.connections, len(server.requests)) == (count, count)


@in_loop
async def test_cancelled_at_any_moment_the_mark_and_the_server_agree() -> None:
    """Whatever step the cancellation hits: what the server got was marked, and the slot is free again."""
    async with serving(for_ever) as server, pooling(limit=1) as pool:
        outcomes = set()
        for steps in range(40):
            request = build(server.url + f"/{steps}")
            call = asyncio.create_task(fetch(pool, request))
            for _ in range(steps):
                await asyncio.sleep(0)
            call.cancel()
            await asyncio.wait([call])
            await asyncio.sleep(0.005)
            outcomes.add((may_have_been_sent(request), any(f"/{steps} ".encode() in each for each in server.requests)))
        assert outcomes - {(True, False)} == {(False, False), (True, True)}
        assert await fetch(pool, build(server.url)) == (200, b"hi")


@in_loop
async def test_an_answer_closed_while_it_is_read_is_not_complete() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(b"HTTP/1.1 200 OK\r\n\r\nno length")
        await peer.reader.read()

    async with serving(script) as server, pooling() as pool:
        response = await pool.handle_async_request(build(server.url))
        reading = asyncio.create_task(response.aread())
        await asyncio.sleep(0.05)
        await response.aclose()
        with pytest.raises(httpx.ReadError):
            await reading


@in_loop
async def test_closing_waits_for_answers_and_not_for_idle_connections() -> None:
    ended = 0

    async def script(peer: Peer) -> None:
        nonlocal ended
        while b"/last" not in await peer.request():
            await peer.say(OK)
        await asyncio.sleep(0.05)
        await peer.say(OK)
        assert await peer.reader.read() == b""
        ended += 1

    async with serving(script) as server:
        pool = ConnectionPool()
        await fetch(pool, build(server.url))
        last = asyncio.create_task(fetch(pool, build(server.url + "/last")))
        idle = asyncio.create_task(fetch(pool, build(server.url)))
        await idle
        await pool.aclose()
        assert await last == (200, b"hi")
        await asyncio.sleep(0.05)
        assert ended == 1
        assert server.connections == 2
        await pool.aclose()


@in_loop
async def test_closing_can_be_cancelled() -> None:
    """As by Ctrl-C in the operator's command."""
    async with serving(for_ever) as server:
        pool = ConnectionPool()
        await fetch(pool, build(server.url))
        closing = asyncio.create_task(pool.aclose())
        await asyncio.sleep(0)
        closing.cancel()
        await asyncio.wait([closing])
        await asyncio.sleep(0.01)
        assert closing.cancelled()


def test_the_tls_context_is_made_once_and_checks_certificates() -> None:
    context = tls_context()
    assert context is tls_context()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
