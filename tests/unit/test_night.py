"""The picture of a night: what receipts say is drawn, and nothing else."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from restarter.cli.night import Night, Span, State, What, by_hand, night_of
from restarter.cli.night_picture import draw, numbers

EVENING = datetime(2100, 1, 15, 20, tzinfo=UTC)
SVG = "{http://www.w3.org/2000/svg}"


def after(hours: float) -> datetime:
    return EVENING + timedelta(hours=hours)


def receipt(hours: float, outcome: str, task: str | None = "1", **fields: Any) -> dict[str, Any]:
    """An event's receipt, so many hours after the evening."""
    facts = {"time": after(hours).isoformat(), "outcome": outcome, "task_id": task, "intent": "failed"} | fields
    return {name: value for name, value in facts.items() if value is not None}


def told(*receipts: Mapping[str, Any], until: float = 10, **fields: Any) -> Night:
    return night_of(receipts, EVENING, after(until), **fields)


def spans(night: Night) -> list[tuple[str, float, float]]:
    """State, begin and end in hours of the only task's spans."""
    (task,) = night.tasks
    hour = timedelta(hours=1)
    return [(state, (begins - EVENING) / hour, (ends - EVENING) / hour) for begins, ends, state in task.spans]


def whats(night: Night) -> list[str]:
    (task,) = night.tasks
    return [mark.what for mark in task.marks]


def test_a_task_runs_until_its_event_says_that_it_failed_and_again_from_its_start() -> None:
    night = told(receipt(3, "started", event_age_s=3600))
    assert spans(night) == [("ran", 0, 2), ("failed", 2, 3), ("ran", 3, 10)]
    assert whats(night) == ["notice", "start"]
    assert numbers(night) == "60 minutes lost · 1 of 1 run or are done"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(1, "1 second"), (119, "119 seconds"), (120, "2 minutes"), (7200, "2.0 hours"), (72_000, "20 hours")],
)
def test_the_time_that_was_lost_has_its_unit(seconds: float, words: str) -> None:
    night = told(receipt(0, "deferred"), receipt(seconds / 3600, "started", intent="requested"), until=30)
    assert numbers(night).startswith(f"{words} lost")


def test_a_task_that_needs_a_person_stands_until_the_end_and_the_advice_is_told() -> None:
    night = told(receipt(2, "refused", reason="permanent_failure", advice="Make room"))
    assert spans(night) == [("ran", 0, 2), ("failed", 2, 10)]
    assert whats(night) == ["notice", "person"]
    assert night.tasks[0].advice == "permanent_failure: Make room"
    assert numbers(night) == "8.0 hours lost · 1 wait for a person, with advice"
    later = receipt(4, "started", intent="requested", event_age_s=None)
    assert spans(told(receipt(2, "refused", advice="Make room"), later))[1:] == [("failed", 2, 4), ("ran", 4, 10)]


def test_the_redelivery_of_a_deferred_event_is_no_second_failure() -> None:
    """The task stays failed in between."""
    night = told(
        receipt(2, "deferred", reason="backoff"), receipt(3, "started", event_age_s=3600), receipt(4, "duplicate")
    )
    assert spans(night) == [("ran", 0, 2), ("failed", 2, 3), ("ran", 3, 10)]
    assert whats(night) == ["notice", "notice", "start", "notice"]


def test_an_event_that_comes_late_does_not_reach_back_before_the_last_change() -> None:
    night = told(receipt(3, "started"), receipt(5, "deferred", event_age_s=4 * 3600))
    assert spans(night) == [("ran", 0, 3), ("failed", 3, 10)]


def test_a_refusal_without_advice_has_its_mark() -> None:
    assert whats(told(receipt(2, "refused", reason="paused"))) == ["notice", "refusal"]
    assert numbers(told(receipt(2, "refused"))) == "8.0 hours lost · 1 of 1 stand failed at the end"


def test_what_runs_or_has_succeeded_by_other_hands_does_not_stand() -> None:
    assert spans(told(receipt(2, "deferred"), receipt(4, "already_running"))) == [
        ("ran", 0, 2), ("failed", 2, 4), ("ran", 4, 10)]  # fmt: skip
    assert spans(told(receipt(2, "deferred"), receipt(4, "nothing_to_do"))) == [("ran", 0, 2), ("failed", 2, 4)]


def test_a_task_that_succeeded_ends_there_whether_it_is_known_by_name_or_by_id() -> None:
    one = receipt(2, "started", task_name="photos")
    for name in ("photos", "1"):
        night = told(one, done={name: after(5)})
        assert spans(night)[-1] == ("ran", 2, 5)
        assert whats(night)[-1] is What.DONE
    assert spans(told(one, done={"photos": after(1)}))[-1] == ("ran", 2, 10), "before its last start"


def test_a_name_and_an_id_that_one_receipt_shows_together_are_one_task() -> None:
    by_name = receipt(4, "duplicate", None, task_name="photos")
    assert len(told(receipt(2, "started", task_name="photos"), by_name).tasks) == 1
    twins = [receipt(2, "started", "1", task_name="twin"), receipt(3, "started", "2", task_name="twin")]
    night = told(*twins, receipt(4, "deferred", None, task_name="twin"))
    assert [task.name for task in night.tasks] == ["twin", "twin", "twin"]


def test_a_group_is_a_row_of_its_own() -> None:
    night = told(receipt(2, "started", "7", group_id="g-1", task_name="member"))
    assert [task.name for task in night.tasks] == ["group g-1"]


@pytest.mark.parametrize(
    "line",
    [
        {"outcome": "started", "task_id": "1"},
        {"outcome": "started", "task_id": "1", "time": 3},
        {"outcome": "started", "task_id": "1", "time": "yesterday"},
        {"outcome": "started", "task_id": "1", "time": "2100-01-15T22:00:00"},
        receipt(2, "swept", None),
        receipt(11, "started"),
        receipt(2, "ignored", intent=None),
    ],
)
def test_what_has_no_time_no_task_or_comes_later_is_not_drawn(line: dict[str, Any]) -> None:
    assert told(line).tasks == []
    assert numbers(told(line)) == "0 seconds lost · 0 of 0 run or are done"


def test_without_bounds_the_night_goes_from_the_first_failure_to_the_last_receipt() -> None:
    night = night_of([receipt(2, "started", event_age_s=3600), receipt(5, "deferred")])
    assert (night.begins, night.ends) == (after(1), after(5))
    assert night_of([]).tasks == []
    assert draw([("empty", night_of([], EVENING))]).count("<g") == 0


def test_by_hand_each_task_stands_from_its_first_failure_on() -> None:
    requested = receipt(1, "started", "3", intent="requested")
    night = by_hand(told(receipt(2, "started"), receipt(4, "started"), receipt(0, "started", "2"), requested))
    assert [task.spans for task in night.tasks] == [
        [Span(EVENING, after(10), State.FAILED)],
        [Span(EVENING, after(2), State.RAN), Span(after(2), after(10), State.FAILED)],
        [Span(EVENING, after(10), State.RAN)],
    ]
    assert numbers(night) == "18.0 hours lost · 1 of 3 run or are done · 2 of 3 stand failed at the end"
    assert all(task.marks == [] for task in night.tasks)


# -- the picture


def parsed(svg: str) -> ET.Element:
    """The document; ElementTree refuses what is no XML."""
    return ET.fromstring(svg)  # noqa: S314  # made a line above


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in parsed(svg).iter(f"{SVG}text")]


def test_the_picture_has_a_row_a_bar_and_a_mark_for_each_and_the_numbers_at_its_head() -> None:
    night = told(
        receipt(2, "started", task_name="photos"),
        receipt(3, "refused", "2", reason="permanent_failure", advice="Make room"),
        receipt(4, "refused", "3", reason="paused"),
        done={"photos": after(5)},
    )
    svg = draw([("By hand", by_hand(night)), ("With", night)], "a note")
    rows = [group for group in parsed(svg).iter(f"{SVG}g") if group.get("class") == "task"]
    assert [row.findtext(f"{SVG}title") for row in rows] == ["photos", "2", "3"] * 2
    marks = [title.text for row in rows[3:] for title in row.iterfind(f"{SVG}g/{SVG}title")]
    assert marks == [
        "22:00:00 notice: started", "22:00:00 started", "01:00:00 succeeded",
        "23:00:00 notice: refused permanent_failure", "23:00:00 permanent_failure: Make room",
        "00:00:00 notice: refused paused", "00:00:00 refused paused",
    ]  # fmt: skip
    assert {"By hand", "With", numbers(night), "20:00", "06:00", "permanent_failure: Make room"} <= set(texts(svg))
    assert texts(svg)[-1] == "a note"


def test_the_picture_loads_nothing_and_runs_nothing() -> None:
    svg = draw([("With", told(receipt(2, "started")))])
    assert set(re.findall(r"(?:https?:|url\()[^\s\"')]*", svg)) == {"http://www.w3.org/2000/svg", "url(#stripes"}
    assert not re.search(r"<(script|image|use|foreignObject|a)\b|@import|\bon[a-z]+=|href", svg)


HOSTILE = "</text></svg><script>alert(1)</script>&amp;\x00\x1b[31m\u202e\ufffe\ud800]]>"


def test_no_name_reason_or_advice_becomes_markup() -> None:
    night = told(receipt(2, "refused", task_name=HOSTILE, reason=HOSTILE, advice=HOSTILE, failure_reason=HOSTILE))
    svg = draw([(HOSTILE, night)], HOSTILE)
    svg.encode()  # no half of a character is left
    assert "<script" not in svg
    assert any("<script>alert(1)</script>" in (title.text or "") for title in parsed(svg).iter(f"{SVG}title"))


def test_advice_that_has_no_room_at_its_right_stands_at_its_left_and_is_cut() -> None:
    early, late = (told(receipt(at, "refused", advice="x" * 500)) for at in (1, 9.9))
    for night in (early, late):
        (text,) = [one for one in texts(draw([("n", night)])) if one.startswith("refused: x")]
        assert len(text) < 100
        assert text.endswith("…")
    boxes = [
        next(float(box.get("x", "")) for box in parsed(draw([("n", one)])).iter() if box.get("class") == "box")
        for one in (early, late)
    ]
    assert boxes[0] < 300
    assert 160 < boxes[1] < 1100


def test_hundreds_of_tasks_are_grouped_by_their_cause() -> None:
    started = [receipt(1, "started", str(n), event_age_s=1800, failure_reason="TRF.0001") for n in range(200)]
    full = [receipt(5, "refused", str(n), failure_reason="TRF.0055", advice="Make room") for n in range(200, 300)]
    svg = draw([("With", told(*started, *full, receipt(2, "started", "999")))])
    rows = [group.findtext(f"{SVG}title") for group in parsed(svg).iter(f"{SVG}g")]
    assert rows == ["TRF.0001: 200 tasks", "TRF.0055: 100 tasks", "no reason given: 1 tasks"]
    assert {"▶ 200", "▶ 0 · ! 100: refused: Make room", "▶ 1"} <= set(texts(svg))
    failed = [box for box in parsed(svg).iter(f"{SVG}rect") if box.get("class") == "failed"]
    assert {box.get("height") for box in failed} == {"15.0"}
    assert len(failed) == 6 + 60, "half an hour of ten, in columns of five minutes, and five hours"
    assert len(svg) < 100_000


def test_a_night_of_days_is_marked_by_days() -> None:
    assert "01-20" in texts(draw([("n", told(receipt(2, "started"), until=300))]))


def test_a_long_name_keeps_its_beginning_and_its_end() -> None:
    (name,) = [
        one for one in texts(draw([("n", told(receipt(2, "started", "photos-photos-21000115-544")))])) if "…" in one
    ]
    assert (name[:8], name[-8:]) == ("photos-p", "0115-544")
