"""RESTART_HOURS: the wall clock decides, on nights of 23 and 25 hours as on any other."""

import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restarter.settings.hours import Hours, parse_hours

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
# Nights on which clocks change, with the moment of the change.
CHANGES = {
    "Europe/Berlin": (datetime(2126, 3, 31, 1, tzinfo=UTC), datetime(2126, 10, 27, 1, tzinfo=UTC)),
    "America/New_York": (datetime(2126, 3, 10, 7, tzinfo=UTC), datetime(2126, 11, 3, 6, tzinfo=UTC)),
    # By half an hour.
    "Australia/Lord_Howe": (datetime(2126, 4, 6, 15, tzinfo=UTC), datetime(2126, 10, 5, 15, 30, tzinfo=UTC)),
}
# A day of the week or all days, the last day, the begin and the end in minutes.
Part = tuple[int | None, int, int, int]


def at(hours: Hours, text: str, *, fold: int = 0) -> datetime:
    """A moment as the clocks of the hours' zone show it; of two, `fold` 1 is the second."""
    return datetime.fromisoformat(text).replace(tzinfo=hours.zone, fold=fold)


def opens(hours: Hours, text: str, *, fold: int = 0) -> str:
    """When it opens next, with the offset from UTC."""
    return hours.next_opening(at(hours, text, fold=fold)).isoformat(" ", "minutes")


@pytest.mark.parametrize(
    ("inside", "outside"),
    [
        ("2126-11-25 20:00", "2126-11-25 19:59"),  # a Monday
        ("2126-11-26 05:59", "2126-11-26 06:00"),
        ("2126-11-30 05:59", "2126-11-25 00:00"),  # Friday's night ends on Saturday; Sunday has none of its own
        ("2126-11-30 00:00", "2126-11-29 19:59"),
        ("2126-12-01 23:59", "2126-12-02 00:00"),
    ],
)
def test_a_night_belongs_to_the_day_on_which_it_begins(inside: str, outside: str) -> None:
    hours = parse_hours("Mon-Fri 20:00-06:00, Sat-Sun 00:00-24:00 Asia/Shanghai")
    assert hours.is_open(at(hours, inside))
    assert not hours.is_open(at(hours, outside))


def test_another_zones_moment_is_the_same_moment() -> None:
    hours = parse_hours("20:00-06:00 Asia/Shanghai")
    assert hours.is_open(datetime(2126, 11, 25, 12, tzinfo=UTC))
    assert not hours.is_open(datetime(2126, 11, 25, 11, 59, 59, tzinfo=UTC))
    assert hours.next_opening(datetime(2126, 11, 25, 11, 59, 59, 999, tzinfo=UTC)) == at(hours, "2126-11-25 20:00")


@pytest.mark.parametrize(
    ("text", "moment", "opening"),
    [
        ("20:00-06:00 UTC", "2126-11-25 06:00", "2126-11-25 20:00+00:00"),
        ("20:00-06:00 UTC", "2126-11-25 21:30", "2126-11-25 21:30+00:00"),
        ("06:00-06:00 UTC", "2126-11-25 06:00", "2126-11-25 06:00+00:00"),
        ("Fri 20:00-06:00 UTC", "2126-11-30 06:00", "2126-12-06 20:00+00:00"),
        ("fri-MON 10:00-12:00 UTC", "2126-11-25 12:00", "2126-11-29 10:00+00:00"),
        ("Sun 20:00-06:00 UTC", "2126-11-25 05:59", "2126-11-25 05:59+00:00"),
        ("Sun 20:00-06:00 UTC", "2126-11-25 06:00", "2126-12-01 20:00+00:00"),
        ("Mon 08:00-09:00,Mon  12:00-24:00 UTC", "2126-11-25 09:00", "2126-11-25 12:00+00:00"),
    ],
)
def test_the_next_opening_is_the_first_moment_among_the_hours(text: str, moment: str, opening: str) -> None:
    assert opens(parse_hours(text), moment) == opening


@pytest.mark.parametrize(
    ("text", "moment", "opening"),
    [
        ("02:30-06:00 Europe/Berlin", "2126-03-31 01:59", "2126-03-31 03:00+02:00"),
        ("02:30-06:00 America/New_York", "2126-03-10 01:59", "2126-03-10 03:00-04:00"),
        ("02:30-02:45 Europe/Berlin", "2126-03-31 01:59", "2126-04-01 02:30+02:00"),
        ("20:00-23:00 Europe/Berlin", "2126-03-31 00:00", "2126-03-31 20:00+02:00"),
    ],
)
def test_an_opening_that_a_night_of_23_hours_skips_is_the_first_moment_after(
    text: str, moment: str, opening: str
) -> None:
    assert opens(parse_hours(text), moment) == opening


@pytest.mark.parametrize(
    ("text", "moment", "fold", "opening"),
    [
        ("02:30-02:45 Europe/Berlin", "2126-10-27 02:45", 0, "2126-10-27 02:30+01:00"),
        ("01:00-02:30 Europe/Berlin", "2126-10-27 02:30", 0, "2126-10-27 02:00+01:00"),
        ("01:00-02:30 Europe/Berlin", "2126-10-27 02:30", 1, "2126-10-28 01:00+01:00"),
        ("01:15-01:30 America/New_York", "2126-11-03 01:30", 0, "2126-11-03 01:15-05:00"),
        ("20:00-23:00 Europe/Berlin", "2126-10-27 00:00", 0, "2126-10-27 20:00+01:00"),
    ],
)
def test_an_hour_that_comes_twice_is_inside_twice(text: str, moment: str, fold: int, opening: str) -> None:
    hours = parse_hours(text)
    assert not hours.is_open(at(hours, moment, fold=fold))
    assert opens(hours, moment, fold=fold) == opening


# More often than others those around a change of the clocks.
MINUTES = st.integers(0, 24 * 60 - 1) | st.integers(4, 16).map(lambda quarter: 15 * quarter)
PARTS = st.lists(
    st.tuples(st.none() | st.integers(0, 6), st.integers(0, 6), MINUTES, MINUTES | st.just(24 * 60)),
    min_size=1,
    max_size=3,
)


def written(parts: list[Part], zone: str) -> str:
    """The parts as a person writes them."""
    texts = []
    for first, last, *times in parts:
        days = "" if first is None else f"{DAYS[first]}-{DAYS[last]} " if last != first else f"{DAYS[first]} "
        texts.append(days + "-".join(f"{minute // 60:02}:{minute % 60:02}" for minute in times))
    return ", ".join(texts) + f" {zone}"


def covers(part: Part, local: datetime) -> bool:
    """Whether the clocks show a minute of a part, on the day of its begin or on the day after."""
    first, last, begin, end = part
    days = set(range(7)) if first is None else {(first + more) % 7 for more in range((last - first) % 7 + 1)}
    minute, today = 60 * local.hour + local.minute, local.weekday()
    if begin < end:
        return today in days and begin <= minute < end
    return (today in days and minute >= begin) or ((today - 1) % 7 in days and minute < end)


def brute_opening(parts: list[Part], moment: datetime, zone: ZoneInfo) -> datetime:
    """The first minute among the hours, looked for minute by minute."""
    while not any(covers(part, moment.astimezone(zone)) for part in parts):
        moment += timedelta(minutes=1)
    return moment


@pytest.mark.usefixtures("unmeasured")
@given(PARTS, st.sampled_from(sorted(CHANGES)), st.integers(0, 1), st.integers(-9 * 24 * 60, 3 * 24 * 60))
def test_it_is_what_a_walk_minute_by_minute_finds(parts: list[Part], zone: str, change: int, offset: int) -> None:
    """In the days around a change of the clocks. A part in the hour that is skipped is looked for a week longer."""
    moment = CHANGES[zone][change] + timedelta(minutes=offset)
    hours, local = parse_hours(written(parts, zone)), moment.astimezone(ZoneInfo(zone))
    assert hours.is_open(moment) == any(covers(part, local) for part in parts)
    # In UTC, because Python finds no moment of an hour that comes twice equal to one of another zone.
    assert hours.next_opening(moment).astimezone(UTC) == brute_opening(parts, moment, ZoneInfo(zone))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("Mon-Fri 20:00-06:00", "must end with a time zone of IANA, like Asia/Shanghai"),
        (" ", "must end with a time zone of IANA, like Asia/Shanghai"),
        ("20:00-06:00 ../../etc/passwd", "must end with a time zone of IANA, like Asia/Shanghai"),
        ("20:00-06:00 localtime", "must end with a time zone of IANA, like Asia/Shanghai"),
        ("20:00-06:00 posixrules", "must end with a time zone of IANA, like Asia/Shanghai"),
        ("20:00-06:00 Factory", "must end with a time zone of IANA, like Asia/Shanghai"),
        ("20:00-06:00 right/Asia/Shanghai", "must end with a time zone of IANA, like Asia/Shanghai"),
        ("20:00-06:00 posix/Asia/Shanghai", "must end with a time zone of IANA, like Asia/Shanghai"),
        ("20:00-06:00 A" + 5000 * "/a", "must end with a time zone of IANA, like Asia/Shanghai"),
        ("20:00-06:00 Asia/Peking", "names a time zone that IANA does not have"),
        ("20:00-06:00 Asia", "names a time zone that IANA does not have"),
        ("UTC", "part 1 must be like 20:00-06:00 or Mon-Fri 20:00-06:00"),
        ("20:00-06:00, UTC", "part 2 must be like 20:00-06:00 or Mon-Fri 20:00-06:00"),
        ("Mon-Fri UTC", "part 1 must be like 20:00-06:00 or Mon-Fri 20:00-06:00"),
        ("8:00-17:00 UTC", "part 1 must be like 20:00-06:00 or Mon-Fri 20:00-06:00"),
        ("20:00-06:00 Asia/Shanghai, 08:00-09:00 UTC", "part 1 must be like 20:00-06:00 or Mon-Fri 20:00-06:00"),
        ("Mon 20:00-06:00, Sat-Son 08:00-09:00 UTC", "part 2 must name days as Mon, Tue, Wed, Thu, Fri, Sat or Sun"),
        ("Monday 20:00-06:00 UTC", "part 1 must name days as Mon, Tue, Wed, Thu, Fri, Sat or Sun"),
        ("24:00-06:00 UTC", "part 1 must begin between 00:00 and 23:59, and end between 00:00 and 24:00"),
        ("20:00-24:01 UTC", "part 1 must begin between 00:00 and 23:59, and end between 00:00 and 24:00"),
        ("20:60-24:00 UTC", "part 1 must begin between 00:00 and 23:59, and end between 00:00 and 24:00"),
        ("²0:00-06:00 UTC", "part 1 must be like 20:00-06:00 or Mon-Fri 20:00-06:00"),
    ],
)
def test_what_is_wrong_is_said_without_the_value(text: str, fault: str) -> None:
    with pytest.raises(ValueError) as error:
        parse_hours(text)
    assert str(error.value) == fault


def test_any_number_of_parts_is_read_at_once() -> None:
    began = time.process_time()
    assert parse_hours(10_000 * "Mon-Sun 00:00-24:00," + "Fri 22:00-02:00 UTC").longest_pause_s == 0
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("20:00-06:00 UTC", 14),
        ("00:00-24:00 UTC", 0),
        ("Mon-Fri 20:00-06:00, Sat-Sun 00:00-24:00 UTC", 20),
        ("Sat-Sun 00:00-24:00 UTC", 5 * 24),
        ("Sun 22:00-23:00 UTC", 7 * 24 - 1),
        ("Sun 22:00-02:00 UTC", 7 * 24 - 4),
    ],
)
def test_the_longest_pause_is_that_between_two_hours_of_the_week(text: str, hours: int) -> None:
    assert parse_hours(text).longest_pause_s == hours * 3600
