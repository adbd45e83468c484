"""`failed` as a command: what it prints, what it asks, and how it ends."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import click

from restarter.cli.failed_tasks import FailedTarget, Operator, Wanted
from restarter.cli.table import cells, show
from restarter.cli.terminal import plain
from restarter.model.outcome import Outcome
from restarter.settings.model import Settings

# What a person wanted is so once a start was requested.
AS_WANTED = ("started", "already_running", "nothing_to_do")
MEMORY = "The restarts of a running function are not known here: RESTART_LEDGER is memory://."


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How `failed` answers."""

    as_json: bool = False
    start: bool = False
    yes: bool = False


async def run(settings: Settings, wanted: Wanted, options: Options) -> int:
    """List failed targets, and with `options.start` start them.

    Returns:
        The exit status: 0 with none, or when each was started; else 1.
    """
    async with Operator(settings, wanted) as operator:
        rows, interruption = await operator.failed()
        _print([row.facts(operator.mask) for row in rows], as_json=options.as_json)
        if not (rows or interruption or options.as_json):
            click.echo("No failed tasks.")
        if settings.restart_ledger.get_secret_value() == "memory://" and rows:
            operator.messages.append(MEMORY)
        for message in operator.messages:
            click.echo(plain(message), err=True)
        if interruption is not None:
            click.echo(f"The list of failed tasks could not be read to its end: {_words(interruption)}", err=True)
        all_well = interruption is None
        if rows and options.start:
            return 0 if await _start(operator, rows, options) and all_well else 1
    return 0 if all_well and not rows else 1


async def _start(operator: Operator, rows: list[FailedTarget], options: Options) -> bool:
    """Ask once, unless told not to, and request a start of each; whether each was started."""
    number = f"{len(rows)} task{'s' if len(rows) > 1 else ''}"
    if not options.yes and not click.confirm(f"Start {number}?", default=False, err=True):
        return False
    outcomes = []
    async for receipt in operator.start(rows):
        outcomes.append(receipt["outcome"])
        click.echo(json.dumps({"kind": "start"} | receipt) if options.as_json else plain(_in_words(receipt)))
    return all(outcome in AS_WANTED for outcome in outcomes)


def _in_words(receipt: Mapping[str, Any]) -> str:
    """The result of a start, and what to do."""
    return receipt["message"] + (f". To do: {receipt['advice']}" if "advice" in receipt else "")


def _print(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        for facts in rows:
            click.echo(json.dumps({"kind": "failed"} | facts))
    elif rows:
        show([cells(facts) for facts in rows])


def _words(outcome: Outcome) -> str:
    """What is known of a call that failed."""
    return ", ".join(filter(None, [outcome.kind, outcome.reason, outcome.oms_error_code]))
