"""Play every sample of events/ at the real function in front of the simulator, and show each result as it comes."""

import queue
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
from rich.console import Console
from rich.text import Text

from example_settings import EXAMPLE, REPEATABLE
from processes import Running, function, simulator
from samples import FOLDERS, Sample, fill, read_all
from signing_keys import SigningKeys, signing_keys

COLOURS = {"invalid": "yellow", "ignored": "cyan", "valid": "green"}
HEADINGS = {
    "invalid": "invalid: refused with a 4xx, and OMS is not called",
    "ignored": "ignored: acknowledged with a 2xx, and OMS is not called",
    "valid": "valid: OMS is asked about the task, and what has failed is restarted",
}
# Columns, in cells of the terminal; together they fit 80. The reason gets what a wider terminal has left.
NAME, OUTCOME, REPLY, RESTARTS, REASON = 33, 25, 4, 10, 12


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


def play(sample: Sample, running: Running, oms: Running, keys: SigningKeys, client: httpx.Client) -> Played:
    """One delivery, in a world as it was at the start."""
    oms.control("POST", "/_sim/reset")
    sent = fill(sample, keys)
    headers = {name.encode(): value.encode() for name, value in sent.headers.items()}
    reply = client.request(sent.method, running.url + sent.path, headers=headers, content=sent.body.encode())
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


def play_all() -> Iterator[Played]:
    """All samples: what FunctionGraph posts, at a function that trusts its platform; the rest, at one that does not."""
    with simulator() as oms, signing_keys() as keys, httpx.Client() as client:
        settings = EXAMPLE | REPEATABLE | {"OMS_ENDPOINT": oms.url}
        trusting = {name: value for name, value in settings.items() if not name.startswith("CALLER_")}
        with (
            function({**settings, **keys.settings}) as public,
            function({**trusting, "CALLER_TRUST_PLATFORM": "true"}) as platform,
        ):
            for sample in sorted(read_all(), key=place):
                yield play(sample, platform if sample.by_platform else public, oms, keys, client)


def place(sample: Sample) -> tuple[int, bool]:
    """Where a sample comes: folder by folder, and last those that restart something."""
    return FOLDERS.index(sample.folder), "started" in sample.outcome.split(", ")


def line(row: Played, width: int) -> Text:
    """The result of one delivery, in `width` cells."""
    restarts = f"{row.starts} restart{'s' if row.starts > 1 else ''}" if row.starts else ""
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(f"{row.sample.name:{NAME}}", COLOURS[row.sample.folder] if row.as_expected else "bold red")
    text.append(f"{row.outcome:{OUTCOME}}{row.status:<{REPLY}}")
    text.append(f"{restarts:{RESTARTS}}", "bold green")
    if width >= NAME + OUTCOME + REPLY + RESTARTS + REASON:
        text.append(row.reason, "dim")
    text.rstrip()
    text.truncate(width, overflow="ellipsis")
    return text


def summary(played: list[Played]) -> str:
    """One sentence for all of them, and one for each that did something else."""
    count = {folder: sum(row.sample.folder == folder for row in played) for folder in FOLDERS}
    wrong = [row for row in played if not row.as_expected]
    lines = [
        f"{row.sample.folder}/{row.sample.name}: expected {row.sample.outcome}, found {row.outcome}, "
        f"reply {row.status}, {row.calls} calls, {row.starts} of them starts"
        for row in wrong
    ]
    lines.append(
        f"{len(played)} deliveries: {count['invalid']} invalid ones were refused, {count['ignored']} were ignored, and "
        f"{count['valid']} valid ones restarted {sum(row.starts for row in played)} failed tasks; "
        f"{f'{len(wrong)} did something else' if wrong else 'each did what its folder says'}."
    )
    return "\n".join(lines)


def main() -> int:
    """0 when every sample did what its folder says."""
    console, played = Console(highlight=False), list[Played]()
    for row in play_all():
        if not played or played[-1].sample.folder != row.sample.folder:
            console.print(Text(f"\n{HEADINGS[row.sample.folder]}", "bold"))
        console.print(line(row, console.width))
        played.append(row)
    wrong = not played or any(not row.as_expected for row in played)
    console.print(Text(f"\n{summary(played)}", "bold red" if wrong else "bold"))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
