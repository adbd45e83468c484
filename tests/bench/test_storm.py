"""The storm on a small scale: a few hundred events, everything that can fail, and the same promises."""

import runpy
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.long
STORM = runpy.run_path(str(Path(__file__).with_name("storm.py")))
SMALL = STORM["Plan"](
    events=300,
    tasks=280,
    starts_per_second=25,
    connections=40,
    deadline=1.6,
    late=2.5,
    limit=180.0,
    backoff=2,
    faults=4,
)


@pytest.fixture(scope="module")
def found() -> Any:
    return STORM["play"](SMALL)


@pytest.mark.parametrize("promise", STORM["Found"](SMALL, []).promises())
def test_in_a_storm_every_promise_is_kept(promise: str, found: Any) -> None:
    assert found.promises()[promise] == []


def test_it_was_a_storm(found: Any) -> None:
    """What did not happen proves nothing."""
    outcomes = Counter((receipt["outcome"], receipt.get("reason")) for receipt in found.receipts)
    assert (
        outcomes["started", None] > SMALL.tasks * 0.5
    )  # but for what was not confirmed, and what the killed one did not live to tell
    assert outcomes["duplicate", None] >= len(found.again) >= 100
    assert outcomes["unavailable", "throttled"] > 0
    assert outcomes["unavailable", "oms_error"]
    assert outcomes["deferred", "in_progress"]
    assert any(sent.status is None for sent in found.sent.values())
    assert found.elapsed > SMALL.least
    assert len(found.lost) >= 5
    summaries = [receipt for receipt in found.receipts if receipt["outcome"] == "swept"]
    assert sum(summary["started"] for summary in summaries) > 0
