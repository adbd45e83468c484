"""Raw bytes over real sockets: no head without end, no trailer as a header, no body as a request of its own."""

import contextlib
import json
import os
import secrets
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from example import TASK
from processes import EXAMPLE, Running, function

TOKEN = f"Authorization: Bearer {EXAMPLE['CALLER_BEARER_TOKENS']}\r\n".encode()
CALL = json.dumps({"task_id": TASK}).encode()
TIMEOUT_S = 10.0
QUIET_S = 0.4  # after a reply, in which a second one would come
# Seconds of the function's CPU, for on a busy machine everybody waits longer.
FLOOD_CPU_S = 0.5
STALL_CPU_S = 0.5  # what is measured without a network is in test_fuzz.py


@pytest.fixture(autouse=True)
def fresh_world(oms: Running, public: Running) -> None:
    """OMS as at first, and no line left of the test before, whose connection may have been cut off a moment ago."""
    trace_id = secrets.token_hex(16)
    time.sleep(0.05)
    httpx.post(public.url, headers={"traceparent": f"00-{trace_id}-{trace_id[:16]}-01"})
    while public.receipt().get("trace_id") != trace_id:
        pass
    oms.control("POST", "/_sim/reset")


def connected(running: Running) -> socket.socket:
    host, port = running.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), TIMEOUT_S)


def spoken(running: Running, *packets: bytes, pause: float = 0.1) -> bytes:
    """All that is answered on one connection to these packets, until the other side closes or sends nothing more.

    `pause`: seconds between two packets.
    """
    answered = b""
    with connected(running) as connection:
        try:
            for number, packet in enumerate(packets):
                time.sleep(pause if number else 0)
                connection.sendall(packet)
        except OSError:
            pass  # it was cut off before all was sent: what is answered tells
        try:
            while part := connection.recv(65536):
                answered += part
                connection.settimeout(QUIET_S)
        except OSError:
            pass
    return answered


def statuses(answered: bytes) -> list[int]:
    """The status of each reply on a connection."""
    return [int(part[:3]) for part in answered.split(b"HTTP/1.1 ")[1:]]


def post(*lines: bytes, body: bytes = CALL) -> bytes:
    """A direct call with further header lines."""
    head = b"POST / HTTP/1.1\r\nHost: f\r\nContent-Type: application/json\r\n" + TOKEN
    return head + b"".join(line + b"\r\n" for line in lines) + b"Content-Length: %d\r\n\r\n" % len(body) + body


def memory_kib(running: Running) -> int:
    """Resident memory of a process and its workers."""
    total = 0
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            fields = dict(line.split(":\t", 1) for line in status.read_text().splitlines() if ":\t" in line)
            if str(running.process.pid) in (fields["Pid"].strip(), fields["PPid"].strip()):
                total += int(fields.get("VmRSS", "0 kB").split()[0])
        except OSError:  # it has ended meanwhile
            continue
    return total


def cpu_s(running: Running) -> float:
    """Seconds of CPU that a process and its workers have used."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            fields = stat.read_text().rpartition(")")[2].split()
            if str(running.process.pid) in (stat.parent.name, fields[1]):
                ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


# Heads


@pytest.mark.parametrize("line", [b"X-%d: 1\r\n", b"X: %d\r\n"], ids=["names", "one name"])
def test_a_head_without_end_is_cut_off_and_nobody_waits_or_pays_for_it(line: bytes, public: Running) -> None:
    """It comes before any token. With httptools a million headers cost 320 MB and /healthz waited for 8 s."""
    httpx.get(f"{public.url}/healthz")
    before, longest = memory_kib(public), 0.0
    with connected(public) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: f\r\n")
        try:
            for first in range(0, 1_000_000, 10_000):
                used = cpu_s(public)
                connection.sendall(b"".join(line % number for number in range(first, first + 10_000)))
                assert httpx.get(f"{public.url}/healthz").status_code == 200
                longest = max(longest, cpu_s(public) - used)
        except OSError:
            pass
        else:
            pytest.fail("a million headers were taken in")
    assert longest < STALL_CPU_S
    assert memory_kib(public) - before < 20_000


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ([b"X-%d: 1" % number for number in range(96)], 200),
        ([b"X-%d: 1" % number for number in range(97)], 431),
        ([b"X: 1"] * 5000, 431),
        ([b"X: " + b"x" * 60_000], 200),
        ([b"X: " + b"x" * 30_000, b"Y: " + b"y" * 35_500], 431),
    ],
    ids=["100", "101", "5000 of one name", "60 kB", "over 64 KiB"],
)
def test_a_head_has_at_most_100_headers_and_64_kib(lines: list[bytes], status: int, public: Running) -> None:
    """Host, Content-Type, Authorization and Content-Length are four of them."""
    answered = spoken(public, post(*lines))
    assert statuses(answered) in ([status], [400] if status == 431 else [])
    if statuses(answered) == [431]:
        problem = json.loads(answered.partition(b"\r\n\r\n")[2])
        assert (problem["outcome"], problem["status"]) == ("content_too_large", 431)
        assert public.receipt()["reason"] == problem["reason"] == "headers: over 100, or over 65536 bytes"
    elif status == 200:
        assert public.receipt()["outcome"] == "started"


@pytest.mark.parametrize(
    ("length", "expected"),
    [(b"9" * 5002, 400), (b"9" * 20, 413), (b"0" * 15 + b"5", 400), (b"-1", 400), (b"1_0", 400), (b"5, 6", 400)],
)
def test_a_content_length_of_any_kind_is_a_4xx(length: bytes, expected: int, public: Running) -> None:
    head = b"POST / HTTP/1.1\r\nHost: f\r\nContent-Type: application/json\r\n" + TOKEN
    answered = spoken(public, head + b"Content-Length: " + length + b"\r\n\r\n{ x }")
    assert statuses(answered) == [expected]


# Trailers and requests inside requests


def test_a_trailer_is_no_header(public: Running, oms: Running) -> None:
    """A bearer token in a trailer authenticated."""
    head = b"POST / HTTP/1.1\r\nHost: f\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
    chunked = b"%x\r\n%s\r\n0\r\n" % (len(CALL), CALL)
    answered = spoken(public, head + b"Trailer: Authorization\r\n\r\n" + chunked + TOKEN + b"\r\n")
    assert statuses(answered) == [401]
    assert oms.operations() == []
    assert public.receipt()["reason"] == "no credentials"
    with_key = b"Idempotency-Key: from-a-trailer\r\n"
    answered = spoken(public, head + TOKEN + b"\r\n" + chunked + with_key + b"\r\n")
    assert statuses(answered) == [200]
    assert "event_id" not in public.receipt()


@pytest.mark.parametrize("lines", [0, 5000, 1_000_000])
def test_trailers_without_end_are_cut_off(lines: int, public: Running) -> None:
    head = b"POST / HTTP/1.1\r\nHost: f\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n" + TOKEN
    before = memory_kib(public)
    chunked = b"%x\r\n%s\r\n0\r\n" % (len(CALL), CALL)
    answered = spoken(public, head + b"\r\n" + chunked + b"X-Trailer: 1\r\n" * lines + b"\r\n")
    assert statuses(answered) in ([200], [400])
    assert lines != 0 or statuses(answered) == [200]
    assert memory_kib(public) - before < 20_000


# What chunks cost

CHUNKED = b"POST / HTTP/1.1\r\nHost: f\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n" + TOKEN
NEXT = b"GET /healthz HTTP/1.1\r\nHost: f\r\n\r\n"


def chunks(body: bytes, size: int) -> bytes:
    """A body in chunks of so many bytes, with its end."""
    parts = (body[start : start + size] for start in range(0, len(body), size))
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


@pytest.mark.parametrize(
    ("body", "taken"),
    [
        (chunks(CALL, 1), True),
        (chunks(CALL + b" " * 900, 1), True),  # 5 bytes of framing for each
        (chunks(CALL + b" " * 1200, 1), False),
        (chunks(CALL + b" " * 500_000, 5), True),  # as much framing as content
        (chunks(CALL + b" " * 500_000, 1024), True),
        (b"1e;" + b"x" * 4000 + b"\r\n" + CALL.ljust(30) + b"\r\n0\r\n\r\n", True),
        (b"1e;" + b"x" * 5000 + b"\r\n" + CALL.ljust(30) + b"\r\n0\r\n\r\n", False),
        (chunks(CALL, 99)[:-2] + b"X: 1\r\n" * 600 + b"\r\n", True),
        (chunks(CALL, 99)[:-2] + b"X: 1\r\n" * 800 + b"\r\n", False),
        (b"1;" + b"x" * 70_000, False),
        (b"zz\r\n", False),
    ],
    ids=lambda value: ascii(value[:24]) if isinstance(value, bytes) else "",
)
def test_framing_may_exceed_content_by_4_kib(body: bytes, taken: bool, public: Running) -> None:  # noqa: FBT001
    with connected(public) as connection:
        connection.sendall(CHUNKED + b"\r\n")
        time.sleep(0.05)
        connection.sendall(body)
        receipt = public.receipt()
        connection.settimeout(QUIET_S)
        answered = b""
        for packet in (b"", NEXT):
            connection.sendall(packet)
            with contextlib.suppress(TimeoutError):
                while part := connection.recv(65536):
                    answered += part
    if taken:
        assert (statuses(answered), receipt["outcome"]) == ([200, 200], "started")
    else:
        assert (statuses(answered), receipt["outcome"]) == ([400], "malformed")
        assert b"connection: close" in answered.lower()
        assert receipt["reason"].startswith("body: not chunked by HTTP/1.1, or over 4096 more bytes")


def test_what_follows_a_chunked_body_in_its_packet_is_not_read(public: Running) -> None:
    assert statuses(spoken(public, CHUNKED + b"\r\n" + chunks(CALL, 99) + NEXT)) == [200]
    assert statuses(spoken(public, CHUNKED + b"\r\n" + chunks(CALL, 99), NEXT)) == [200, 200]


@pytest.mark.parametrize("size", [1, 3, 5, 6, 16])
def test_a_body_in_chunks_costs_at_most_ten_times_as_much_as_another(size: int, public: Running) -> None:
    def cost(head: bytes, body: bytes) -> float:
        before = cpu_s(public)
        for _ in range(10):
            assert statuses(spoken(public, head, body, pause=0)) in ([200], [400])
        return cpu_s(public) - before

    body = CALL.ljust(512 * 1024)
    whole = post(b"Connection: close", body=body)
    plain = cost(whole[: -len(body)], body)
    assert cost(CHUNKED + b"Connection: close\r\n\r\n", chunks(body, size)) < 10 * max(plain, 0.02)


FLOODS = {
    "chunks of one byte": [CHUNKED + b"\r\n", b"1\r\na\r\n" * 50_000],
    "chunks of five bytes": [CHUNKED + b"\r\n", b"5\r\naaaaa\r\n" * 60_000],
    "a head of tiny lines": [b"POST / HTTP/1.1\r\nHost: f\r\n" + b"a:\r\n" * 60_000 + b"\r\n"],
    "a head of 64 KiB": [b"POST / HTTP/1.1\r\nHost: f\r\n" + b"a:\r\n" * 16_000 + b"\r\n"],
    "a head of 900 lines": [b"POST / HTTP/1.1\r\nHost: f\r\n" + b"a:\r\n" * 900 + b"\r\n"],
    "trailers": [CHUNKED + b"\r\n" + b"0\r\n", b"X: 1\r\n" * 50_000],
    "tiny JSON": [post(body=b"[" + b'{"":0},' * 60_000 + b"0]")],
    "tiny JSON of strangers": [post(body=b"[" + b'{"":0},' * 60_000 + b"0]").replace(TOKEN, b"")],
}
SHORT_FLOOD = "chunks of one byte"


@pytest.mark.parametrize(
    "flood", [pytest.param(name, marks=() if name == SHORT_FLOOD else pytest.mark.long) for name in FLOODS]
)
def test_good_deliveries_beside_a_flood_on_ten_connections_are_answered_in_time(flood: str, public: Running) -> None:
    """Each connection is opened again as soon as it is closed."""
    ended = threading.Event()

    def pour() -> None:
        while not ended.is_set():
            with contextlib.suppress(OSError), connected(public) as connection:
                for packet in FLOODS[flood]:
                    connection.sendall(packet)
                connection.recv(4096)

    pouring = [threading.Thread(target=pour, daemon=True) for _ in range(10)]
    for thread in pouring:
        thread.start()
    waited = []
    time.sleep(0.3)
    for _ in range(6):
        used = cpu_s(public)
        assert statuses(spoken(public, post(b"Connection: close"))) == [200]
        waited.append(cpu_s(public) - used)
    ended.set()
    for thread in pouring:
        thread.join()
    assert max(waited) < FLOOD_CPU_S


# Replies before the body was read


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (post(b"Expect: 100-continue", body=b"").replace(b"Length: 0", b"Length: 900000"), 413),
        (post(body=b"").replace(b"Length: 0", b"Length: 900000"), 413),
        (post(*[b"X: 1"] * 100, b"Expect: 100-continue", body=b"").replace(b"Length: 0", b"Length: 9"), 431),
        (post(b"Transfer-Encoding: chunked", body=b"").replace(b"Length: 0", b"Length: 9"), 400),
        (post(b"Transfer-Encoding: chunked", *[b"X: 1"] * 100, body=b"").replace(b"Length: 0", b"Length: 9"), 431),
        (post(b"Transfer-Encoding: chunked", *[b"X: 1"] * 100, body=b"0\r\n\r\n"), 431),
    ],
    ids=["expect", "too long", "expect and too many headers", "two lengths", "and too many headers", "and whole"],
)
def test_a_reply_before_the_body_was_read_closes_the_connection(head: bytes, status: int, public: Running) -> None:
    """Go's reverse proxy took the next delivery for the body of the refused one, which it had never sent."""
    answered = spoken(public, head, NEXT)
    assert (statuses(answered), b"connection: close" in answered.lower()) == ([status], True)
    public.receipt()
    with connected(public) as connection:
        connection.sendall(head)
        while connection.recv(65536):
            pass  # until the function ends the connection
    assert statuses(spoken(public, post(b"Expect: 100-continue"))[25:]) == [200]


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
@pytest.mark.parametrize(
    ("count", "size"), [(1, 512 * 1024 + 1), (9, 64 * 1024), (530, 1000)], ids=["one", "64 KiB", "1,000 bytes"]
)
def test_a_chunked_body_that_passes_the_limit_with_its_end_is_413(
    version: bytes, count: int, size: int, public: Running
) -> None:
    head = CHUNKED.replace(b"1.1", version) + b"Connection: close\r\n\r\n"
    body = (b"%x\r\n%b\r\n" % (size, b" " * size)) * count + b"0\r\n\r\n"
    answered = spoken(public, head + body)
    assert statuses(answered) == [413]
    assert public.receipt()["outcome"] == "content_too_large"


# What the framework would answer itself


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"POST http://f.example/ HTTP/1.1", 200),
        (b"POST http://f.example HTTP/1.1", 200),
        (b"POST https://f.example/any/where?x=http://y HTTP/1.1", 200),
        (b"POST * HTTP/1.1", 200),
        (b"POST /x%0D%0Ay HTTP/1.1", 200),
        (b"POST /robots.txt HTTP/1.1", 200),
        (b"POST //f.example/x HTTP/1.1", 200),
        (b"GET http://f.example/healthz HTTP/1.1", 200),
        (b"TRACE / HTTP/1.1", 405),
        (b"BREW /x%0D%0Ay HTTP/1.1", 405),
        (b"CONNECT f.example:443 HTTP/1.1", 405),
        (b"OPTIONS * HTTP/1.1", 405),
        (b"GET /robots.txt HTTP/1.1", 405),
        (b"HEAD /favicon.ico HTTP/1.1", 405),
    ],
    ids=lambda value: value.decode() if isinstance(value, bytes) else "",
)
def test_the_function_answers_whatever_the_method_and_target_are(line: bytes, status: int, public: Running) -> None:
    answered = spoken(public, post().replace(b"POST / HTTP/1.1", line))
    assert statuses(answered) == [status]
    if status == 405:
        assert b"content-type: application/problem+json" in answered.lower()
        assert public.receipt()["outcome"] == "method_not_allowed"
    elif line.startswith(b"POST"):
        assert public.receipt()["outcome"] == "started"


UPGRADES = {
    "h2c": [b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAEAAEAAAAIAAAAA"],
    "websocket": [
        b"Connection: Upgrade",
        b"Upgrade: websocket",
        b"Sec-WebSocket-Version: 13",
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ],
    "anything": [b"Connection: upgrade", b"Upgrade: TLS/1.0, IRC/6.9"],
}


@pytest.mark.parametrize("upgrade", UPGRADES)
@pytest.mark.parametrize("split", [False, True], ids=["one packet", "two packets"])
def test_a_post_that_offers_an_upgrade_keeps_its_body_and_gets_its_reply(
    upgrade: str,
    split: bool,  # noqa: FBT001  # a column of the table
    public: Running,
    oms: Running,
) -> None:
    whole = post(*UPGRADES[upgrade])
    head, body = whole[: -len(CALL)], whole[-len(CALL) :]
    answered = spoken(public, *([head, body] if split else [whole]))
    assert statuses(answered) == [200]
    assert public.receipt()["outcome"] == "started"
    assert oms.operations() == ["show", "start"]


@pytest.mark.parametrize("lines", [[], *UPGRADES.values()], ids=["no upgrade", *UPGRADES])
def test_a_body_in_a_second_packet_is_never_a_request_of_its_own(lines: list[bytes], public: Running) -> None:
    """`GET /healthz` as the body got a second reply on the connection: request smuggling."""
    body = b"GET /healthz HTTP/1.1\r\nHost: f\r\n\r\n"
    whole = post(*lines, body=body)
    answered = spoken(public, whole[: -len(body)], body)
    assert statuses(answered) == [400]
    assert public.receipt()["reason"] == "body: not JSON"


@pytest.mark.parametrize(
    "lines",
    [
        [b"Transfer-Encoding: chunked", b"Content-Length: 5"],
        [b"Transfer-Encoding: gzip, chunked"],
        [b"Transfer-Encoding: chunked, identity"],
        [b"Transfer-Encoding : chunked"],
        [b"Transfer-Encoding: \x0bchunked"],
        [b"X: y\rGET /healthz HTTP/1.1"],
    ],
    ids=ascii,
)
def test_two_readings_of_where_a_body_ends_are_refused(lines: list[bytes], public: Running, oms: Running) -> None:
    hidden = b"0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: f\r\n\r\n"
    head = b"POST / HTTP/1.1\r\nHost: f\r\nContent-Type: application/json\r\n"
    answered = spoken(public, head + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + hidden)
    assert statuses(answered) in ([400], [501])
    assert oms.operations() == []


# Bytes that are no HTTP


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x00" * 70_000,
        b"POST / HTTP/9.9\r\n\r\n",
        b"POST\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: f\r\nHost: g\r\n\r\n",
        b"POST / HTTP/1.1\r\n\r\n",
        b"POST /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: f\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: f\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST / HTTP/1.1\r\nHost: f\r\nTransfer-Encoding: chunked\r\n\r\n" + b"f" * 30 + b"\r\n",
        b"POST / HTTP/1.1\r\nHost: f\r\nTransfer-Encoding: chunked\r\n\r\n1;" + b"x" * 70_000,
    ],
    ids=lambda garbage: ascii(garbage[:24]),
)
def test_what_is_no_http_gets_a_4xx_or_nothing_and_the_next_caller_is_served(garbage: bytes, public: Running) -> None:
    answered = spoken(public, garbage)
    assert all(400 <= status < 500 for status in statuses(answered))
    assert httpx.get(f"{public.url}/healthz").status_code == 200


@pytest.mark.parametrize("host", ["[", "a]b", "user:pw@[::1", "f:99999999", "\x7f", "h" * 5000, ""])
def test_a_host_of_any_kind_is_no_500(host: str, public: Running) -> None:
    request = f"GET /healthz HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
    answered = spoken(public, request)
    assert statuses(answered) in ([200], [400])


def test_a_body_that_goes_on_as_garbage_after_its_reply_leaves_no_traceback(
    oms: Running, capfd: pytest.CaptureFixture[str]
) -> None:
    """The reply to a body over the limit is out while the body still comes. The process inherits our stderr."""
    head = b"POST / HTTP/1.1\r\nHost: f\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n" + TOKEN
    big = b"%x\r\n%s\r\n" % (600_000, b" " * 600_000)
    with function(EXAMPLE | {"OMS_ENDPOINT": oms.url}) as running:
        assert statuses(spoken(running, head + b"\r\n" + big, b"this is no chunk\r\n"))[:1] == [413]
        assert running.receipt()["outcome"] == "content_too_large"
        assert httpx.get(f"{running.url}/healthz").status_code == 200
    assert capfd.readouterr().err == ""


# What waits for OMS


@pytest.mark.long
def test_bodies_of_tiny_members_stay_small_while_oms_is_slow(public: Running, oms: Running) -> None:
    """60 of 512 KiB took 1 GB, and 30 half of it: each held what its body was parsed to until its reply."""
    members = "".join(f'"{number}":0,' for number in range(45_000))
    attributes = '"specversion":"1.0","type":"oms.task.failed","source":"/s","id":"1"'
    body = f'{{{attributes},"data":{{{members}"task_id":{TASK}}}}}'.ljust(512 * 1024 - 8).encode()
    oms.control("PUT", "/_sim/rules", [{"action": {"delay": 2.0}}])
    before, most = memory_kib(public), 0
    headers = {"Authorization": f"Bearer {EXAMPLE['CALLER_BEARER_TOKENS']}"}
    headers |= {"Content-Type": "application/cloudevents+json"}

    def deliver(number: int) -> int:
        named = body.replace(b'"id":"1"', b'"id":"%d"' % number)
        return httpx.post(public.url, content=named, headers=headers, timeout=30).status_code

    with ThreadPoolExecutor(30) as senders:
        replies = [senders.submit(deliver, number) for number in range(100, 130)]
        while not all(reply.done() for reply in replies):
            most = max(most, memory_kib(public) - before)
            time.sleep(0.05)
    assert {reply.result() for reply in replies} <= {204, 503}
    assert most < 100 * 1024


# Lines as Google has them


def test_with_execution_ids_each_receipt_is_a_line_and_no_stranger_writes_into_it(oms: Running) -> None:
    """The framework then wraps stdout, and merged the receipts of a batch into one line without a severity."""
    events = [
        {
            "specversion": "1.0",
            "type": "oms.task.failed",
            "source": "/s",
            "id": f"{number}",
            "data": {"task_id": number},
        }
        for number in (TASK, 999_999_999)
    ]
    with function(EXAMPLE | {"OMS_ENDPOINT": oms.url, "LOG_EXECUTION_ID": "true"}) as running:
        reply = httpx.post(
            running.url,
            content=json.dumps(events),
            headers={
                "Authorization": f"Bearer {EXAMPLE['CALLER_BEARER_TOKENS']}",
                "Content-Type": "application/cloudevents-batch+json",
                "Function-Execution-Id": "stranger" * 7000,
                "X-Cloud-Trace-Context": f"{'0' * 32}/{'7' * 7000};o=1",
            },
        )
        receipts = [running.receipt(), running.receipt()]
    assert reply.status_code == 422
    found = {(receipt["severity"], receipt["outcome"]) for receipt in receipts}
    assert found == {("INFO", "started"), ("ERROR", "not_found")}
    assert all(len(json.dumps(receipt)) < 2000 for receipt in receipts)
    assert "stranger" not in json.dumps(receipts)
