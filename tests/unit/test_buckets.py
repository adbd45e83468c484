"""Ledgers in object stores, where they differ from others: keys and tokens, faults of the network, what they cost."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, ClassVar, NamedTuple
from unittest.mock import patch

import pytest
from pydantic import SecretStr

from example import BEARER, ENVIRONMENT, TASK, settings
from gcs_server import ADDRESS as GCS
from gcs_server import BUCKET, empty, gcs_server, open_gcs
from ledger_suite import DAY, event, reserve
from obs_bench import ADDRESS as OBS
from obs_bench import example_key, open_obs
from restarter.app import Application
from restarter.cli.check_ledger import check_ledger
from restarter.cli.output import Finding
from restarter.http.call import Call, NoAnswer
from restarter.http.transport import Transport
from restarter.ledger import (
    Claim,
    Claimed,
    EventKey,
    Ledger,
    LedgerError,
    LedgerKeys,
    Stores,
    open_ledger,
)
from restarter.ledger.memory import MemoryLedger
from restarter.model.delivery import AccessKey, Delivery
from restarter.model.outcome import Reason
from restarter.settings.bucket_address import BucketAddress, parse_bucket_address
from restarter.settings.errors import SettingsError
from restarter.settings.ledger_address import parse_ledger_address
from restarter.settings.model import load
from simulator import Simulator
from simulator_calls import FAILED

KEYS = LedgerKeys("e", "t")
Steps = Callable[[Ledger], Awaitable[Any]]


def run(ledger: Ledger, steps: Steps) -> Any:
    async def within() -> Any:
        try:
            return await steps(ledger)
        finally:
            await ledger.close()

    return asyncio.run(within())


@pytest.fixture
def simulator() -> Simulator:
    return Simulator({"tasks": [FAILED]})


@pytest.fixture
def obs(simulator: Simulator) -> Iterator[str]:
    with simulator.serving() as url:
        yield url


@pytest.fixture(scope="module")
def storage() -> Iterator[str]:
    with gcs_server() as url:
        yield url


@pytest.fixture
def gcs(storage: str) -> str:
    empty(storage)
    return storage


async def one_event(ledger: Ledger) -> None:
    """All that an event asks of the ledger whose task is started for the first time."""
    claimed = await ledger.claim(event("e"), 9.5)
    assert claimed.state is Claim.OURS
    assert await reserve(ledger, KEYS, claimed.token)
    await ledger.settle(event("e"), claimed.token)
    await ledger.confirm(KEYS, claimed.token)
    await ledger.purge()


async def redelivered(ledger: Ledger) -> None:
    assert (await ledger.claim(event("e"), 9.5)).state is Claim.SETTLED


class Counted:
    """The calls of a transport, by method."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.methods: list[str] = []
        send = Transport.send

        async def counting(transport: Transport, call: Call, *rest: Any) -> Any:
            self.methods.append(call.method)
            return await send(transport, call, *rest)

        monkeypatch.setattr(Transport, "send", counting)

    def taken(self) -> tuple[int, int]:
        """Writes and reads since the last time."""
        methods, self.methods = self.methods, []
        return len(methods) - methods.count("GET"), methods.count("GET")


def test_what_an_event_and_its_redelivery_cost_in_obs(obs: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writes and reads: the figures of the table in function/README.md."""
    counted = Counted(monkeypatch)
    run(open_obs(obs), one_event)
    assert counted.taken() == (8, 9)
    run(open_obs(obs), redelivered)
    assert counted.taken() == (0, 1)


def test_what_an_event_and_its_redelivery_cost_in_cloud_storage(gcs: str, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Counted(monkeypatch)
    run(open_gcs(gcs), one_event)
    assert counted.taken() == (5, 5)
    run(open_gcs(gcs), redelivered)
    assert counted.taken() == (0, 1)


# ---- OBS


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ({"answer": "slow_down"}, "503 SlowDown"),
        ({"answer": {"status": 200, "headers": {"date": "soon"}}}, "no time in the answer"),
        ({"reset_after": "fin"}, "connection_lost"),
        ({"answer": "bad_gateway"}, "502"),
    ],
)
@pytest.mark.parametrize("operation", ["put_object", "get_object"])
def test_an_operation_of_obs_whose_result_is_not_known_is_an_error(
    obs: str, simulator: Simulator, rule: dict[str, Any], text: str, operation: str
) -> None:
    simulator.set_rules([{"operation": operation, "action": rule}])
    with pytest.raises(LedgerError, match=text):
        run(open_obs(obs), lambda ledger: ledger.claim(event("e"), 10))


def test_no_write_to_obs_is_ever_sent_twice(obs: str, simulator: Simulator) -> None:
    """Each write lands once whatever the answer was; the delivery has lost, and the next has another token."""

    async def steps(ledger: Ledger) -> None:
        for action in ({"reset_after": "rst"}, {"answer": "slow_down"}, {"late": 0.2}, {"answer": {"status": 500}}):
            simulator.clear_calls()
            simulator.set_rules([{"operation": "put_object", "count": 1, "action": action}])
            with pytest.raises(LedgerError):
                await ledger.claim(event("e"), 10)
            assert [call["operation"] for call in simulator.calls()] == ["get_object", "put_object"]
        assert (await ledger.claim(event("e"), 10)).state is Claim.OURS

    run(open_obs(obs), steps)


def test_a_late_write_of_one_delivery_takes_the_claim_from_nobody(obs: str, simulator: Simulator) -> None:
    async def steps(ledger: Ledger) -> None:
        simulator.set_rules([{"operation": "put_object", "count": 1, "action": {"late": 0.5}}])
        with pytest.raises(LedgerError):
            await ledger.claim(event("e"), 10)
        claimed = await ledger.claim(event("e"), 10)
        assert claimed.state is Claim.OURS
        await asyncio.sleep(0.7)
        assert (await ledger.claim(event("e"), 10)).state is Claim.HELD
        await ledger.settle(event("e"), claimed.token)
        assert (await ledger.claim(event("e"), 10)).state is Claim.SETTLED

    run(open_obs(obs), steps)


def test_a_missing_object_that_is_forbidden_and_a_missing_bucket_start_nothing(obs: str, simulator: Simulator) -> None:
    for document, text in (({"may_list": False}, "403 AccessDenied"), ({"buckets": []}, "404 NoSuchBucket")):
        simulator.set_objects(document)
        with pytest.raises(LedgerError, match=text):
            run(open_obs(obs), lambda ledger: ledger.claim(event("e"), 10))


def test_a_clock_of_obs_that_is_off_changes_no_age(obs: str, simulator: Simulator) -> None:
    async def steps(ledger: Ledger) -> None:
        for skew in (-800, 800):
            simulator.set_objects({"skew": skew})
            await ledger.claim(event("e"), 50)
            assert 48 <= (await ledger.claim(event("e"), 50)).rest_s <= 50
            assert await reserve(ledger, KEYS, "attempt")
            (restart,) = (await ledger.history(KEYS, DAY)).restarts
            assert 0 <= restart.age_s <= 2

    run(open_obs(obs), steps)


def test_every_object_of_obs_expires(obs: str, simulator: Simulator) -> None:
    """A restart is known for the longest window."""

    async def steps(ledger: Ledger) -> None:
        await one_event(ledger)
        assert await ledger.mark("m", "e", DAY)
        claimed = await ledger.claim(event("released"), 10)
        await ledger.release(event("released"), claimed.token)
        puts = [call for call in simulator.calls() if call["operation"] == "put_object"]
        days = {call["path"].split("/prefix/")[1]: int(call["headers"]["x-obs-expires"]) for call in puts}
        assert {days[name] for name in days if name.startswith("e/")} == {8}
        assert {days[name] for name in days if name.startswith("m/")} == {32}
        assert {days[name] for name in days if name.endswith("/h")} == {40}
        assert {days[name] for name in days if name.startswith("t/") and not name.endswith("/h")} == {35}
        simulator.set_clock({"forward": 30 * DAY})
        assert len((await ledger.history(KEYS, 31 * DAY)).restarts) == 1
        for days_later in (8, 4):  # the number of the restart is still known, and is not
            simulator.set_clock({"forward": days_later * DAY})
            assert (await ledger.history(KEYS, 31 * DAY)).restarts == ()
        simulator.objects()

    run(open_obs(obs), steps)


def test_a_restart_counts_though_of_those_before_it_the_first_have_expired(obs: str, simulator: Simulator) -> None:
    """The first is deleted after 37 days, the second is still there, and both are too old to count."""

    async def steps(ledger: Ledger) -> None:
        assert await reserve(ledger, KEYS, "first")
        simulator.set_clock({"forward": 20 * DAY})
        assert await reserve(ledger, KEYS, "second")
        simulator.set_clock({"forward": 33 * DAY})
        for number, attempt in enumerate(["third", "fourth"], 1):
            assert await reserve(ledger, KEYS, attempt)
            assert len((await ledger.history(KEYS, 31 * DAY)).restarts) == number

    run(open_obs(obs), steps)


@pytest.mark.usefixtures("unmeasured")
def test_a_claim_finds_its_round_in_a_few_reads(obs: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also after many releases."""

    async def steps(ledger: Ledger) -> None:
        for _ in range(40):
            claimed = await ledger.claim(event("e"), 10)
            await ledger.release(event("e"), claimed.token)
        counted = Counted(monkeypatch)
        assert (await ledger.claim(event("e"), 10)).state is Claim.OURS
        writes, reads = counted.taken()
        assert writes == 3
        assert reads < 20

    run(open_obs(obs), steps)


def test_a_restart_whose_winner_died_before_it_was_written_counts(obs: str, simulator: Simulator) -> None:
    """So does one of which only a part was read."""

    async def steps(ledger: Ledger) -> None:
        simulator.set_rules(
            [{"operation": "put_object", "object_name": "/w$", "count": 1, "action": {"hang": "before"}}]
        )
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reserve(ledger, KEYS, "dies"), 0.5)
        (restart,) = (await ledger.history(KEYS, DAY)).restarts
        assert (restart.own, restart.under_way) == (False, True)
        assert await reserve(ledger, KEYS, "next")
        answer = {"status": 200, "body": '["a part', "headers": {"date": now(), "last-modified": now()}}
        simulator.set_rules([{"operation": "get_object", "object_name": "/w$", "action": {"answer": answer}}])
        assert len((await ledger.history(KEYS, DAY)).restarts) == 2
        simulator.set_rules([{"operation": "get_object", "object_name": "/h$", "action": {"answer": answer}}])
        with pytest.raises(LedgerError, match="a part"):
            await ledger.history(KEYS, DAY)

    run(open_obs(obs), steps)


def now() -> str:
    from email.utils import formatdate  # noqa: PLC0415

    return formatdate(usegmt=True)


def test_without_a_key_or_with_one_that_no_header_can_carry_obs_is_not_asked(obs: str, simulator: Simulator) -> None:
    bad = AccessKey(SecretStr("AK"), SecretStr("SK"), SecretStr("a token\nwith a line break"))
    for stores in (Stores(obs_endpoint=obs), Stores(key=lambda: bad, obs_endpoint=obs)):
        ledger = open_ledger(parse_ledger_address(OBS), time.time, stores)
        with pytest.raises(LedgerError, match="no key for OBS"):
            run(ledger, lambda ledger: ledger.claim(event("e"), 10))
    assert simulator.calls() == []


def test_a_temporary_key_is_signed_with_its_token(obs: str, simulator: Simulator) -> None:
    known = example_key()
    simulator.set_auth({"security_tokens": {known.ak.get_secret_value(): "its-token"}})
    for token, expected in (("its-token", None), ("another", "403 InvalidSecurityToken")):
        lent = AccessKey(known.ak, known.sk, SecretStr(token))
        ledger = open_ledger(parse_ledger_address(OBS), time.time, Stores(key=lambda lent=lent: lent, obs_endpoint=obs))  # type: ignore[misc]
        if expected is None:
            assert run(ledger, lambda ledger: ledger.claim(event("e"), 10)).state is Claim.OURS
        else:
            with pytest.raises(LedgerError, match=expected):
                run(ledger, lambda ledger: ledger.claim(event("e"), 10))


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("https://obs.cn-north-4.myhuaweicloud.com", ("https://b.obs.cn-north-4.myhuaweicloud.com", "")),
        ("https://b.obs.cn-north-4.myhuaweicloud.com", ("https://b.obs.cn-north-4.myhuaweicloud.com", "")),
        ("http://127.0.0.1:9090", ("http://127.0.0.1:9090", "/b")),
        ("http://[::1]:9090", ("http://[::1]:9090", "/b")),
        ("http://localhost", ("http://localhost", "/b")),
    ],
)
def test_the_bucket_stands_before_a_name_and_in_the_path_of_a_number(endpoint: str, expected: tuple[str, str]) -> None:
    from restarter.ledger.obs_store import _place  # noqa: PLC0415  # what it is made of

    assert _place(endpoint, "b") == expected


# ---- Cloud Storage


def test_of_claims_that_race_in_cloud_storage_one_wins(gcs: str) -> None:
    """In the second server, which knows no conditions, several win: the negative control.

    It serves one connection, so its claims queue.
    """

    async def race(ledger: Ledger) -> int:
        claims = await asyncio.gather(*(ledger.claim(event("raced"), 600) for _ in range(8)))
        return sum(claimed.state is Claim.OURS for claimed in claims)

    async def queue(ledger: Ledger) -> int:
        return sum([(await ledger.claim(event("queued"), 600)).state is Claim.OURS for _ in range(8)])

    assert (run(open_gcs(gcs), race), run(open_gcs(gcs), queue)) == (1, 1)
    with without_conditions() as url:
        assert run(open_gcs(url), queue) > 1


@contextmanager
def without_conditions() -> Iterator[str]:
    """gcp-storage-emulator, which ignores every precondition."""
    emulator = pytest.importorskip("gcp_storage_emulator.server", reason="gcp-storage-emulator is not installed")
    server = emulator.create_server("127.0.0.1", 0, in_memory=True, default_bucket=BUCKET)
    server.start()
    try:
        yield f"http://127.0.0.1:{server._api._httpd.server_port}"  # noqa: SLF001  # port 0 is any
    finally:
        server.stop()


def test_google_s_own_client_reads_what_the_ledger_wrote(gcs: str, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = pytest.importorskip("google.cloud.storage", reason="google-cloud-storage is not installed")
    from google.auth.credentials import AnonymousCredentials  # noqa: PLC0415  # beside the client alone

    run(open_gcs(gcs), one_event)
    client = storage.Client("project", AnonymousCredentials(), client_options={"api_endpoint": gcs})
    found = {blob.name.removeprefix("some/prefix/"): blob for blob in client.list_blobs(BUCKET)}
    client.close()
    texts = {name: blob.metadata["text"] for name, blob in found.items()}
    begun, ended = json.loads(texts.pop("t/t/1/y")), json.loads(texts.pop("t/t/1/w"))
    assert texts == {"e/e/1/y": '[9.5,""]', "e/e/s": "t", "t/t/h": "1n"}
    assert [begun[0], *begun[2:]] == [1, "e", begun[3], "", "under way"]
    assert [ended[0], *ended[2:]] == [1, "e", begun[3], "", "made"]
    assert abs(found["t/t/1/y"].time_created.timestamp() - ended[1]) < 60


class Given(NamedTuple):
    """An answer: status, headers and body."""

    status: int
    headers: dict[str, str]
    body: bytes


class Google(BaseHTTPRequestHandler):
    """Cloud Storage and the metadata server as a table of answers; what is asked is noted."""

    protocol_version = "HTTP/1.1"
    asked: ClassVar[list[tuple[str, str | None]]] = []
    tokens: ClassVar[list[Any]] = []
    valid: ClassVar[set[str]] = set()
    answers: ClassVar[list[Given]] = []

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        token = (self.headers.get("authorization") or "").removeprefix("Bearer ") or None
        if self.path.startswith("/computeMetadata/"):
            assert self.headers["metadata-flavor"] == "Google"
            self.asked.append(("token", None))
            status, headers, body = Given(200, {}, json.dumps(self.tokens.pop(0)).encode())
        elif token is not None and token not in self.valid:
            self.asked.append((self.command, token))
            status, headers, body = Given(401, {}, b"")
        else:
            self.asked.append((self.command, token))
            status, headers, body = self.answers.pop(0) if self.answers else Given(200, {}, b"{}")
        self.send_response(status)
        for name, value in ({"content-length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = _answer  # noqa: N815  # the standard library's names

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def google() -> Iterator[tuple[type[Google], str]]:
    handler = type("Handler", (Google,), {"asked": [], "tokens": [], "valid": set(), "answers": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    with ExitStack() as opened:
        thread.start()
        opened.callback(thread.join)
        opened.callback(server.server_close)
        opened.callback(server.shutdown)
        yield handler, f"127.0.0.1:{server.server_port}"


def given(token: str, seconds: Any = 3600) -> dict[str, Any]:
    return {"access_token": token, "expires_in": seconds, "token_type": "Bearer"}


def test_a_token_is_asked_for_once_and_renewed_before_it_ends_and_after_a_401(google: tuple[type[Google], str]) -> None:
    handler, host = google
    clock = [1000.0]
    handler.tokens[:] = [given("first"), given("second"), given("third")]
    handler.valid |= {"first", "second"}

    async def steps(ledger: Ledger) -> None:
        await asyncio.gather(*(ledger.settle(event("e"), "token") for _ in range(3)))
        assert sorted(handler.asked, key=str) == [("POST", "first")] * 3 + [("token", None)]
        clock[0] += 3600 - 230
        await ledger.settle(event("e"), "token")
        clock[0] += 10
        await ledger.settle(event("e"), "token")
        assert handler.asked[4:] == [("POST", "first"), ("token", None), ("POST", "second")]
        handler.valid.clear()
        handler.valid.add("third")
        await ledger.settle(event("e"), "token")
        assert handler.asked[7:] == [("POST", "second"), ("token", None), ("POST", "third")]
        handler.valid.clear()
        handler.tokens[:] = [given("fourth")]
        with pytest.raises(LedgerError, match="401"):
            await ledger.settle(event("e"), "token")

    stores = Stores(gcs_endpoint=f"http://{host}", metadata_host=host)
    run(open_ledger(parse_ledger_address(GCS), lambda: clock[0], stores), steps)


def test_a_token_that_is_not_given_is_an_error_unless_the_one_before_is_good(google: tuple[type[Google], str]) -> None:
    handler, host = google
    clock = [1000.0]

    async def steps(ledger: Ledger) -> None:
        for wrong in ({}, "text", given("a token\n"), given("token", "soon")):
            handler.tokens[:] = [wrong]
            with pytest.raises(LedgerError, match="no token"):
                await ledger.settle(event("e"), "token")
        handler.tokens[:] = [given("good", 300), {}, {}]
        handler.valid.add("good")
        await ledger.settle(event("e"), "token")
        clock[0] += 200
        await ledger.settle(event("e"), "token")
        clock[0] += 200
        with pytest.raises(LedgerError, match="no token"):
            await ledger.settle(event("e"), "token")

    stores = Stores(gcs_endpoint=f"http://{host}", metadata_host=host)
    run(open_ledger(parse_ledger_address(GCS), lambda: clock[0], stores), steps)


GONE = Given(404, {}, b"")
LOST = Given(412, {}, b"")
TIMES = {"date": "Fri, 01 Jan 2100 01:00:00 GMT"}


def standing(text: str, updated: str = "2100-01-01T00:00:00Z") -> Given:
    """An object that is an hour old, by default."""
    return Given(200, TIMES, json.dumps({"updated": updated, "metadata": {"text": text}}).encode())


@pytest.mark.parametrize(
    ("answers", "text"),
    [
        ([Given(503, {}, b"")], "503"),
        ([Given(200, TIMES, b"no JSON")], "somebody else"),
        ([Given(200, TIMES, b'{"updated": "2100-01-01T00:00:00Z"}')], "somebody else"),
        ([standing("t", "soon")], "somebody else"),
        ([Given(404, {"date": "soon"}, b"")], "no time"),
        ([GONE, Given(503, {}, b"")], "503"),
        ([GONE, Given(200, {"date": "soon"}, b"{}")], "no time"),
        ([GONE, LOST, Given(500, {}, b"")], "500"),
    ],
)
def test_an_answer_of_cloud_storage_that_does_not_tell_is_an_error(
    google: tuple[type[Google], str], answers: list[Given], text: str
) -> None:
    handler, host = google
    handler.answers[:] = answers
    with pytest.raises(LedgerError, match=text):
        run(open_gcs(f"http://{host}"), lambda ledger: ledger.claim(event("e"), 10))


def test_a_server_that_is_not_there_is_an_error() -> None:
    with pytest.raises(LedgerError, match="no_connection"):
        run(open_gcs("http://127.0.0.1:9"), lambda ledger: ledger.history(KEYS, DAY))
    with pytest.raises(LedgerError, match="no_connection"):
        run(open_obs("http://127.0.0.1:9"), lambda ledger: ledger.history(KEYS, DAY))


def test_an_expired_claim_or_mark_that_another_takes_first_is_lost(google: tuple[type[Google], str]) -> None:
    """Between the look and the write another delivery has opened the next round."""
    handler, host = google
    old, new = standing('[1,"x"]'), standing('[9999,"other"]')

    async def steps(ledger: Ledger) -> None:
        handler.answers[:] = [GONE, LOST, old, GONE, LOST, new]
        assert (await ledger.claim(event("e"), 10)).state is Claim.HELD
        handler.answers[:] = [LOST, old, GONE, LOST, new, new]
        assert not await ledger.mark("m", "mine", 10)
        handler.answers[:] = [LOST, old, GONE, LOST, new, new]
        assert await ledger.mark("m", "other", 10)
        assert handler.answers == []

    run(open_gcs(f"http://{host}"), steps)


def test_a_write_to_cloud_storage_whose_answer_is_lost_is_found_to_be_the_attempt_s_own(gcs: str) -> None:
    """What stands at a place is its winner's: another instance finds it, and the attempt takes it back."""

    async def steps(ledger: Ledger) -> None:
        async def lost(write: Awaitable[Any]) -> None:
            with pytest.raises(LedgerError):
                await write

        seen = await ledger.history(KEYS, DAY)
        with writes_not_told():
            await lost(ledger.reserve(KEYS, seen, DAY, "attempt", "its note"))
            await lost(ledger.mark("m", "mine", DAY))
        (restart,) = (await ledger.history(KEYS, DAY)).restarts
        assert (restart.own, restart.under_way, restart.note) == (True, True, "its note")
        assert await ledger.reserve(KEYS, seen, DAY, "attempt")
        assert not await ledger.reserve(KEYS, seen, DAY, "another")
        assert await ledger.mark("m", "mine", DAY)
        assert not await ledger.mark("m", "other", DAY)
        await ledger.unreserve(KEYS, "attempt")
        assert (await ledger.history(KEYS, DAY)).restarts == ()

    run(open_gcs(gcs), steps)


@contextmanager
def writes_not_told() -> Iterator[None]:
    """Objects are written, and the answers that say so are lost."""
    send = Transport.send

    async def losing(transport: Transport, call: Call, *rest: Any) -> Any:
        answer = await send(transport, call, *rest)
        return answer if call.method == "GET" else NoAnswer(sent=True, reason=Reason.CONNECTION_LOST)

    with patch.object(Transport, "send", losing):
        yield


@pytest.mark.parametrize("kind", ["obs", "gcs"])
def test_an_attempt_that_took_its_restart_back_can_reserve_again(kind: str, request: pytest.FixtureRequest) -> None:
    """As a delivery does that was outrun under one of its keys."""

    async def steps(ledger: Ledger) -> None:
        for _ in range(3):
            assert await reserve(ledger, KEYS, "attempt")
            assert len((await ledger.history(KEYS, DAY)).restarts) == 1
            await ledger.unreserve(KEYS, "attempt")
            assert (await ledger.history(KEYS, DAY)).restarts == ()
        assert await reserve(ledger, KEYS, "attempt")
        await ledger.confirm(KEYS, "attempt")
        assert [restart.under_way for restart in (await ledger.history(KEYS, DAY)).restarts] == [False]

    run({"obs": open_obs, "gcs": open_gcs}[kind](request.getfixturevalue(kind)), steps)


# ---- Settings, and whose key it is


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"restart_ledger": "obs://b"}, "must be like"),
        ({"restart_ledger": "obs://bucket/a//b"}, "must be like"),
        ({"restart_ledger": "gs://Bucket/p"}, "must be like"),
        ({"restart_ledger": f"gs://bucket/{'p' * 513}"}, "must be like"),
        ({"restart_ledger": "s3://bucket/p"}, "gs://, obs://"),
        ({"obs_endpoint": "http://obs.example.com"}, "OBS_ENDPOINT: must be https"),
        ({"storage_emulator_host": "http://storage.example.com"}, "STORAGE_EMULATOR_HOST: must be https"),
        ({"storage_emulator_host": "storage.example.com:80"}, "STORAGE_EMULATOR_HOST: must be https"),
        ({"gce_metadata_host": "http://host"}, "GCE_METADATA_HOST: must be a host, or host:port"),
        (
            {"restart_ledger": OBS, "oms_region": None, "oms_endpoint": "https://oms.example.com"},
            "OBS_ENDPOINT: required",
        ),
        (
            {"restart_ledger": OBS, "HUAWEICLOUD_SDK_AK": None, "HUAWEICLOUD_SDK_SK": None, "oms_auth_token": "token"},
            "HUAWEICLOUD_SDK_AK: required with a ledger in OBS",
        ),
    ],
)
def test_an_address_or_a_setting_of_a_bucket_that_cannot_be_used_is_named(
    changes: dict[str, Any], fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (ENVIRONMENT | {name.upper(): value for name, value in changes.items()}).items():
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as raised:
        load()
    assert any(fault in message for message in raised.value.messages)
    assert "some/prefix" not in str(raised.value)


def test_buckets_are_reached_as_the_settings_say() -> None:
    def stores(**changes: object) -> Stores:
        return Stores.of(settings(**changes), example_key)

    assert stores().obs_endpoint == "https://obs.cn-north-4.myhuaweicloud.com"
    assert stores(obs_endpoint="http://localhost:1").obs_endpoint == "http://localhost:1"
    assert stores(storage_emulator_host="127.0.0.1:1").gcs_endpoint == "http://127.0.0.1:1"
    assert (stores().gcs_endpoint, stores(gce_metadata_host="m:80").metadata_host) == (None, "m:80")
    assert (
        parse_bucket_address("gs://bucket") == parse_bucket_address("gs://bucket/") == BucketAddress("gs", "bucket", "")
    )
    assert parse_bucket_address("obs://my.bucket/a/b/") == BucketAddress("obs", "my.bucket", "a/b/")


async def deliver(application: Application, name: str, key: AccessKey | None, token: str = BEARER) -> tuple[int, Any]:
    """The status and the reason of a delivery with which the platform lends a key."""
    body = json.dumps({"task_id": TASK, "intent": "failed", "id": name}).encode()
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    pipeline = application.pipeline()
    reply = await pipeline.handle(Delivery("POST", "/", headers, body), pipeline.begin(platform_key=key))
    return reply.status, json.loads(reply.body).get("reason")


def test_the_ledger_uses_the_key_that_the_platform_lent_last(obs: str) -> None:
    """Only a delivery whose caller was authenticated lends one."""
    lending = settings(
        HUAWEICLOUD_SDK_AK=None,
        HUAWEICLOUD_SDK_SK=None,
        oms_agency=True,
        oms_endpoint=obs,
        obs_endpoint=obs,
        restart_ledger=OBS,
    )
    application = Application(lambda: lending, write=lambda _lines: None)

    async def steps(ledger: Ledger) -> None:
        lent = AccessKey(example_key().ak, example_key().sk, SecretStr("lent-token"))
        assert (await deliver(application, "1", lent, "a" * 24))[0] == 401
        assert await deliver(application, "1", None) == (503, "ledger")
        assert await deliver(application, "1", lent) == (200, None)
        assert await deliver(application, "2", None) == (503, "no_key_for_oms")
        assert (await deliver(application, "1", None))[0] == 200
        await application.transport.close()

    run(application.ledger, steps)


def test_the_ledger_uses_the_key_in_the_settings_before_one_that_is_lent(obs: str) -> None:
    own = settings(oms_endpoint=obs, obs_endpoint=obs, restart_ledger=OBS)
    application = Application(lambda: own, write=lambda _lines: None)

    async def steps(ledger: Ledger) -> None:
        wrong = AccessKey(SecretStr("AKOTHER"), SecretStr("SKOTHER"))
        assert (await deliver(application, "1", wrong))[0] == 200
        await application.transport.close()

    run(application.ledger, steps)


# ---- check --all


@pytest.mark.parametrize("kind", ["obs", "gs"])
def test_check_races_sixteen_claims_in_the_bucket(kind: str, obs: str, gcs: str) -> None:
    """They are those of a probe, and it says how many won."""
    addresses = {"obs": {"restart_ledger": OBS, "obs_endpoint": obs}, "gs": {"restart_ledger": GCS}}
    reached = settings(storage_emulator_host=gcs, **addresses[kind])

    async def findings() -> list[Finding]:
        return [finding async for finding in check_ledger(reached, everything=True)]

    *_, raced = asyncio.run(findings())
    assert raced.ok
    won = int(raced.found.removeprefix("of 16 claims at once ").split()[0])
    assert won == 1 if kind == "gs" else won <= 1


class Anybodys(MemoryLedger):
    """A ledger whose every claim is OURS, as where the store passes conditions over."""

    async def claim(self, event: EventKey, seconds: float) -> Claimed:
        return Claimed(Claim.OURS, "token")


def test_check_finds_a_bucket_where_several_claims_win(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("restarter.cli.check_ledger.open_ledger", lambda _address, clock, _stores: Anybodys(clock))

    async def findings() -> list[Finding]:
        return [finding async for finding in check_ledger(settings(restart_ledger=GCS), everything=True)]

    *_, raced = asyncio.run(findings())
    assert not raced.ok
    assert raced.found.startswith("of 16 claims at once 16 won")
    assert raced.to_do
    assert "gs://" in raced.to_do
