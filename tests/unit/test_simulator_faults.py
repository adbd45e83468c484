"""The simulator breaks its rules only when told to, over a real socket where bytes matter. Loopback only."""

import gzip
import logging
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec

import httpx
import pytest

from simulator import Simulator
from simulator_calls import BODY, FAILED, ID, START, TASKS, TOKEN, Clock, ask, code, send_start, start, wait_until


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sim(clock: Clock) -> Simulator:
    return Simulator({"tasks": [FAILED]}, clock)


def test_a_rule_applies_to_its_operation_and_task_as_often_as_it_says(sim: Simulator) -> None:
    sim.set_rules([{"operation": "start", "task_id": ID, "count": 2, "action": {"answer": "unavailable"}}])
    assert ask(sim, "GET", f"{TASKS}/{ID}").status_code == 200
    assert code(start(sim, 5)) == "OMS.1009"
    assert [start(sim).status_code for _ in range(3)] == [503, 503, 200]


def test_a_rule_without_a_count_applies_always_and_to_any_call(sim: Simulator) -> None:
    sim.set_rules([{"action": {"answer": {"status": 500}}}])
    asked = (TASKS, f"{TASKS}/{ID}", "/elsewhere")
    assert [ask(sim, "GET", path).status_code for path in asked] == [500] * 3


def test_chance_is_the_same_for_the_same_seed(sim: Simulator) -> None:
    def series(seed: int) -> list[int]:
        sim.set_rules([{"probability": 0.5, "seed": seed, "action": {"answer": {"status": 500}}}])
        return [ask(sim, "GET", TASKS).status_code for _ in range(20)]

    assert series(1) == series(1) != series(2)
    assert {200, 500} == set(series(1))


@pytest.mark.parametrize(
    ("answer", "status", "content_type"),
    [
        ("throttled", 429, "application/json;charset=utf-8"),
        ("unavailable", 503, "application/json;charset=utf-8"),
        ("broken", 500, "application/json;charset=utf-8"),
        ("bad_gateway", 502, "text/html"),
        ("redirect", 302, None),
        ("html", 200, "text/html"),
        ({"status": 418, "body": "tea", "headers": {"Content-Type": "text/x"}}, 418, "text/x"),
        ({"status": 404, "body": {"a": 1}}, 404, "application/json;charset=utf-8"),
    ],
)
def test_an_answer_can_be_put_in_place_of_the_true_one(
    sim: Simulator, answer: object, status: int, content_type: str | None
) -> None:
    sim.set_rules([{"operation": "start", "action": {"answer": answer}}])
    response = start(sim)
    assert (response.status_code, response.headers.get("content-type")) == (status, content_type)
    assert response.headers["x-request-id"]
    assert sim.starts(ID) == 0


def test_an_answer_can_hide_a_start_that_was_made(sim: Simulator) -> None:
    sim.set_rules([{"count": 1, "action": {"answer": {"status": 504, "commit": True}}}])
    assert start(sim).status_code == 504
    assert (sim.starts(ID), code(start(sim))) == (1, "OMS.0065")


@pytest.mark.parametrize("size", [0, 1, 65_536, 65_537, 20_000_000])
def test_an_answer_can_be_of_any_size(sim: Simulator, size: int) -> None:
    sim.set_rules([{"action": {"answer": {"size": size}}}])
    assert len(start(sim).content) == size


def test_an_answer_can_be_compressed(sim: Simulator) -> None:
    sim.set_rules([{"action": {"answer": {"size": 1_000_000, "gzip": True}}}])
    response = start(sim)
    assert response.headers["content-encoding"] == "gzip"
    assert int(response.headers["content-length"]) == len(gzip.compress(b"x" * 1_000_000))
    assert len(response.content) == 1_000_000


def test_a_redirect_says_where_to(sim: Simulator) -> None:
    sim.set_rules([{"action": {"answer": {"status": 302, "headers": {"Location": "http://127.0.0.1:9/"}}}}])
    assert start(sim).headers["location"] == "http://127.0.0.1:9/"


def test_a_delay_waits_and_lets_the_next_rule_decide(sim: Simulator) -> None:
    sim.set_rules([{"count": 2, "action": {"delay": 0.05}}, {"count": 1, "action": {"answer": "broken"}}])
    begun = time.monotonic()
    assert [start(sim).status_code for _ in range(2)] == [500, 200]
    assert time.monotonic() - begun >= 0.1


@pytest.fixture(scope="module", params=[name for name in ("h11", "httptools") if find_spec(name)])
def server(request: pytest.FixtureRequest) -> Iterator[tuple[Simulator, str]]:
    """One server for each of uvicorn's protocols that is installed."""
    sim = Simulator({"tasks": [FAILED]})
    with sim.serving(http=request.param) as url:
        yield sim, url


@pytest.fixture
def served(server: tuple[Simulator, str], caplog: pytest.LogCaptureFixture) -> Iterator[tuple[Simulator, str]]:
    """A simulator behind a real socket, as good as new. That uvicorn finds something to log is a failure."""
    server[0].reset()
    logger = logging.getLogger("uvicorn")
    logger.addHandler(caplog.handler)
    yield server
    logger.removeHandler(caplog.handler)
    assert caplog.records == []


@pytest.mark.parametrize(("action", "starts"), [("reset_before", 0), ("reset_after", 1)])
def test_a_connection_can_end_without_a_byte(served: tuple[Simulator, str], action: str, starts: int) -> None:
    sim, url = served
    sim.set_rules([{"operation": "start", "count": 1, "action": {action: "fin"}}])
    with send_start(url) as connection:
        assert connection.recv(1) == b""
    assert sim.starts(ID) == starts
    assert [(call["status"], call["fault"], call["accepted"]) for call in sim.calls()] == [(None, action, bool(starts))]


@pytest.mark.parametrize(("action", "starts"), [("reset_before", 0), ("reset_after", 1)])
def test_a_connection_can_be_reset(served: tuple[Simulator, str], action: str, starts: int) -> None:
    sim, url = served
    sim.set_rules([{"operation": "start", "count": 1, "action": {action: "rst"}}])
    with send_start(url) as connection, pytest.raises(ConnectionResetError):
        connection.recv(1)
    assert sim.starts(ID) == starts


def test_the_next_connection_is_served_again(served: tuple[Simulator, str]) -> None:
    sim, url = served
    sim.set_rules([{"operation": "start", "count": 1, "action": {"reset_after": "fin"}}])
    with httpx.Client(base_url=url, headers=TOKEN, trust_env=False) as client:
        assert client.get(TASKS).status_code == 200
        with pytest.raises(httpx.RemoteProtocolError):
            client.post(START, json=BODY)
        assert code(client.post(START, json=BODY)) == "OMS.0065"


@pytest.mark.parametrize(("when", "starts"), [("before", 0), ("after", 1)])
def test_a_call_can_hang_until_the_client_goes(served: tuple[Simulator, str], when: str, starts: int) -> None:
    sim, url = served
    sim.set_rules([{"operation": "start", "action": {"hang": when}}])
    with send_start(url, seconds=0.2) as connection, pytest.raises(TimeoutError):
        connection.recv(1)
    assert sim.starts(ID) == starts
    assert [(call["status"], call["fault"]) for call in sim.calls()] == [(None, "hang")]
    assert httpx.get(f"{url}{TASKS}", headers=TOKEN, trust_env=False).status_code == 200


def test_a_delayed_start_is_made_though_its_client_gave_up(served: tuple[Simulator, str]) -> None:
    sim, url = served
    sim.set_rules([{"operation": "start", "action": {"delay": 0.2}}])
    with send_start(url):
        wait_until(lambda: len(sim.calls()) == 1)
    wait_until(lambda: sim.starts(ID) == 1)


def test_a_huge_answer_passes_a_real_socket(served: tuple[Simulator, str]) -> None:
    sim, url = served
    sim.set_rules([{"action": {"answer": {"size": 3_000_001}}}])
    assert len(httpx.get(f"{url}{TASKS}", headers=TOKEN, trust_env=False).content) == 3_000_001


def test_in_process_a_closed_connection_is_an_exception(sim: Simulator) -> None:
    sim.set_rules([{"action": {"reset_after": "fin"}}])
    with pytest.raises(ConnectionResetError):
        start(sim)
    assert sim.starts(ID) == 1


def test_of_many_starts_at_once_one_is_accepted(served: tuple[Simulator, str]) -> None:
    sim, url = served

    def post(_: int) -> int:
        return httpx.post(f"{url}{START}", json=BODY, headers=TOKEN, trust_env=False).status_code

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(post, range(16))) == [200] + [400] * 15
    assert sim.starts(ID) == 1
