"""A night on a platform that scales to zero: a task fails after each restart, and no instance sees two events.

The same with `sqlite://`, and with `memory://`, which keeps no budget, is in test_sqlite.py.
"""

import json
import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from gcs_server import ADDRESS as GCS
from gcs_server import MovedClock, gcs_server
from obs_bench import ADDRESS as OBS
from processes import EXAMPLE, TIMEOUT_S, Running, function, simulator

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("unmeasured")]
LOOP = 191297407830890  # it fails again after each start
BUDGET, EVENTS = 2, 3
TEN_MINUTES = 600.0
HEADERS = {
    "Authorization": f"Bearer {EXAMPLE['CALLER_BEARER_TOKENS']}",
    "Content-Type": "application/cloudevents+json",
}


@pytest.fixture
def oms() -> Iterator[Running]:
    """One for each night, which moves its clock."""
    with simulator() as running:
        yield running


def night(oms: Running, ledger: dict[str, str], pass_time: Callable[[float], None]) -> list[str | None]:
    """Send an event every ten minutes, each to an instance of its own; what each receipt gives as the reason."""
    settings = EXAMPLE | {"OMS_ENDPOINT": oms.url, "RESTART_BUDGET": f"{BUDGET}/24h"} | ledger
    reasons = []
    for number in range(EVENTS):
        event = {"specversion": "1.0", "type": "oms.task.failed", "source": "/oms", "id": f"night-{number}"}
        body = json.dumps(event | {"data": {"task_id": LOOP}})
        with function(settings) as instance:
            assert httpx.post(instance.url, content=body, headers=HEADERS, timeout=TIMEOUT_S).status_code == 204
            reasons.append(instance.receipt().get("reason"))
            instance.kill()
        oms.control("POST", "/_sim/clock", {"forward": TEN_MINUTES})
        pass_time(TEN_MINUTES)
    return reasons


def starts(oms: Running) -> int:
    return int(oms.control("GET", "/_sim/starts").get(str(LOOP), 0))


def no_other_clock(seconds: float) -> None:
    """The simulator's clock is the only one."""


EXHAUSTED = [None] * BUDGET + ["budget_exhausted"] * (EVENTS - BUDGET)


def test_a_ledger_in_obs_keeps_the_budget(oms: Running) -> None:
    """A task that always fails is started as often as the budget allows."""
    assert night(oms, {"RESTART_LEDGER": OBS, "OBS_ENDPOINT": oms.url}, no_other_clock) == EXHAUSTED
    assert starts(oms) == BUDGET


def test_a_ledger_in_cloud_storage_keeps_the_budget(oms: Running) -> None:
    """A task that always fails is started as often as the budget allows."""
    clock = [time.time()]

    def pass_time(seconds: float) -> None:
        clock[0] += seconds

    with gcs_server() as server, MovedClock(server, lambda: clock[0]).serving() as url:
        assert night(oms, {"RESTART_LEDGER": GCS, "STORAGE_EMULATOR_HOST": url}, pass_time) == EXHAUSTED
    assert starts(oms) == BUDGET
