"""Secret files that are replaced under load, at a real process: nothing fails, no start carries half of a change."""

import asyncio
import json
import shutil
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from lean_client import lean_client
from processes import EXAMPLE, function, simulator

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("unmeasured")]
DELIVERIES = 1000
AT_ONCE = 20
ROTATION = 20  # deliveries, after which each set of keys is replaced
HEADERS = {"Authorization": f"Bearer {EXAMPLE['CALLER_BEARER_TOKENS']}"}
# Seconds; what is written in less than the function takes to read its settings is one change.
ONE_CHANGE = 0.001
PARTS = ("SRC_AK", "SRC_SK", "SRC_SECURITY_TOKEN", "DST_AK", "DST_SK")


def values(generation: int) -> dict[str, str]:
    """One set of keys; each of them names its generation."""
    return {part: f"{part.lower()}-{generation}" for part in PARTS}


def kubernetes(root: Path, generation: int) -> float:
    """As the kubelet does: a new folder, `..data` swapped at once, the old folder removed. Seconds of the change: 0."""
    folder = root / f"..2026_{generation}"
    keys = folder / "OMS_PROFILES" / "kubernetes"
    keys.mkdir(parents=True)
    for part, text in values(generation).items():
        (keys / part).write_text(text + "\n")
    (root / "..data_tmp").symlink_to(folder.name)
    (root / "..data_tmp").rename(root / "..data")
    if not (root / "OMS_PROFILES").is_symlink():
        (root / "OMS_PROFILES").symlink_to("..data/OMS_PROFILES")
    shutil.rmtree(root / f"..2026_{generation - 1}", ignore_errors=True)
    return 0.0


def single_files(root: Path, generation: int) -> float:
    """One file after the other takes the place of the old one; the seconds from the first to the last."""
    keys = root / "OMS_PROFILES" / "files"
    keys.mkdir(parents=True, exist_ok=True)
    written = []
    for part, text in values(generation).items():
        (root / f".{part}").write_text(text)
        written.append((root / f".{part}", keys / part))
    started_at = time.monotonic()
    for new, old in written:
        new.replace(old)
    return time.monotonic() - started_at


def one_file(root: Path, generation: int) -> float:
    """All profiles in one file, which is replaced."""
    root.mkdir(exist_ok=True)
    keys = {part.lower(): text for part, text in values(generation).items()}
    (root / ".new").write_text(json.dumps({"document": keys}))
    (root / ".new").replace(root / "OMS_PROFILES")
    return 0.0


# In this order: what the first of them sets off is still being read when the others are replaced.
KINDS: dict[str, Callable[[Path, int], float]] = {
    "document": one_file,
    "files": single_files,
    "kubernetes": kubernetes,
}


class Load:
    """Deliveries, and rotations between them; what each of them found is kept."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.url = ""
        self.generation = 0
        self.slow: set[int] = set()
        """Generations whose files came so far apart, on a busy machine, that somebody may have read between them."""
        self.window: dict[int, tuple[int, int]] = {}
        self.replies: list[int] = []
        self.rotate()

    def rotate(self) -> None:
        """The next generation of every set."""
        self.generation += 1
        for kind, write in KINDS.items():
            if write(self._root / kind, self.generation) > ONE_CHANGE:
                self.slow.add(self.generation)

    async def deliver(self, client: httpx.AsyncClient, number: int) -> None:
        """One task of its own; the generations that were there when it was asked for and when it was answered."""
        if number % ROTATION == 0:
            self.rotate()
        before = self.generation
        asked = {"task_id": number, "credentials": list(KINDS)[number % len(KINDS)]}
        reply = await client.post(self.url, json=asked, headers=HEADERS)
        self.window[number] = before, self.generation
        self.replies.append(reply.status_code)

    async def all(self) -> None:
        """All deliveries, so many at once."""
        numbers = iter(range(1, DELIVERIES + 1))

        async def one_after_the_other(client: httpx.AsyncClient) -> None:
            for number in numbers:
                await self.deliver(client, number)

        async with lean_client(AT_ONCE) as client:
            await asyncio.gather(*(one_after_the_other(client) for _ in range(AT_ONCE)))


def generations(body: dict[str, Any]) -> list[int]:
    """The generation of each key of a start, in the order of the parts."""
    return [int(body[part.lower()].rpartition("-")[2]) for part in PARTS]


def test_each_start_under_load_carries_one_set_of_keys(tmp_path: Path) -> None:
    """All of the old or all of the new, from the next delivery after a change on; no start fails."""
    folders = ":".join(str(tmp_path / kind) for kind in KINDS)
    for kind in KINDS:
        (tmp_path / kind).mkdir()
    with simulator() as oms:
        load = Load(tmp_path)
        oms.control("PUT", "/_sim/tasks", [{"id": number, "status": 4} for number in range(1, DELIVERIES + 1)])
        with function(EXAMPLE | {"OMS_ENDPOINT": oms.url, "SECRETS_DIR": folders}) as running:
            load.url = running.url
            asyncio.run(load.all())
        starts = [call for call in oms.control("GET", "/_sim/calls") if call["operation"] == "start"]
    assert Counter(load.replies) == {200: DELIVERIES}
    assert len(starts) == DELIVERIES
    wrong = []
    for start in starts:
        number, found = int(start["task_id"]), generations(start["body"])
        first, last = load.window[number]
        whole = len(set(found)) == 1 or (list(KINDS)[number % len(KINDS)] == "files" and load.slow & set(found))
        if not whole or not first <= min(found) <= max(found) <= last:
            wrong.append((number, found, first, last))
    assert wrong == []
    assert max(max(generations(start["body"])) for start in starts) == load.generation == 1 + DELIVERIES // ROTATION
