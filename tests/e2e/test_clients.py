"""Clients and proxies of others before the real function: curl, wget, Java, nginx and haproxy, where they are at hand.

Each reply is right or a clear 4xx, a connection survives an error, and nothing hangs. A program that this machine lacks
is skipped by its name. The table of all of them is in tests/README.md.
"""

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httpx
import pytest

from child_processes import started
from example import TASK
from processes import EXAMPLE, TIMEOUT_S, Running, free_port

CALL = json.dumps({"task_id": TASK})
BEARER = {"Authorization": f"Bearer {EXAMPLE['CALLER_BEARER_TOKENS']}"}
JSON = {"Content-Type": "application/json"}
EVENT = {"ce-specversion": "1.0", "ce-type": "oms.task.failed", "ce-source": "/e2e", "ce-id": "1"}
MAX_TIME_S = 5
pytestmark = pytest.mark.usefixtures("kept", "fresh_world")


def needs(program: str) -> pytest.MarkDecorator:
    """Skip a test where this machine lacks the program."""
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"no {program} here")


@pytest.fixture(scope="module")
def kept(public: Running) -> Iterator[tuple[HTTPConnection, float]]:
    """A connection over which one request went, and when; it waits while other tests run."""
    with closing(HTTPConnection(public.url.removeprefix("http://"), timeout=MAX_TIME_S)) as connection:
        assert health(connection) == 200
        yield connection, time.monotonic()


def health(connection: HTTPConnection) -> int:
    """The status of /healthz. A connection that the function closed raises an error."""
    connection.request("GET", "/healthz")
    with connection.getresponse() as reply:
        reply.read()
        return reply.status


def said(*command: str, status: int = 0) -> str:
    """What a program says on stdout; it must end by itself, with this status. Java compiles its source first."""
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=3 * TIMEOUT_S, check=False)  # noqa: S603
    assert done.returncode == status, done.stderr
    return done.stdout


# curl


def curl(url: str, *options: str, data: str | None = CALL, status: int = 0) -> str:
    """Status, version of HTTP and number of new connections, for each request."""
    options += ("--data", data) if data is not None else ()
    headers = [f"{name}: {value}" for name, value in (BEARER | JSON).items()]
    shown = ["--silent", "--output", "/dev/null", "--write-out", r"%{http_code} %{http_version} %{num_connects}\n"]
    given = [word for header in headers for word in ("--header", header)]
    return said("curl", *shown, "--max-time", str(MAX_TIME_S), *given, *options, url, status=status)


@needs("curl")
@pytest.mark.parametrize(
    "options",
    [
        ["--http1.0"],
        ["--http1.1"],
        ["--http2"],
        ["--header", "Expect: 100-continue"],
        ["--header", "Transfer-Encoding: chunked"],
        ["--header", "Transfer-Encoding: chunked", "--header", "Expect: 100-continue"],
        ["--header", "Connection: close"],
        ["--compressed"],
    ],
    ids=" ".join,
)
def test_curl_starts_a_task_however_it_sends(options: list[str], public: Running) -> None:
    """`--http2` on plain HTTP offers an upgrade to h2c, which is passed over."""
    assert curl(public.url, *options) == "200 1.1 1\n"
    assert public.receipt()["outcome"] == "started"


@needs("curl")
@pytest.mark.parametrize(
    ("options", "data", "status"),
    [
        ([], "{", 400),
        (["--request", "PUT"], CALL, 405),
        (["--request", "OPTIONS"], None, 405),
        (["--request", "QUERY"], CALL, 405),  # the framework's own
        (["--header", "Content-Type: text/plain"], CALL, 415),
        (["--header", "Authorization: Bearer wrong"], CALL, 401),
        (["--header", "Transfer-Encoding: chunked"], " " * 100_000 * 6, 413),
        (["--header", "Expect: 100-continue"], " " * 100_000 * 6, 413),
    ],
)  # fmt: skip
def test_curl_gets_a_clear_4xx(
    options: list[str], data: str | None, status: int, tmp_path: Path, public: Running, oms: Running
) -> None:
    if data is not None:
        (tmp_path / "body").write_text(data)
        options, data = [*options, "--data-binary", f"@{tmp_path / 'body'}"], None
    assert curl(public.url, *options, data=data) == f"{status} 1.1 1\n"
    assert oms.control("GET", "/_sim/calls") == []


@needs("curl")
def test_a_connection_of_curl_survives_errors(public: Running) -> None:
    """Three requests, and one connection."""
    again = ["--output", "/dev/null", public.url]
    assert curl(public.url, *again, *again, data="{") == "400 1.1 1\n400 1.1 0\n400 1.1 0\n"


@needs("curl")
def test_http_2_with_prior_knowledge_is_refused_at_once(public: Running) -> None:
    """It sees a closed connection (52, 55 or 56), and no time runs out (28)."""
    before = time.monotonic()
    command = ["curl", "--silent", "--http2-prior-knowledge", "--max-time", str(MAX_TIME_S), f"{public.url}/healthz"]
    done = subprocess.run(command, capture_output=True, timeout=TIMEOUT_S, check=False)  # noqa: S603
    assert (done.returncode in (16, 52, 55, 56), done.stdout) == (True, b"")
    assert time.monotonic() - before < MAX_TIME_S / 2
    assert curl(f"{public.url}/healthz", data=None) == "200 1.1 1\n"


# A client that reads the reply only once it has sent everything


@pytest.mark.parametrize("line", ["POST / HTTP/1.0\r\n", "POST / HTTP/1.1\r\nHost: f\r\nConnection: close\r\n"])
@pytest.mark.parametrize("length", [600_000, 6_000_000])
def test_a_client_that_sends_its_whole_body_first_gets_413_and_no_reset(
    line: str, length: int, public: Running
) -> None:
    """nginx, which speaks HTTP/1.0 unless told not to, answered 502 to every sixth delivery that is too large."""
    host, port = public.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=MAX_TIME_S) as connection:
        connection.sendall(f"{line}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n".encode())
        time.sleep(0.1)  # in which the function could answer and close
        for _ in range(length // 1000):
            connection.sendall(b" " * 1000)
        time.sleep(0.1)
        assert connection.makefile("rb").readline().startswith(b"HTTP/1.1 413 ")
    assert public.receipt()["outcome"] == "content_too_large"


def test_a_client_that_never_ends_its_body_is_answered_at_once(public: Running) -> None:
    """And then waited for, but not for long: the connection ends."""
    host, port = public.url.removeprefix("http://").split(":")
    before = time.monotonic()
    with socket.create_connection((host, int(port)), timeout=MAX_TIME_S) as connection:
        connection.sendall(b"POST / HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: 600000\r\n\r\n ")
        assert connection.makefile("rb").read().startswith(b"HTTP/1.1 413 ")
        assert time.monotonic() - before < 1
        time.sleep(1.5)
        with pytest.raises(OSError):  # a reset or a broken pipe
            connection.sendall(b" " * 5_000_000)
    assert public.receipt()["outcome"] == "content_too_large"


# wget and Java


@needs("wget")
@pytest.mark.parametrize(("body", "status", "outcome"), [(CALL, 0, "started"), ("{", 8, "malformed")])
def test_wget_starts_a_task_or_reports_an_error_of_the_server(
    body: str, status: int, outcome: str, public: Running
) -> None:
    """Without `--header 'Content-Type: …'` it sends a form, which gets 415."""
    headers = [f"--header={name}: {value}" for name, value in (BEARER | JSON).items()]
    output = ["--quiet", "--output-document=-", f"--timeout={MAX_TIME_S}", "--tries=1"]
    reply = said("wget", *output, *headers, f"--post-data={body}", public.url, status=status)
    receipt = public.receipt()
    assert receipt["outcome"] == outcome
    assert not reply or json.loads(reply) == receipt


@needs("java")
def test_the_client_of_java_keeps_its_connection_over_an_error(public: Running) -> None:
    """It offers HTTP/2 by an upgrade unless told not to."""
    source = Path(__file__).parent / "java" / "Post.java"
    bodies = (CALL, "{", CALL)
    replies = said("java", str(source), public.url, EXAMPLE["CALLER_BEARER_TOKENS"], *bodies).split("\n")
    assert replies == ["200 HTTP_1_1", "400 HTTP_1_1", "200 HTTP_1_1", ""]
    assert [public.receipt()["outcome"] for _ in bodies] == ["started", "malformed", "already_running"]


# Proxies

NGINX = """
daemon off; master_process off; pid nginx.pid; error_log stderr;
events {{ }}
http {{
    access_log off;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    upstream function {{ server {upstream}; keepalive 4; }}
    server {{
        listen 127.0.0.1:{port} {listen};
        location / {{ proxy_pass http://function; {location} }}
    }}
}}
"""
KEEP_ALIVE = 'proxy_http_version 1.1; proxy_set_header Connection "";'
HAPROXY = """
defaults
    mode http
    timeout connect 2s
    timeout client 10s
    timeout server 10s
frontend public
    bind 127.0.0.1:{port} {listen}
    default_backend function
backend function
    {check}
    server one {upstream} {server}
"""


@contextmanager
def proxy(program: str, configuration: str, folder: Path, public: Running, **words: str) -> Iterator[str]:
    """The address of a proxy in front of the function."""
    port = free_port()
    file = folder / "configuration"
    file.write_text(configuration.format(port=port, upstream=public.url.removeprefix("http://"), **words))
    arguments = {"nginx": ["-p", str(folder), "-c", str(file), "-e", "stderr"], "haproxy": ["-db", "-f", str(file)]}
    with started([str(shutil.which(program)), *arguments[program]], {}) as process:
        give_up = time.monotonic() + TIMEOUT_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert process.poll() is None
                assert time.monotonic() < give_up
                time.sleep(0.02)
        yield f"http://127.0.0.1:{port}"


def nginx(folder: Path, public: Running, location: str = KEEP_ALIVE, listen: str = "") -> AbstractContextManager[str]:
    return proxy("nginx", NGINX, folder, public, location=location, listen=listen)


def haproxy(
    folder: Path, public: Running, check: str = "", server: str = "", listen: str = ""
) -> AbstractContextManager[str]:
    return proxy("haproxy", HAPROXY, folder, public, check=check, server=server, listen=listen)


class Chunks:
    """A body whose length is not said before."""

    def __iter__(self) -> Iterator[bytes]:
        return iter([CALL.encode()[:5], CALL.encode()[5:]])


# What is sent, one after the other, over one connection to the proxy; and the status that must come back.
SEQUENCE: list[tuple[dict[str, Any], int]] = [
    ({"content": CALL}, 200),
    ({"content": "{"}, 400),
    ({"content": CALL, "headers": {"Authorization": "Bearer wrong"}}, 401),
    ({"content": Chunks()}, 200),
    ({"content": CALL, "method": "PUT"}, 405),
    ({"content": " " * 600_000}, 413),
    ({"content": CALL, "headers": EVENT}, 204),
    ({"content": CALL, "headers": {"Content-Type": "text/plain"}}, 415),
    ({"content": CALL, "headers": {"Upgrade": "websocket", "Connection": "Upgrade"}}, 200),
    ({"method": "GET", "url": "/healthz"}, 200),
]


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(nginx, marks=needs("nginx"), id="nginx"),
        pytest.param(partial(nginx, location=""), marks=needs("nginx"), id="nginx, HTTP/1.0 and no keep-alive"),
        pytest.param(
            partial(nginx, location=KEEP_ALIVE + "proxy_request_buffering off;"),
            marks=needs("nginx"),
            id="nginx, no buffering",
        ),
        pytest.param(haproxy, marks=needs("haproxy"), id="haproxy"),
    ],
)
def test_behind_a_proxy_every_reply_is_the_functions_own(
    made: Callable[..., AbstractContextManager[str]], tmp_path: Path, public: Running
) -> None:
    with made(tmp_path, public) as url, httpx.Client(base_url=url, headers=BEARER | JSON, timeout=MAX_TIME_S) as client:
        found = [client.request(**{"method": "POST", "url": "/"} | dict(wanted)).status_code for wanted, _ in SEQUENCE]
    assert found == [status for _, status in SEQUENCE]


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(partial(nginx, listen="http2"), marks=needs("nginx"), id="nginx"),
        pytest.param(partial(haproxy, listen="proto h2"), marks=needs("haproxy"), id="haproxy"),
    ],
)
@needs("curl")
def test_a_proxy_in_front_speaks_http_2_with_prior_knowledge(
    made: Callable[..., AbstractContextManager[str]], tmp_path: Path, public: Running
) -> None:
    with made(tmp_path, public) as url:
        assert curl(url, "--http2-prior-knowledge") == "200 2 1\n"
    assert public.receipt()["outcome"] == "started"


@needs("haproxy")
@pytest.mark.parametrize(
    ("check", "status"),
    [
        pytest.param("option httpchk", 503, id="bare: OPTIONS / gets 405, and the function counts as down"),
        pytest.param("option httpchk GET /healthz", 200, id="GET /healthz"),
    ],
)
def test_the_health_check_of_haproxy_asks_healthz(check: str, status: int, tmp_path: Path, public: Running) -> None:
    server = "check inter 50ms fall 1 rise 1"
    with haproxy(tmp_path, public, check=check, server=server) as url:
        give_up = time.monotonic() + TIMEOUT_S
        while status == 503 and httpx.get(f"{url}/healthz").status_code != 503:
            assert time.monotonic() < give_up
            time.sleep(0.05)
        time.sleep(0.2)  # in which a check that fails would take it out
        assert httpx.get(f"{url}/healthz").status_code == status


def test_a_connection_that_was_idle_for_a_while_is_still_there(kept: tuple[HTTPConnection, float]) -> None:
    """With gunicorn's 2 s haproxy lost 2 of 480 deliveries that came 2 s apart: it used what was just being closed."""
    connection, asked = kept
    time.sleep(max(0.0, asked + 3 - time.monotonic()))
    assert health(connection) == 200
