"""README's picture of the night: it says what the receipts of such a night say."""

import re
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

import night
from restarter.cli.night import by_hand

pytestmark = pytest.mark.long
SVG = "{http://www.w3.org/2000/svg}"
PICTURE = Path(__file__).parents[2] / ".github" / "night.svg"
README = Path(__file__).parents[2] / "README.md"
SPEED = 1800.0
Facts = dict[str, Counter[str]]


@pytest.fixture(scope="module")
def played() -> night.Played:
    """A night of its own, twice as fast as that of the picture."""
    return night.play(SPEED)


def facts(svg: str) -> tuple[Facts, Facts]:
    """By hand and with the function: of each task its bars and marks, counted by their words without times."""
    rows = [row for row in ET.fromstring(svg).iter(f"{SVG}g") if row.get("class") == "task"]  # noqa: S314  # our own
    found = [(row.findtext(f"{SVG}title") or "", Counter(_words(row))) for row in rows]
    half = len(found) // 2
    return dict(found[:half]), dict(found[half:])


def _words(row: ET.Element) -> list[str]:
    titles = [title.text or "" for title in row.iter(f"{SVG}title")][1:]
    return [re.sub(r"^[0-9:]{8} |[0-9:]{8} to [0-9:]{8}$|[0-9]{15}", "", title).strip() for title in titles]


def test_the_picture_shows_what_the_receipts_say(played: night.Played) -> None:
    _, drawn = facts(played.picture(SPEED))
    for plan in night.PLANS:
        receipts = [one for one in played.receipts if plan.name in (one.get("task_name"), one.get("task_id"))]
        outcomes = Counter(one["outcome"] for one in receipts)
        assert drawn[plan.name]["started"] == outcomes["started"]
        assert sum(text.startswith("notice: ") for text in drawn[plan.name].elements()) == len(receipts)
        advised = [one for one in receipts if "advice" in one]
        told = [f"{one['reason']}: {one['advice']}" for one in advised]
        assert [re.sub("[0-9]{15}", "", text) for text in told] == [
            text for text in drawn[plan.name].elements() if ": " in text and not text.startswith("notice")
        ]
    assert sum(one["outcome"] == "started" for one in played.receipts) == 15


def test_its_times_are_those_of_the_receipts(played: night.Played) -> None:
    svg = played.picture(SPEED)
    for receipt in played.receipts:
        if receipt["outcome"] == "started":
            assert f"{receipt['time'][11:19]} started" in svg
    assert len(played.done) == 10


def test_its_numbers_are_those_of_the_night(played: night.Played) -> None:
    told = played.night()
    stood = told.stood.total_seconds() / 3600
    assert len(told.standing) == 2
    assert 14 < stood < 22
    assert 93 < by_hand(told).stood.total_seconds() / 3600 < 99
    assert f"{stood:.1f} hours lost · 10 of 12 run or are done · 2 wait for a person" in played.picture(SPEED)


def test_the_picture_in_readme_is_such_a_night(played: night.Played) -> None:
    """Of the same tasks it tells the same starts, refusals and advice; its times differ by what a machine takes."""
    made, kept = facts(played.picture(SPEED)), facts(PICTURE.read_text("utf-8"))
    for one, other in zip(made, kept, strict=True):
        assert list(one) == list(other)
        assert {name: set(words) for name, words in one.items()} == {name: set(words) for name, words in other.items()}
    assert {name: words["started"] for name, words in made[1].items()} == {
        name: words["started"] for name, words in kept[1].items()
    }
    assert "](.github/night.svg)" in README.read_text("utf-8")


def test_make_night_writes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, played: night.Played) -> None:
    monkeypatch.setattr(night, "play", lambda speed: played)
    monkeypatch.setattr("sys.argv", ["night.py", str(tmp_path / "night.svg"), "--speed", "60"])
    assert night.main() == 0
    assert "both clocks 60 times as fast" in (tmp_path / "night.svg").read_text("utf-8")
