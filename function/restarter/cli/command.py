"""The command line: options and help texts, each command in a file of its own."""

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TextIO

import click
from pydantic_core import PydanticCustomError

from restarter import __version__
from restarter.cli import report
from restarter.cli.check import check_all
from restarter.cli.explain import explain_delivery, read_delivery
from restarter.settings.errors import SettingsError
from restarter.settings.model import load
from restarter.settings.types import parse_duration

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
WRONG_USAGE = 2


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def cli() -> None:
    """Look after the function that restarts OMS tasks. Settings come from the environment, as the function's do."""


@cli.command()
def check() -> None:
    """Prove settings and keys, and start nothing.

    Reads every setting, asks OMS for the tasks of each project by a name that none has and for a task group that is
    none, and asks the ledger. One line a check; the exit status is 0 when all are well.
    """
    raise SystemExit(asyncio.run(check_all()))


@cli.command()
@click.argument("file", type=FILE)
@click.option("--task", type=FILE, help="The task as ShowTask answers it, in JSON; without it OMS does not answer.")
@click.option("--group", type=FILE, help="The task group as ShowTaskGroup answers it, in JSON.")
def explain(file: Path, task: Path | None, group: Path | None) -> None:
    """Say what the function would do with the delivery saved in FILE, and why.

    FILE is an HTTP request as in events/, or the JSON of a body. Nothing is sent; secrets are masked.
    """
    try:
        settings = load()
        delivery = read_delivery(file.read_text("utf-8"))
    except SettingsError as error:
        click.echo(str(error), err=True)
        raise SystemExit(WRONG_USAGE) from None
    except ValueError:
        raise click.BadParameter("neither an HTTP request nor JSON", param_hint="FILE") from None
    shown, shown_group = (path.read_bytes() if path else None for path in (task, group))
    for step, finding in asyncio.run(explain_delivery(delivery, shown, settings, shown_group)):
        click.echo(f"{step:<10}{finding}")


@cli.command("report")
@click.argument("files", type=click.File("r", encoding="utf-8", errors="replace"), nargs=-1)
@click.option("--json", "as_json_lines", is_flag=True, help="One object a line: the totals, then each task.")
@click.option("--since", metavar="DURATION", help="Leave out lines that are older, like 12h; needs times in the lines.")
def report_command(files: tuple[TextIO, ...], *, as_json_lines: bool, since: str | None) -> None:
    """Tell what happened last night, from receipts in FILES or on standard input.

    Reads plain receipts and exports of Cloud Logging and LTS, by task: how often it was started, why it failed, what
    became of it and what to do. Other lines are passed over and counted. It needs no settings.
    """
    try:
        earliest = datetime.now(UTC) - timedelta(seconds=parse_duration(since)) if since else None
    except PydanticCustomError:
        raise click.BadParameter("must be like 12h: a number of s, m, h or d", param_hint="--since") from None
    found = report.Report()
    for file in files or (sys.stdin,):
        with click.progressbar(
            file, label=getattr(file, "name", "standard input"), file=sys.stderr, hidden=not sys.stderr.isatty()
        ) as lines:
            for line in lines:
                found.add(line, earliest)
    for text in report.as_json(found) if as_json_lines else report.as_lines(found):
        click.echo(text)
