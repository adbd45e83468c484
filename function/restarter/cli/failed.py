"""The command `failed`: what it prints, what it asks, and its exit status."""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import click

from restarter.cli.failed_output import as_csv, as_text, by_cause, question
from restarter.cli.failed_tasks import FailedTarget, Found, Operator, Wanted
from restarter.cli.output import interruptible, number, plain, with_to_do
from restarter.oms.task_list import MAX_TASKS
from restarter.reporting.reasons import next_hour
from restarter.settings.model import Settings
from restarter.settings.types import in_words

# Outcomes that count as success for `--start`.
AS_WANTED = ("started", "already_running", "nothing_to_do", "would_start")
NOT_ALL = "NOT ALL WAS READ"
MEMORY = "The restarts of a running function are not known here: RESTART_LEDGER is memory://."


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How `failed` prints, and whether it starts something."""

    as_json: bool = False
    as_csv: bool = False
    is_long: bool = False
    start: bool = False
    everything: bool = False
    yes: bool = False


def run(settings: Settings, wanted: Wanted, options: Options) -> int:
    """List failed targets and, with `options.start`, start them.

    Returns:
        The exit status: 0 if there are none, or if each requested start was made; else 1.
    """
    found = asyncio.run(Operator(settings, wanted).failed())
    listed = found.listed
    is_whole = listed.error is None and not listed.more_pages and not listed.missing
    _print(found.rows, options)
    for_scripts = options.as_json or options.as_csv
    if not found.rows and is_whole and (found.counts.too_old or not for_scripts):
        click.echo(_none(found, in_words(wanted.since_s)), err=for_scripts)
    for note in _notes(found, settings, wanted):
        click.echo(plain(note), err=True)
    if found.rows and options.start:
        return 0 if _start(settings, wanted, found.rows, options) and is_whole else 1
    return 0 if is_whole and not found.rows else 1


def _print(rows: Sequence[FailedTarget], options: Options) -> None:
    causes = by_cause(rows)
    in_order = [row.facts for cause in causes for row in cause.rows]
    if options.as_csv:
        click.echo(as_csv(in_order))
    elif options.as_json:
        lines = [{"kind": "cause"} | cause.facts for cause in causes] + [
            {"kind": "failed", **facts} for facts in in_order
        ]
        for line in lines:
            click.echo(json.dumps(line))
    elif rows:
        for text in as_text(causes, is_long=options.is_long):
            click.echo(text)


def _none(found: Found, since: str) -> str:
    """What is printed if nothing failed recently."""
    too_old = found.counts.too_old
    older = f"{too_old} older one{' is' if too_old == 1 else 's are'} failed"
    return f"None of the last {since}; {older}." if too_old else "No failed tasks."


def _notes(found: Found, settings: Settings, wanted: Wanted) -> Iterator[str]:
    """Notes about what was left out, what could not be read, and what is not known."""
    counts, listed = found.counts, found.listed
    if found.rows and counts.too_old:
        since = in_words(wanted.since_s)
        yield f"Left out: {counts.too_old} that failed before the last {since}; --since 365d lists them."
    if counts.not_ours:
        yield f"Left out: {counts.not_ours} whose names do not begin with {wanted.prefix}."
    if listed.more_pages:
        yield f"{NOT_ALL}: OMS gives no more than {MAX_TASKS} failed tasks, and there are more. Delete old ones."
    if listed.missing:
        yield f"{NOT_ALL}: the list changed meanwhile; run it again for {number(listed.missing, 'task')}."
    if (error := listed.error) is not None:
        words = ", ".join(filter(None, [error.kind, error.reason, error.oms_error_code]))
        yield f"{NOT_ALL}: the list of failed tasks could not be read to its end: {words}"
    closed = next((row.outcome for row in found.rows if row.outcome.opens_at), None)
    if closed is not None:
        yield f"Outside RESTART_HOURS{next_hour(closed, 'en')}."
    if found.rows and settings.restart_ledger.scheme == "memory":
        yield MEMORY


def _start(settings: Settings, wanted: Wanted, rows: Sequence[FailedTarget], options: Options) -> bool:
    """Ask once, unless `options.yes`, and request a start of each chosen target. Returns whether each was made."""
    chosen = [row for row in rows if row.would_start or options.everything]
    asked = question(rows, len(chosen))
    if not chosen:
        click.echo(f"Nothing was started. {asked.removeprefix(f'Start 0 of {len(rows)}? ')}.", err=True)
        return False
    if not options.yes and not _confirmed(asked):
        return False
    outcomes: Counter[str] = Counter()

    def done() -> str:
        others = [f"{count} {kind.replace('_', ' ')}" for kind, count in outcomes.most_common() if kind != "started"]
        return ", ".join([f"{outcomes['started']} started", *others])

    with interruptible(lambda: f"Interrupted: {done()}. Run it again for the rest."), _bar(len(chosen)) as show:
        asyncio.run(Operator(settings, wanted).start(chosen, lambda one: _note(one, outcomes, show, options)))
    click.echo(done(), err=True)
    return set(outcomes) <= set(AS_WANTED)


def _confirmed(asked: str) -> bool:
    """Whether the operator types y. Not asked in the event loop, where Ctrl-C would have to wait."""
    click.echo(f"{asked} [y/N] ", nl=False, err=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _note(receipt: Mapping[str, Any], outcomes: Counter[str], show: Callable[[str], None], options: Options) -> None:
    """Count a start, and print its receipt as JSON, or its message and what to do."""
    outcomes[str(receipt["outcome"])] += 1
    text = plain(with_to_do(receipt["message"], receipt.get("advice")))
    show(json.dumps({"kind": "start", **receipt}) if options.as_json else text)


@contextmanager
def _bar(total: int) -> Iterator[Callable[[str], None]]:
    """Yield a function that prints a line: on a terminal above a progress bar, if rich is installed."""
    try:
        from rich.console import Console  # noqa: PLC0415  # an extra on the operator's machine
        from rich.progress import Progress  # noqa: PLC0415  # the same
    except ImportError:
        yield click.echo
        return
    if not (sys.stdout.isatty() and sys.stderr.isatty()):
        yield click.echo
        return
    with Progress(console=Console(), transient=True) as progress:
        task = progress.add_task("starting", total=total)

        def show(line: str) -> None:
            progress.console.print(line, markup=False, highlight=False, soft_wrap=True)
            progress.advance(task)

        yield show
