"""Play every sample of events/ at the real function in front of the simulator, and show what became of each."""

import queue
import sys
from dataclasses import dataclass
from typing import Any

import httpx
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from example_settings import EXAMPLE, REPEATABLE
from processes import Running, function, simulator
from samples import FOLDERS, Sample, fill, read_all
from signing_keys import SigningKeys, signing_keys

WIDTH = 150  # of a table that goes into a file
ROOMY = 110  # from here on all of a row is shown
WORDS = {"dialect": 17, "outcome": 24, "reason": 44}  # and how long each may get
COLOURS = {"valid": "green", "ignored": "cyan", "invalid": "yellow"}


@dataclass(frozen=True)
class Played:
    """What a sample did; where there are several requests in it, a word for each."""

    sample: Sample
    dialect: str
    outcome: str
    reason: str
    status: int
    calls: int
    starts: int

    @property
    def as_expected(self) -> bool:
        """The folder is the assertion: valid ones reach OMS, the others never do and only the bad ones get a 4xx."""
        folder = {
            "valid": self.calls > 0 and self.starts == self.outcome.split(", ").count("started"),
            "ignored": self.calls == 0 and self.status in (200, 204),
            "invalid": self.calls == 0 and 400 <= self.status < 500,
        }
        return folder[self.sample.folder] and self.outcome == self.sample.outcome


def play(sample: Sample, running: Running, oms: Running, keys: SigningKeys) -> Played:
    """One delivery, in a world as it was at the start."""
    oms.control("POST", "/_sim/reset")
    sent = fill(sample, keys)
    headers = {name.encode(): value.encode() for name, value in sent.headers.items()}
    reply = httpx.request(sent.method, running.url + sent.path, headers=headers, content=sent.body.encode())
    receipts = receipts_of(running, len(sample.outcome.split(", ")))
    calls = oms.control("GET", "/_sim/calls")
    return Played(
        sample,
        ", ".join(sorted({receipt["dialect"] for receipt in receipts if "dialect" in receipt})),
        ", ".join(receipt["outcome"] for receipt in receipts),
        ", ".join(receipt["reason"] for receipt in receipts if "reason" in receipt),
        status_of(reply),
        len(calls),
        sum(call["operation"] in ("start", "retry_group") for call in calls),
    )


def receipts_of(running: Running, expected: int) -> list[dict[str, Any]]:
    """The receipts of a delivery: as many as are expected, if they come, and any more that are there."""
    receipts = [running.receipt()]
    try:
        while True:
            receipts.append(running.receipt(1.0 if len(receipts) < expected else 0.002))
    except queue.Empty:
        return receipts


def status_of(reply: httpx.Response) -> int:
    """What the sender hears: behind APIG it is in the body of a 200."""
    wrapped = reply.json() if reply.headers.get("content-type") == "application/json" else {}
    return int(wrapped.get("statusCode", reply.status_code))


def play_all() -> list[Played]:
    """All samples: what FunctionGraph posts, at a function that trusts its platform; the rest, at one that does not."""
    with simulator() as oms, signing_keys() as keys:
        settings = EXAMPLE | REPEATABLE | {"OMS_ENDPOINT": oms.url}
        trusting = {name: value for name, value in settings.items() if not name.startswith("CALLER_")}
        with (
            function({**settings, **keys.settings}) as public,
            function({**trusting, "CALLER_TRUST_PLATFORM": "true"}) as platform,
        ):
            return [play(sample, platform if sample.by_platform else public, oms, keys) for sample in read_all()]


def show(played: list[Played], width: int) -> Table:
    """The table that a person reads; what is last in need gives way where there is little room."""
    title = "What each sample of events/ did; starts: the start calls that OMS saw"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    words = WORDS if width >= ROOMY else {"outcome": WORDS["outcome"]}
    table.add_column("sample", no_wrap=True)
    for word, longest in words.items():
        table.add_column(word, max_width=longest)
    for number in ("reply", "starts"):
        table.add_column(number, no_wrap=True, justify="right")
    for folder in FOLDERS:
        for row in (row for row in played if row.sample.folder == folder):
            colour = COLOURS[folder] if row.as_expected else "bold red"
            said = [Text(getattr(row, word), no_wrap=True, overflow="ellipsis") for word in words]
            table.add_row(f"[{colour}]{folder}/{row.sample.name}[/]", *said, str(row.status), str(row.starts or ""))
        table.add_section()
    return table


def main() -> int:
    """0 when every sample did what its folder says."""
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    played = play_all()
    console.print(show(played, console.width))
    wrong = [row for row in played if not row.as_expected]
    for row in wrong:
        found = f"{row.outcome}, reply {row.status}, {row.calls} calls, {row.starts} of them starts"
        console.print(
            f"[bold red]{row.sample.folder}/{row.sample.name}: expected {row.sample.outcome}, found {found}[/]"
        )
    starts = sum(row.starts for row in played)
    console.print(f"{len(played)} samples, {starts} start calls, {len(wrong)} not as their folder says.")
    return 1 if wrong or not played else 0


if __name__ == "__main__":
    sys.exit(main())
