"""The hours in which failed events restart tasks (`RESTART_HOURS`). No message contains a value."""

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_MIN = 24 * 60
WEEK_MIN = len(DAYS) * DAY_MIN
TIME = r"([0-9]{2}):([0-9]{2})"
PART = re.compile(rf"(?:([a-z]{{1,9}})(?:-([a-z]{{1,9}}))? +)?{TIME}-{TIME}", re.IGNORECASE).fullmatch
# Excludes names whose meaning differs from host to host.
ZONE = re.compile(
    r"(?!(?:localtime|posixrules|Factory)\Z|(?:posix|right)/)[A-Za-z][A-Za-z0-9_+-]{0,31}(?:/[A-Za-z0-9_+-]{1,31}){0,2}"
).fullmatch


@dataclass(frozen=True, slots=True)
class Hours:
    """Some minutes of each week, in the local time of a time zone."""

    week: bytes = field(repr=False)
    """A byte for each minute since Monday 00:00: 1 if it is within the hours, else 0."""
    zone: ZoneInfo

    @property
    def longest_pause_s(self) -> int:
        """Seconds of the longest time outside the hours, in local time."""
        return 60 * max(map(len, (self.week + self.week).split(b"\1")))

    def is_open(self, at: datetime) -> bool:
        """Whether a moment is within the hours. Local time that the clocks show twice counts both times."""
        return self.week[_minute_of_week(at.astimezone(self.zone))] == 1

    def next_opening(self, at: datetime) -> datetime:
        """The first moment within the hours from `at` on, in the time zone, in whole seconds.

        If the clocks skip the time at which the hours begin, they begin at the first moment after that.
        """
        moment = at.astimezone(UTC).replace(microsecond=0)
        while not self.is_open(moment):
            local = moment.astimezone(self.zone)
            minute = _minute_of_week(local)
            minutes = (self.week + self.week).index(1, minute) - minute
            moment = self._forward(moment, 60 * minutes - local.second)
        return moment.astimezone(self.zone)

    def _forward(self, moment: datetime, seconds: int) -> datetime:
        """The moment `seconds` later, or the change of the clocks if that comes first."""
        offset = moment.astimezone(self.zone).utcoffset()

        def has_changed(later: int) -> bool:
            return (moment + timedelta(seconds=later)).astimezone(self.zone).utcoffset() != offset

        return moment + timedelta(seconds=bisect_left(range(seconds), x=True, key=has_changed))


def parse_hours(text: str) -> Hours:
    """Parse hours like `Mon-Fri 20:00-06:00, Sat-Sun 00:00-24:00 Asia/Shanghai`.

    Raises:
        ValueError: The text has another form; the message says what is wrong, without a value.
    """
    parts, _, name = text.strip().rpartition(" ")
    if not ZONE(name):
        raise ValueError("must end with a time zone of IANA, like Asia/Shanghai")
    fortnight = bytearray(2 * WEEK_MIN)
    for number, part in enumerate(parts.split(","), 1):
        for begin, minutes in _parse_part(part.strip(), number):
            fortnight[begin : begin + minutes] = b"\1" * minutes
    week = bytes(map(max, fortnight[:WEEK_MIN], fortnight[WEEK_MIN:]))
    try:
        return Hours(week, ZoneInfo(name))
    except (KeyError, ValueError, OSError):  # no such file, a file that is not a time zone, or a folder
        raise ValueError("names a time zone that IANA does not have") from None


def _parse_part(part: str, number: int) -> Iterator[tuple[int, int]]:
    """For each day, when its hours begin, in minutes since Monday 00:00, and how many minutes they last."""
    found = PART(part)
    if found is None:
        raise ValueError(f"part {number} must be like 20:00-06:00 or Mon-Fri 20:00-06:00")
    first, last, *times = found.groups()
    first, last = (first or DAYS[0]).lower(), (last or first or DAYS[-1]).lower()
    if first not in DAYS or last not in DAYS:
        raise ValueError(f"part {number} must name days as Mon, Tue, Wed, Thu, Fri, Sat or Sun")
    begin, end = (_minute_of_day(*map(int, times[at : at + 2])) for at in (0, 2))
    if begin is None or end is None or begin == DAY_MIN:
        raise ValueError(f"part {number} must begin between 00:00 and 23:59, and end between 00:00 and 24:00")
    days = (DAYS.index(last) - DAYS.index(first)) % len(DAYS) + 1
    for day in range(DAYS.index(first), DAYS.index(first) + days):
        yield day * DAY_MIN + begin, end - begin + (DAY_MIN if end <= begin else 0)


def _minute_of_day(hour: int, minute: int) -> int | None:
    """The minute of the day; None if there is no such time. 24:00 is the end of the day."""
    is_time = (hour < 24 and minute < 60) or (hour, minute) == (24, 0)
    return 60 * hour + minute if is_time else None


def _minute_of_week(local: datetime) -> int:
    return local.weekday() * DAY_MIN + 60 * local.hour + local.minute
