"""Play every sample of events/ at the real function in front of the simulator, and show what became of each."""

import sys
from dataclasses import dataclass

import httpx
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from processes import EXAMPLE, Running, function, simulator
from samples import FOLDERS, Sample, read_all

WIDTH = 150  # of a table that goes into a file
COLOURS = {"valid": "green", "ignored": "cyan", "invalid": "yellow"}


@dataclass(frozen=True)
class Played:
    """What a sample did."""

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
            "valid": self.calls > 0 and self.starts == (self.outcome == "started"),
            "ignored": self.calls == 0 and self.status in (200, 204),
            "invalid": self.calls == 0 and 400 <= self.status < 500,
        }
        return folder[self.sample.folder] and self.outcome == self.sample.outcome


def play(sample: Sample, running: Running, oms: Running) -> Played:
    """One delivery, in a world as it was at the start."""
    oms.control("POST", "/_sim/reset")
    reply = httpx.request(sample.method, running.url + sample.path, headers=sample.headers, content=sample.body)
    receipt = running.receipt()
    calls = oms.control("GET", "/_sim/calls")
    return Played(
        sample,
        receipt.get("dialect", ""),
        receipt["outcome"],
        receipt.get("reason", ""),
        reply.status_code,
        len(calls),
        sum(call["operation"] == "start" for call in calls),
    )


def play_all() -> list[Played]:
    """All samples: what FunctionGraph posts, at a function that trusts its platform; the rest, at one that does not."""
    with simulator() as oms:
        settings = EXAMPLE | {"OMS_ENDPOINT": oms.url}
        trusting = {name: value for name, value in settings.items() if not name.startswith("CALLER_")}
        with function(settings) as public, function(trusting | {"CALLER_TRUST_PLATFORM": "true"}) as platform:
            return [play(sample, platform if sample.by_platform else public, oms) for sample in read_all()]


def show(played: list[Played]) -> Table:
    """The table that a person reads."""
    table = Table(title="What each sample of events/ did", title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for column in ("sample", "dialect", "outcome"):
        table.add_column(column, no_wrap=True)
    table.add_column("reason", no_wrap=True, overflow="ellipsis", max_width=44)
    table.add_column("reply", justify="right")
    table.add_column("start calls seen by OMS", justify="right")
    for folder in FOLDERS:
        for row in (row for row in played if row.sample.folder == folder):
            colour = COLOURS[folder] if row.as_expected else "bold red"
            name = f"[{colour}]{folder}/{row.sample.name}[/]"
            table.add_row(name, row.dialect, row.outcome, row.reason, str(row.status), str(row.starts or ""))
        table.add_section()
    return table


def main() -> int:
    """0 when every sample did what its folder says."""
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    played = play_all()
    console.print(show(played))
    wrong = [row for row in played if not row.as_expected]
    for row in wrong:
        console.print(f"[bold red]{row.sample.folder}/{row.sample.name}: expected {row.sample.outcome}[/]")
    starts = sum(row.starts for row in played)
    console.print(f"{len(played)} samples, {starts} start calls, {len(wrong)} not as their folder says.")
    return 1 if wrong or not played else 0


if __name__ == "__main__":
    sys.exit(main())
