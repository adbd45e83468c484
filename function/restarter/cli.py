"""The operator's command: prove settings and keys without starting anything, and explain a saved delivery offline."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import click

from restarter import __version__, callers
from restarter.explain import explain as explain_delivery
from restarter.explain import read_delivery
from restarter.faults import SettingsError
from restarter.ledger import Entry, LedgerError, open_ledger
from restarter.model import Outcome, Visit
from restarter.oms.identities import Identities
from restarter.oms.service import Oms
from restarter.settings import Settings, load
from restarter.transport import Transport

PATIENCE = 10.0  # seconds for everything that is checked
NO_TASK = "a name that no task has: only the answer matters"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def cli() -> None:
    """Look after the function that restarts OMS tasks. Settings come from the environment, as the function's do."""


@cli.command()
def check() -> None:
    """Prove settings and keys, and start nothing.

    Reads every setting, asks OMS for the tasks of each project by a name that none has, and asks the ledger. One line a
    check; the exit status is 0 when all are well.
    """
    raise SystemExit(asyncio.run(_check_all()))


@cli.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--task",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The task as ShowTask answers it, in JSON; without it the task is taken as failed.",
)
def explain(file: Path, task: Path | None) -> None:
    """Say what the function would do with the delivery saved in FILE, and why.

    FILE is an HTTP request as in events/, or the JSON of a body. Nothing is sent; secrets are masked.
    """
    try:
        settings = load()
        delivery = read_delivery(file.read_text("utf-8"))
    except SettingsError as error:
        raise click.ClickException(str(error)) from None
    except ValueError:
        raise click.BadParameter("neither an HTTP request nor JSON", param_hint="FILE") from None
    shown = task.read_bytes() if task else None
    for step, finding in asyncio.run(explain_delivery(delivery, shown, settings, _visit())):
        click.echo(f"{step:<10}{finding}")


def _now() -> datetime:
    return datetime.now(UTC)


def _visit() -> Visit:
    began = time.monotonic()
    return Visit(_now(), began, began + PATIENCE)


async def _check_all() -> int:
    """The number of checks that failed, as far as an exit status can tell."""
    try:
        settings = load()
    except SettingsError as error:
        for fault in error.faults:
            _say(fault, well=False)
        return 1
    _say(f"settings: project {settings.oms_project_id}, {len(settings.profiles())} set(s) of storage credentials")
    ways = callers.configured(settings, Transport())
    _say(f"callers: {', '.join(way.name for way in ways)}")
    results = [well async for well in _check_outside(settings)]
    return 0 if all(results) else 1


async def _check_outside(settings: Settings) -> AsyncIterator[bool]:
    transport = Transport()
    oms = Oms(settings, transport, Identities(transport, _now), _now)
    for project_id in (settings.oms_project_id, *settings.oms_projects):
        found = await oms.find(project_id, NO_TASK, _visit())
        well = isinstance(found, Outcome) and found.reason is None
        reason = found.oms_error_code or found.reason if isinstance(found, Outcome) else None
        yield _say(f"oms: project {project_id} at {settings.endpoint_of(project_id)}: {reason or 'answers'}", well=well)
    await transport.close()
    address = settings.restart_ledger.get_secret_value()
    ledger = open_ledger(address, time.time)
    try:
        await ledger.history(Entry("check", "check"), 1)
    except LedgerError as error:
        yield _say(f"ledger: {address.partition(':')[0]} does not answer: {error}", well=False)
    else:
        yield _say(f"ledger: {address.partition(':')[0]} answers")
    await ledger.close()


def _say(line: str, *, well: bool = True) -> bool:
    verdict = click.style("ok    ", fg="green") if well else click.style("FAILED", fg="red")
    click.echo(f"{verdict} {line}")
    return well
