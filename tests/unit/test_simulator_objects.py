"""The simulator's object store keeps OBS's documented rules, and breaks them on request. Loopback only."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from restarter.http.call import Call
from restarter.ledger.obs_signing import sign
from restarter.model.delivery import AccessKey
from simulator import Simulator
from simulator_calls import AK, SK, wait_until

KEY = AccessKey(SecretStr(AK), SecretStr(SK))
BUCKET = "example-ledger"
obs = pytest.importorskip("obs", reason="esdk-obs-python, the official client, is not installed")


class Store:
    """Calls to the object store of a simulator behind a real socket, signed."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.client = httpx.Client(base_url=url, timeout=5)

    def ask(
        self, method: str, name: str, content: bytes = b"", key: AccessKey = KEY, days: str | None = None
    ) -> httpx.Response:
        headers = {"x-obs-expires": days} if days is not None else {}
        call = Call(method, self.url, f"/{BUCKET}/{name}", headers=headers, content=content)
        signed = sign(call, f"/{BUCKET}/{name}", key, datetime.now(UTC))
        return self.client.request(method, call.path, content=content, headers=headers | signed)

    def put(self, name: str, text: str, days: str | None = None) -> httpx.Response:
        return self.ask("PUT", name, text.encode(), days=days)

    def get(self, name: str) -> httpx.Response:
        return self.ask("GET", name)


@pytest.fixture
def sim() -> Simulator:
    return Simulator({})


@pytest.fixture
def store(sim: Simulator) -> Iterator[Store]:
    with ExitStack() as opened:
        store = Store(opened.enter_context(sim.serving()))
        opened.callback(store.client.close)
        yield store


def code(response: httpx.Response) -> str:
    assert response.headers["content-type"] == "application/xml"
    return response.text.partition("<Code>")[2].partition("</Code>")[0]


def test_what_was_written_is_read_with_its_time_and_the_last_write_wins(store: Store, sim: Simulator) -> None:
    assert store.put("a/b", "one").status_code == 200
    assert store.put("a/b", "two").status_code == 200
    found = store.get("a/b")
    assert (found.status_code, found.text) == (200, "two")
    age = parsedate_to_datetime(found.headers["date"]) - parsedate_to_datetime(found.headers["last-modified"])
    assert 0 <= age.total_seconds() <= 1
    sim.set_clock({"forward": 3600})
    later = store.get("a/b")
    assert later.headers["last-modified"] == found.headers["last-modified"]
    age = parsedate_to_datetime(later.headers["date"]) - parsedate_to_datetime(later.headers["last-modified"])
    assert 3599 <= age.total_seconds() <= 3602
    assert sim.objects() == {f"{BUCKET}/a/b": "two"}


def test_what_is_not_there_is_not_found_or_forbidden_to_whoever_may_not_list(store: Store, sim: Simulator) -> None:
    assert (store.get("none").status_code, code(store.get("none"))) == (404, "NoSuchKey")
    sim.set_objects({"may_list": False})
    assert (store.get("none").status_code, code(store.get("none"))) == (403, "AccessDenied")
    sim.set_objects({"buckets": []})
    assert (store.put("x", "").status_code, code(store.put("x", ""))) == (404, "NoSuchBucket")


def test_an_object_is_gone_after_its_days_counted_from_its_last_change(store: Store, sim: Simulator) -> None:
    assert store.put("short", "text", days="8").status_code == 200
    assert code(store.put("short", "text", days="soon")) == "InvalidArgument"
    sim.set_clock({"forward": 7 * 86400})
    assert store.put("short", "again", days="8").status_code == 200
    sim.set_clock({"forward": 7 * 86400})
    assert store.get("short").text == "again"
    sim.set_clock({"forward": 86400})
    assert store.get("short").status_code == 404


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (AccessKey(SecretStr("AKUNKNOWN"), SecretStr(SK)), "InvalidAccessKeyId"),
        (AccessKey(SecretStr(AK), SecretStr("wrong")), "SignatureDoesNotMatch"),
        (AccessKey(SecretStr(AK), SecretStr(SK), SecretStr("token of another")), "InvalidSecurityToken"),
    ],
)
def test_who_does_not_sign_as_a_known_key_is_refused(
    store: Store, sim: Simulator, key: AccessKey, expected: str
) -> None:
    sim.set_auth({"security_tokens": {AK: "its own token"} if key.security_token else {}})
    refused = store.ask("PUT", "x", b"text", key=key)
    assert (refused.status_code, code(refused)) == (403, expected)
    assert sim.objects() == {}
    assert "present" in str(sim.calls())
    assert SK not in str(sim.calls())


def test_a_clock_that_is_off_shows_in_every_time(store: Store, sim: Simulator) -> None:
    """It refuses what was signed a quarter of an hour away from it."""
    sim.set_objects({"skew": 600})
    store.put("x", "text")
    assert parsedate_to_datetime(store.get("x").headers["last-modified"]).timestamp() - time.time() > 590
    sim.set_objects({"skew": -1000})
    assert (store.get("x").status_code, code(store.get("x"))) == (403, "RequestTimeTooSkewed")


def rule(action: dict[str, Any], operation: str = "put_object", **more: Any) -> list[dict[str, Any]]:
    return [{"operation": operation, "count": 1, "action": action, **more}]


@pytest.mark.parametrize(
    ("action", "lands"),
    [({"reset_before": "fin"}, False), ({"reset_after": "rst"}, True), ({"late": 0.3}, True)],
)
def test_an_answer_is_lost_and_the_write_lands_never_now_or_later(
    store: Store,
    sim: Simulator,
    action: dict[str, Any],
    lands: bool,  # noqa: FBT001  # a column
) -> None:
    sim.set_rules(rule(action))
    with pytest.raises(httpx.TransportError):
        store.put("x", "text")
    at_once: Callable[[], bool] = lambda: sim.objects() == {f"{BUCKET}/x": "text"}  # noqa: E731  # asked again below
    assert at_once() is (lands and "late" not in action)
    if lands:
        wait_until(at_once)
    assert store.get("x").status_code == (200 if lands else 404)


def test_a_rate_that_is_too_high_is_refused_and_nothing_is_written(store: Store, sim: Simulator) -> None:
    sim.set_rules(rule({"answer": "slow_down"}, object_name=r"/y$"))
    assert store.put("x", "text").status_code == 200
    refused = store.put("y", "text")
    assert (refused.status_code, code(refused)) == (503, "SlowDown")
    assert store.put("y", "text").status_code == 200


@pytest.fixture
def client(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The official client: its bucket is in the host's name, which leads to the simulator here."""
    resolve = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda _host, *rest, **named: resolve("127.0.0.1", *rest, **named))
    client = obs.ObsClient(
        access_key_id=AK,
        secret_access_key=SK,
        server=f"http://obs.cn-north-4.myhuaweicloud.com:{store.url.rpartition(':')[2]}",
        max_retry_count=0,
        is_signature_negotiation=False,
        signature="obs",
    )
    yield client
    client.close()


def test_the_official_client_writes_and_reads_there(client: Any, sim: Simulator) -> None:
    assert client.putContent(BUCKET, "a b/c", "text").status == 200
    assert client.getObject(BUCKET, "a b/c", loadStreamInMemory=True).body.buffer == b"text"
    assert client.getObject(BUCKET, "none", loadStreamInMemory=True).errorCode == "NoSuchKey"
    assert sim.objects() == {f"{BUCKET}/a b/c": "text"}


def test_pieces_are_appended_at_the_end_alone_and_never_to_what_was_put(client: Any, store: Store) -> None:
    def append(position: int, text: str) -> tuple[int, str | None]:
        answer = client.appendObject(BUCKET, "log", {"content": text, "position": position})
        return answer.status, answer.errorCode

    assert [append(0, "ab"), append(2, "c")] == [(200, None), (200, None)]
    assert append(2, "d") == (409, "PositionNotEqualToLength")
    found = store.get("log")
    assert (found.text, found.headers["x-obs-object-type"]) == ("abc", "Appendable")
    assert found.headers["x-obs-next-append-position"] == "3"
    store.put("log", "whole")
    assert append(5, "d") == (409, "ObjectNotAppendable")
