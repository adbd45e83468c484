"""The bench counts, compares and refuses as it says: what is pure in it, on figures that are known."""

import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))

from checks import TRIES, Disturbed, Miscounted, check_cores, check_counts, undisturbed
from functions import EMPTY, FUNCTIONS, OTHER, OURS, SDK, Function
from load import Loaded, requests  # found only now
from measure import Phase
from proc import Sample, core_seconds, peak_bytes, process_seconds, waited_seconds
from report import CLAIMS, Claim, Spread, claims, figures, markdown, ratios, scale, text
from scale import Scale
from split import split
from stand_in import Connection, Counts

sys.path.remove(str(Path(__file__).parents[1] / "bench"))

STAT = "42 (a (b) name) S 1 42 42 0 -1 4194304 102 0 0 0 150 50 20 30 20 0 1 0 54581 3133440 389"
CORES = """cpu  5442 0 1567 101495 258 0 45 10 0 0
cpu0 843 0 539 52983 11 0 16 2 0 0
cpu1 4598 7 1028 48512 246 3 28 7 0 0
cpu10 1 1 1 1 1 1 1 1 0 0
"""


def test_the_cpu_of_a_process_is_its_own_and_that_of_children_that_ended() -> None:
    assert process_seconds(STAT) == pytest.approx(2.5)


def test_a_core_is_used_by_all_but_idling_and_waiting_for_a_disk() -> None:
    assert core_seconds(CORES, 1) == pytest.approx((4598 + 7 + 1028 + 3 + 28 + 7) / 100)
    assert core_seconds(CORES, 0) == pytest.approx(14.0)
    with pytest.raises(ValueError, match="no core 2"):
        core_seconds(CORES, 2)


def test_the_peak_of_memory_is_the_high_water_mark() -> None:
    assert peak_bytes("VmPeak:\t  999999 kB\nVmHWM:\t    1968 kB\nVmRSS:\t 12 kB\n") == 1968 * 1024
    assert peak_bytes("Name:\tkthreadd\n") == 0


def test_waiting_for_a_core_is_the_second_figure_of_schedstat() -> None:
    assert waited_seconds("880098 1500000000 17\n") == 1.5


@pytest.mark.parametrize(
    ("used", "ours", "others"), [(2.0, 2.0, 0.0), (2.0, 1.5, 0.125), (4.0, 1.0, 0.75), (1.98, 2.0, 0.0)]
)
def test_others_had_what_the_core_was_used_and_we_did_not_use(used: float, ours: float, others: float) -> None:
    before, after = Sample(clock=10.0, used=5.0, ours=3.0), Sample(clock=14.0, used=5.0 + used, ours=3.0 + ours)
    assert before.others_until(after) == pytest.approx(others)


def test_a_load_is_refused_when_others_had_more_of_a_core_than_is_accepted() -> None:
    check_cores({"server": 0.03, "load": 0.0}, 0.03)
    with pytest.raises(Disturbed, match=r"others had 3\.1% of the core of the load; at most 3%"):
        check_cores({"server": 0.0, "load": 0.031}, 0.03)


def loaded(good: int, **bad: int) -> Loaded:
    statuses = Counter({204: good} | {int(status.strip("_")): count for status, count in bad.items()})
    return Loaded(statuses, [(good, 1.0)])


def seen(function: Function, starts: int) -> dict[str, Any]:
    return {"calls": starts * function.calls, "starts": starts, "tasks": starts}


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.name)
def test_a_load_counts_when_answers_starts_tasks_and_receipts_are_as_many(function: Function) -> None:
    starts = 5 if function.calls else 0
    check_counts(function, loaded(5), seen(function, starts), 5 if function.receipts else 0)
    with pytest.raises(Miscounted, match=r"1 answers other than 2xx, not 0"):
        check_counts(function, loaded(5, _503=1), seen(function, starts), 5 if function.receipts else 0)


@pytest.mark.parametrize(
    ("changes", "receipts", "message"),
    [
        ({"starts": 6}, 5, "6 starts, not 5"),
        ({"starts": 4, "tasks": 4}, 5, "4 starts, not 5, 4 tasks started, not 5"),
        ({"tasks": 4}, 5, "4 tasks started, not 5"),
        ({"calls": 9}, 5, "9 calls, not 10"),
        ({}, 4, "4 receipts, not 5"),
    ],
)
def test_a_load_is_refused_when_one_count_differs(changes: dict[str, int], receipts: int, message: str) -> None:
    with pytest.raises(Miscounted, match=re.escape(f"{{204: 5}}; {message}") + "$"):
        check_counts(OURS, loaded(5), seen(OURS, 5) | changes, receipts)


def test_what_others_disturbed_is_measured_again_and_refused_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    tries: list[int] = []
    told: list[str] = []

    def quiet_from(first: int) -> int:
        tries.append(1)
        if len(tries) < first:
            raise Disturbed("others")
        return len(tries)

    assert undisturbed(lambda: quiet_from(3), told.append) == 3
    assert told == ["measured again: others"] * 2
    tries.clear()
    with pytest.raises(Disturbed):
        undisturbed(lambda: quiet_from(99), told.append)
    assert len(tries) == TRIES


def test_what_was_miscounted_is_not_measured_again() -> None:
    tries: list[int] = []

    def wrong() -> None:
        tries.append(1)
        raise Miscounted("one start too many")

    with pytest.raises(Miscounted):
        undisturbed(wrong, print)
    assert tries == [1]


def test_a_rate_is_the_sum_of_the_connections_own_rates() -> None:
    found = Loaded(Counter({204: 30}), [(10, 1.0), (20, 4.0), (0, 0.0)])
    assert (found.sent, found.good, found.rate) == (30, 30, 15.0)
    assert Loaded(Counter({204: 3, 503: 2, 0: 1})).good == 3


def test_the_share_of_the_possible_is_by_the_delay_that_oms_really_made() -> None:
    """200 connections and two answers of 0.1 s each allow 1,000 events a second."""
    phase = Phase(Loaded(Counter({204: 900}), [(9, 2.0)] * 200), 0.0, {"delayed": 900 * 0.2}, {})
    assert phase.share_of_possible == pytest.approx(0.9)


def test_each_call_is_for_a_task_of_its_own() -> None:
    """It has an event id only where one is asked for."""
    plain, named = requests("http://h:1", "token"), requests("http://h:1", "token", named=True)
    sent = [next(plain) for _ in range(3)] + [next(named) for _ in range(3)]
    assert len({one.rpartition(b"\r\n\r\n")[2] for one in sent[:3]}) == 3
    for one in sent:
        head, _, body = one.partition(b"\r\n\r\n")
        assert b"Content-Length: %d\r\n" % len(body) in head + b"\r\n"
        assert b"Authorization: Bearer token\r\n" in head
    assert [one.count(b"Idempotency-Key: event-") for one in sent] == [0, 0, 0, 1, 1, 1]


class Wire:
    """What a transport was told to write, and what a loop was told to do later."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.later: list[tuple[float, Any, bytes, float]] = []

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def call_later(self, delay: float, call: Any, content: bytes, came: float) -> None:
        self.later.append((delay, call, content, came))

    def time(self) -> float:
        return 7.0


def stand_in(counts: Counts) -> tuple[Connection, Wire]:
    wire = Wire()
    connection = Connection(counts, wire)  # type: ignore[arg-type]  # as much of a loop as is used
    connection._transport = wire  # type: ignore[assignment]  # noqa: SLF001  # the same
    return connection, wire


START = b"POST /v2/p/tasks/77/start HTTP/1.1\r\nauthorization: SDK-HMAC-SHA256 Access=A\r\ncontent-length: 2\r\n\r\n{}"


def test_the_stand_in_counts_signed_starts_alone_and_each_task_once() -> None:
    counts = Counts()
    connection, wire = stand_in(counts)
    connection.data_received(START[:40])
    assert wire.written == []
    connection.data_received(START[40:] + START + START.replace(b"SDK-HMAC-SHA256", b"Basic"))
    assert [answer[9:12] for answer in wire.written] == [b"200", b"200", b"401"]
    assert (counts.calls, counts.starts, counts.tasks) == (3, 2, {b"77"})


def test_the_stand_in_shows_the_task_that_was_asked_for_as_failed() -> None:
    connection, wire = stand_in(Counts())
    connection.data_received(b"GET /v2/p/tasks/123456789012345 HTTP/1.1\r\n\r\n")
    connection.data_received(b"GET /v2/p/tasks?limit=50 HTTP/1.1\r\n\r\n")
    assert b'{"id": 123456789012345, ' in wire.written[0]
    assert b'"status": 4, ' in wire.written[0]
    assert b'{"count": 1, "tasks": [{"id": 191297407830872, ' in wire.written[1]
    for answer in wire.written:
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.endswith(b"Content-Length: %d" % len(body))


def test_the_stand_in_delays_the_answers_of_oms_and_measures_for_how_long() -> None:
    counts = Counts()
    connection, wire = stand_in(counts)
    connection.data_received(b"PUT /reset?0.1 HTTP/1.1\r\n\r\n" + START)
    assert len(wire.written) == 1
    ((delay, call, content, _came),) = wire.later
    call(content, 6.875)
    assert (delay, counts.delayed, len(wire.written)) == (0.1, 0.125, 2)


def test_ratios_are_made_within_a_round() -> None:
    assert ratios([2.0, 9.0], [4.0, 3.0]) == [0.5, 3.0]
    with pytest.raises(ValueError, match="zip"):
        ratios([1.0], [1.0, 2.0])


def test_a_spread_is_lowest_median_and_highest() -> None:
    spread = Spread.of([3.0, 1.0, 2.0, 10.0])
    assert (spread.low, spread.median, spread.high) == (1.0, 2.5, 10.0)
    assert spread.text(1) == "2.5 (1.0 to 10.0)"


RESULTS = {
    function.name: {
        "cold_start": [100.0 * (n + 1)] * 2,
        "cold_start_https": [100.0] * 2,
        "cpu": [0.1 * (n + 1)] * 2,
        "cpu_named": [0.1 * (n + 1)] * 2,
        "throughput": [1000.0 * (5 - n)] * 2,
        "throughput_200": [1900.0, 1910.0],
        "share_200": [0.93, 0.94],
        "memory": [50.0] * 2,
    }
    for n, function in enumerate(FUNCTIONS)
}


def test_a_claim_that_is_missed_says_so() -> None:
    at_most, at_least = Claim("t", "m", None, 1.5), Claim("t", "m", None, 1.5, at_least=True)
    for figure, below, above in ((1.5, True, True), (1.6, False, True), (1.4, True, False)):
        assert (at_most.met(Spread(0, figure, 9)), at_least.met(Spread(0, figure, 9))) == (below, above)
    assert Claim("t", "m").met(Spread(0, 9, 9))
    row = next(row for row in claims(RESULTS) if row[0].startswith("200 connections"))
    assert row[1:] == ("0.94 (0.93 to 0.94) missed", "at least 0.95", "at least 0.97")


def test_each_claim_is_by_the_function_that_it_names() -> None:
    rows = {row[0]: row for row in claims(RESULTS)}
    assert len(rows) == len(CLAIMS)
    assert rows["cold start x empty function"][1] == "0.25 (0.25 to 0.25)"
    assert rows["CPU per call x SDK function"][1] == "0.50 (0.50 to 0.50)"
    assert [claim.base for claim in CLAIMS if claim.bound] == [
        EMPTY.name,
        SDK.name,
        SDK.name,
        SDK.name,
        None,
        EMPTY.name,
    ]


def test_every_function_has_its_row_of_figures() -> None:
    rows = figures(RESULTS)
    assert [row[0] for row in rows] == [function.name for function in FUNCTIONS]
    assert rows[0][1] == "100 (100 to 100)"
    assert markdown(("a", "b"), [("1", "2")]) == "| a | b |\n| --- | --: |\n| 1 | 2 |"


def test_another_release_has_a_table_of_ratios_where_it_was_measured() -> None:
    slower = {measure: [figure * 2 for figure in found] for measure, found in RESULTS[OURS.name].items()}
    row = "| CPU per call, ms | 0.100 (0.100 to 0.100) | 0.200 (0.200 to 0.200) | 0.50 (0.50 to 0.50) |"
    assert row in text(RESULTS | {OTHER: slower}, "head")
    assert OTHER not in text(RESULTS, "head")


def test_scale_on_paper_is_the_formulas_that_are_printed() -> None:
    paper = Scale(cpu_ms=0.5, memory_mib=60.0, calls=2)
    assert paper.events_per_second == pytest.approx(1400)
    assert paper.instances(100_000, 600) == 1
    assert paper.instances(100_000, 60) == 2
    assert paper.duration == pytest.approx(0.2005)
    assert paper.cloud_run_alone == pytest.approx(1e6 * 0.3 * (0.000024 + 0.5 * 0.0000025) + 0.40)
    assert paper.cloud_run_together == pytest.approx(1e6 / 1400 * (0.000024 + 0.5 * 0.0000025) + 0.40)
    assert paper.functiongraph == pytest.approx(1e6 * 0.201 * 128 / 1024 * 0.00001667 + 0.20)
    assert Scale(0.5, 110.0, 2).functiongraph_size == 256
    assert [row[2] for row in scale(RESULTS)][:3] == ["7,000", "1", "333"]


def test_a_sample_counts_for_the_innermost_frame_whose_area_is_known() -> None:
    loop = "run (/usr/lib/python3.11/asyncio/runners.py:190)"
    sign = "sign (/tmp/x/function/restarter/oms/signing.py:30)"
    send = "request (/x/lib/python3.11/site-packages/h11/_connection.py:5)"
    digest = "new (/usr/lib/python3.11/hmac.py:160)"
    lines = [f"{loop};{sign};{digest} 7", f"{loop};{sign};{send} 2", f"{loop} 3", "main (x.py:1) 1", f"{loop};{sign} 1"]
    assert split(lines) == {"ours: oms": 8, "h11": 2, "event loop": 3, "other": 1}
