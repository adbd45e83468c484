"""The stage of a night: a simulator of OMS, a Valkey and a function, all with one clock that runs fast."""

import json
import queue
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from night_kinds import BEGINS, DST_KEY, NEW_KEY, OLD_KEY, Kind

from any_day import compiled_library
from oms_simulator import fast_clock
from processes import EXAMPLE, Running, function, simulator
from redis_server import RedisServer

MAIN = Path(__file__).with_name("fast_main.py")
SIMULATOR = Path(__file__).parents[2] / "infra" / "simulator"
KEY_SECONDS = 300.0  # after which a run fails whose keys open nothing
# A busy machine would be late with a signature of a fast clock, so a token is used; the key to the source is in files.
LEFT_OUT = ("HUAWEICLOUD_SDK_AK", "HUAWEICLOUD_SDK_SK", "OMS_SRC_AK", "OMS_SRC_SK")
BASE = {name: value for name, value in EXAMPLE.items() if name not in LEFT_OUT} | {"OMS_AUTH_TOKEN": "example-token"}


class Release(NamedTuple):
    """A function to be measured: its name in the table, and the folder that holds its main.py."""

    name: str
    folder: Path

    def settings(self, kind: Kind) -> dict[str, str]:
        """Those of a night, but for what this release does not know."""
        of_night = {"RESTART_SWEEP": "on", "RESTART_SWEEP_LIMIT": "100", **kind.settings}
        return BASE | {name: value for name, value in of_night.items() if self._knows(name)}

    def _knows(self, setting: str) -> bool:
        texts = (path.read_text("utf-8") for path in (self.folder / "restarter" / "settings").glob("*.py"))
        return any(re.search(rf"\b{setting.lower()}\b", text) for text in texts)


@dataclass
class Stage:
    """What one function plays a night on."""

    oms: Running
    target: Running
    secrets: Path
    """The folder of the files with the key to the source."""
    now: Callable[[], datetime]
    receipts: list[dict[str, Any]] = field(default_factory=list)

    def open_with(self, *keys: tuple[str, str]) -> None:
        """Only these keys open buckets from now on, beside that of the destination."""
        auth = {"storage_keys": dict((*keys, DST_KEY)), "storage_key_seconds": KEY_SECONDS}
        self.oms.control("PUT", "/_sim/auth", auth)

    def replace_key(self) -> None:
        """The old key is expired, and a person sets a new one."""
        self.open_with(NEW_KEY)
        write_key(self.secrets, NEW_KEY)

    def collect(self) -> None:
        """Take what the function has written; where a receipt has no time, as in release 0.2.0, it is now."""
        while not self.target.lines.empty():
            receipt = json.loads(self.target.lines.get())
            if "outcome" in receipt:
                self.receipts.append({"time": self.now().isoformat(), **receipt})


def write_key(folder: Path, key: tuple[str, str]) -> None:
    """Replace both files, one right after the other."""
    files = ("OMS_SRC_AK", "OMS_SRC_SK")
    for name, value in zip(files, key, strict=True):
        (folder / f".{name}").write_text(value, "ascii")
    for name in files:
        (folder / f".{name}").rename(folder / name)


def fast_ledger(speed: float) -> RedisServer:
    """A Valkey whose clock runs fast, too: all times of a ledger in Redis are those of its server.

    Raises:
        RuntimeError: libfaketime does not run on this machine.
    """
    library = compiled_library()
    if library is None:
        raise RuntimeError("libfaketime has no library for this machine")
    clock = {"TZ": "UTC", "FAKETIME": f"@{BEGINS:%Y-%m-%d %H:%M:%S} x{speed:g}", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    return RedisServer(config='save ""\n', environment={**clock, "LD_PRELOAD": str(library)})


@contextmanager
def stages(releases: Sequence[Release], kind: Kind, speed: float) -> Iterator[list[Stage]]:
    """One for each release. The night begins with the block."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        clock = {fast_clock.NAME: str(folder / "clock")}
        shown = fast_clock.clock(clock)
        made = [
            Stage(*_processes(stack, release, kind, speed, clock), lambda: datetime.fromtimestamp(shown(), UTC))
            for release in releases
        ]
        fast_clock.begin(folder / "clock", BEGINS.timestamp(), speed)
        yield made


def _processes(
    stack: ExitStack, release: Release, kind: Kind, speed: float, clock: dict[str, str]
) -> tuple[Running, Running, Path]:
    """The simulator, the function and the folder of its key."""
    secrets = Path(stack.enter_context(TemporaryDirectory()))
    write_key(secrets, OLD_KEY)
    world = secrets / "world"
    world.write_text("{}", "ascii")
    oms = stack.enter_context(simulator(0, clock, world))
    ledger = stack.enter_context(fast_ledger(speed))
    settings = release.settings(kind) | clock | {"OMS_ENDPOINT": oms.url, "RESTART_LEDGER": ledger.address}
    settings |= {"SECRETS_DIR": str(secrets), "PYTHONPATH": f"{release.folder}:{SIMULATOR}"}
    return oms, stack.enter_context(function(settings, source=MAIN, stderr=queue.Queue())), secrets
