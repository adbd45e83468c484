"""What `make test-any-day` runs: which clocks there are, and that each folder of tests runs under two of them."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import any_day
from child_processes import run

TESTS = Path(__file__).parents[1]
FOLDERS = sorted({path.parent.relative_to(TESTS).as_posix() for path in TESTS.rglob("test_*.py")})
NOW = datetime(2126, 11, 29, 12, tzinfo=UTC)


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_folder_of_tests_runs_under_at_least_two_clocks(folder: str) -> None:
    """So every test that starts a process or reads the time does, whichever they are."""
    assert sum(folder in clock.folders for clock in any_day.CLOCKS) >= 2


def test_there_are_folders_and_no_clock_names_one_that_is_not_there() -> None:
    assert {folder for clock in any_day.CLOCKS for folder in clock.folders} == set(FOLDERS)
    assert len(FOLDERS) >= 4


@pytest.mark.parametrize(
    ("moment", "now", "expected"),
    [
        (any_day.before_leap_day, NOW, datetime(2128, 2, 29, tzinfo=UTC)),
        (any_day.before_leap_day, NOW.replace(year=2128, month=2, day=28), datetime(2128, 2, 29, tzinfo=UTC)),
        (any_day.before_leap_day, NOW.replace(year=2128, month=3), datetime(2132, 2, 29, tzinfo=UTC)),
        (any_day.before_leap_day, NOW.replace(year=2196), datetime(2204, 2, 29, tzinfo=UTC)),
        (any_day.before_new_year, NOW, datetime(2127, 1, 1, tzinfo=UTC)),
        (any_day.before_clocks_go_back, NOW, datetime(2127, 11, 2, 6, tzinfo=UTC)),
        (any_day.before_clocks_go_back, NOW.replace(day=2), datetime(2126, 11, 3, 6, tzinfo=UTC)),
    ],
)
def test_a_clock_begins_shortly_before_the_next_moment_that_it_is_about(
    moment: any_day.Moment, now: datetime, expected: datetime
) -> None:
    assert moment(now) == expected - any_day.LEAD


@pytest.mark.skipif(any_day.compiled_library() is None, reason="the clock cannot be moved here")
@pytest.mark.parametrize("clock", any_day.CLOCKS, ids=lambda clock: clock.name)
def test_a_clock_reaches_a_child_that_has_an_environment_of_its_own(
    clock: any_day.Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The child is started as the function is; here it is `date`, which knows nothing of Python."""
    library, now = (
        any_day.compiled_library(),
        any_day.probed({"LD_PRELOAD": ""}),
    )  # the real time, whatever clock this is
    assert library is not None
    for name, value in clock.environment(library, now).items():
        monkeypatch.setenv(name, value)
    said = run(["date", "+%s %Z"], {}).stdout
    seconds, zone = re.fullmatch(r"(\d+) (\w+)\n", said).groups()  # type: ignore[union-attr]
    assert abs(datetime.fromtimestamp(int(seconds), UTC) - clock.moment(now)) < timedelta(seconds=20)
    assert zone == {"Asia/Shanghai": "CST", "America/New_York": "EDT"}.get(clock.zone, "UTC")


def test_where_the_library_cannot_run_it_is_said_and_no_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    monkeypatch.setattr("sys.argv", ["any_day.py"])
    assert any_day.main() == 0
    assert "The clock cannot be moved here" in capsys.readouterr().out


def test_a_clock_that_does_not_move_is_red_and_runs_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A library that cannot be loaded is only a warning of the loader; without this check all tests would be green."""
    assert any_day.run(any_day.CLOCKS[0], tmp_path / "no-library.so", 1) == 1
    assert capsys.readouterr().out.endswith("The clock does not move.\n")
