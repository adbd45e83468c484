"""When a measurement means nothing: others had the core, or the counts differ. No I/O here."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

from functions import Function
from load import Loaded

T = TypeVar("T")

TRIES = 5
PAUSE_S = 1.0


class Disturbed(Exception):
    """Others had too much of a core meanwhile: the measurement may be made again."""


class Miscounted(Exception):
    """Starts, good answers and receipts differ: the function, or the bench, is wrong."""


def check_cores(others: dict[str, float], limit: float) -> None:
    """Check the shares of the cores that others had, by the core's name.

    Raises:
        Disturbed: one of them is over `limit`.
    """
    for name, share in others.items():
        if share > limit:
            raise Disturbed(f"others had {share:.1%} of the core of the {name}; at most {limit:.0%} are accepted")


def check_counts(function: Function, loaded: Loaded, seen: dict[str, Any], receipts: int) -> None:
    """Compare what the load, the stand-in and the function's stdout have counted.

    Raises:
        Miscounted: an answer was bad, or there was not exactly one start, of its own task, and one receipt for each.
    """
    expected = loaded.good if function.calls else 0
    told = {
        "answers other than 2xx": (loaded.sent - loaded.good, 0),
        "calls": (seen["calls"], expected * function.calls),
    }
    told |= {"starts": (seen["starts"], expected), "tasks started": (seen["tasks"], expected)}
    told |= {"receipts": (receipts, loaded.good if function.receipts else 0)}
    wrong = [f"{count} {name}, not {right}" for name, (count, right) in told.items() if count != right]
    if wrong:
        raise Miscounted(f"{function.name}: {loaded.good} good answers of {dict(loaded.statuses)}; {', '.join(wrong)}")


def undisturbed(measure: Callable[[], T], report: Callable[[str], None]) -> T:
    """The first of TRIES tries that others did not disturb.

    Raises:
        Disturbed: they disturbed all of them.
    """
    for _ in range(TRIES - 1):
        try:
            return measure()
        except Disturbed as error:
            report(f"measured again: {error}")
            time.sleep(PAUSE_S)
    return measure()
