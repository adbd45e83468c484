"""Five kinds of nights: what their tasks do, and what is set for them. Times in hours after 20:00. No I/O here."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from noticed_tasks import running

HOUR_S = 3600.0
LASTS, MIDNIGHT, SIX = 12.5, 4.0, 10.0
BEGINS = datetime(2126, 11, 25, 20, tzinfo=UTC)
ENDS = BEGINS + timedelta(hours=LASTS)
HOURS = (2.0, 10.0)  # from 22:00 to 06:00, as the settings below say
OLD_KEY, NEW_KEY = ("src_ak", "src_sk"), ("src_ak_new", "src_sk_new")
DST_KEY = ("dst_ak", "dst_sk")
KEYS = {"src_ak": OLD_KEY[0], "src_sk": OLD_KEY[1], "dst_ak": DST_KEY[0], "dst_sk": DST_KEY[1]}
GIBIBYTE = 2**30
Document = dict[str, Any]
Dice = random.Random


def at(hour: float) -> datetime:
    """The moment that an hour of the night is."""
    return BEGINS + timedelta(hours=hour)


def hour_of(time: float) -> float:
    """The hour of the night; `time`: seconds since 1970."""
    return (time - BEGINS.timestamp()) / HOUR_S


def run(hours: float, moves: float = 0.0, cause: str = "TRF.0157", failed: int = 0) -> Document:
    """A run of so many hours, which moves a share of the task and then fails for a cause."""
    return {"seconds": hours * HOUR_S, "moves": moves, "error_code": cause, "failed_num": failed}


def ordinary(dice: Dice) -> Document:
    """It fails once or twice in the night, and is done within two hours after that."""
    fails = [run(dice.uniform(0.1, 9.0), 0.3) for _ in range(dice.choice((1, 1, 2)))]
    return {"runs": [*fails, run(dice.uniform(0.5, 2.0), 1.0)]}


def moving(dice: Dice) -> Document:
    """Ten terabytes: it breaks about once an hour, and moves a tenth each time."""
    runs = [run(dice.uniform(0.6, 1.2), dice.uniform(0.08, 0.14), "TRF.0159") for _ in range(16)]
    return {"total_size": 10_240 * GIBIBYTE, "progress": 0.1, "runs": runs}


def stuck(dice: Dice) -> Document:
    """It fails within minutes, whatever the cause, and moves nothing; one in four recovers at the third start."""
    vain = [run(dice.uniform(0.03, 0.2), 0.0, cause) for cause in ("TRF.0061", "TRF.0001", "TRF.0001")]
    recovers = [run(dice.uniform(0.5, 2.0), 1.0)] if dice.random() < 0.25 else []
    return {"runs": [run(dice.uniform(0.1, 9.0), 0.3, "TRF.0001"), *vain[: 2 if recovers else 3], *recovers]}


def keyed(dice: Dice) -> Document:
    """It has up to two hours left when its key expires."""
    left, progress = dice.uniform(0.3, 2.2), dice.uniform(0.1, 0.5)
    return {"progress": progress, "runs": [run((MIDNIGHT + left) / (1 - progress), 1.0)]}


def overwriting(dice: Dice) -> Document:
    """FULL_OVERWRITE: half of them have a list of failed objects, the other half would copy all objects once more."""
    fails_at = dice.uniform(0.5, 8.0)
    common = {"object_overwrite_mode": "FULL_OVERWRITE"}
    if dice.random() < 0.5:
        return common | {"progress": 0.2, "runs": [run(fails_at, 0.77, "TRF.0004", failed=12), run(4.0, 1.0)]}
    return common | {"progress": 0.2, "runs": [run(fails_at, 0.5, "TRF.0062"), run(dice.uniform(2.0, 4.0), 1.0)]}


class Kind(NamedTuple):
    """A kind of night: seven in ten of its tasks are made by `make`, the others are ordinary."""

    name: str
    make: Callable[[Dice], Document]
    settings: dict[str, str] = {}  # noqa: RUF012  # nobody changes it
    key_expires: bool = False
    has_hours: bool = False


KINDS = (
    Kind("long tasks that break and move", moving),
    Kind("tasks that move nothing", stuck),
    Kind("a key expires at midnight, a new one at six", keyed, key_expires=True),
    Kind("restarts from 22:00 to 06:00", ordinary, {"RESTART_HOURS": "22:00-06:00 UTC"}, has_hours=True),
    Kind("FULL_OVERWRITE", overwriting),
)


def tasks_of(kind: Kind, count: int, first_id: int, seed: int) -> list[Document]:
    """The tasks of a night, all of which run when it begins; the same for the same seed."""
    dice = Dice(seed)
    plans = [(kind.make if n % 10 < 7 else ordinary)(dice) for n in range(count)]
    common: Document = {"total_num": 100_000, "successful_num": 0, "total_size": 500 * GIBIBYTE, "progress": 0.0}
    return [running(first_id + n, f"task-{first_id + n}", **common | {"keys": KEYS} | p) for n, p in enumerate(plans)]
