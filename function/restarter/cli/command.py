"""The command line: options and help texts. Each command is in a file of its own, which is imported when it is run."""

import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from restarter import __version__

if TYPE_CHECKING:
    from restarter.cli.failed_tasks import Wanted
    from restarter.settings.model import Settings

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
WRONG_USAGE = 2
NOT_A_DURATION = "must be like 12h: a number of s, m, h or d, up to 31d"
SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 80}
as_json_option = click.option("--json", "as_json", is_flag=True, help="One object a line, for scripts.")


@click.group(context_settings=SETTINGS)
@click.version_option(__version__)
def cli() -> None:
    """Look after the function that restarts OMS tasks.

    Settings come from the environment and from SECRETS_DIR, as the function's do. Exit status: 0 all is well, 1 it is
    not, 2 wrong usage or settings.
    """


@cli.command()
@click.option(
    "--all", "everything", is_flag=True, help="Also rights, clock, servers of keys, and a probe in the ledger."
)
@as_json_option
def check(*, everything: bool, as_json: bool) -> None:
    """Prove settings and keys, and start nothing.

    Reads every setting, asks OMS for the tasks of each project by a name that none has and for a task group that is
    none, and asks the ledger. One line a finding, with what to do.
    """
    from restarter.cli import check as checks  # noqa: PLC0415  # slow to import; --help needs none of it

    raise SystemExit(asyncio.run(checks.check(everything=everything, as_json=as_json)))


@cli.command(short_help="Say what the function would do with a saved delivery.")
@click.argument("file", type=FILE)
@click.option("--task", type=FILE, help="The task as ShowTask answers it, in JSON; without it OMS does not answer.")
@click.option("--group", type=FILE, help="The task group as ShowTaskGroup answers it, in JSON.")
@as_json_option
def explain(file: Path, task: Path | None, group: Path | None, *, as_json: bool) -> None:
    """Say what the function would do with the delivery saved in FILE, and why.

    FILE is an HTTP request as in events/, or the JSON of a body. Nothing is sent; secrets are masked.
    """
    from restarter.cli.explain import explain_delivery, read_delivery  # noqa: PLC0415  # as above

    settings = _settings()
    try:
        delivery = read_delivery(file.read_text("utf-8"))
    except ValueError:
        raise click.BadParameter("neither an HTTP request nor JSON", param_hint="FILE") from None
    shown, shown_group = (path.read_bytes() if path else None for path in (task, group))
    for step, finding in asyncio.run(explain_delivery(delivery, shown, settings, shown_group)):
        click.echo(json.dumps({"kind": step, "found": finding}) if as_json else f"{step:<10}{finding}")


@cli.command(short_help="List failed tasks, and what an event would do to each.")
@click.option("--project", metavar="ID", help="One of the configured projects; else OMS_PROJECT_ID.")
@click.option("--prefix", help="Only tasks whose names begin so; else RESTART_SWEEP_PREFIX.")
@click.option("--since", metavar="DURATION", help="Only tasks started within it, like 3d; else RESTART_SWEEP_AGE.")
@click.option("--credentials", metavar="NAME", default="default", help="The set of storage credentials to start with.")
@click.option("--start", is_flag=True, help="Ask once, then request a start of each.")
@click.option("--yes", is_flag=True, help="With --start: do not ask.")
@as_json_option
def failed(  # noqa: PLR0913  # one for each option
    *,
    project: str | None,
    prefix: str | None,
    since: str | None,
    credentials: str,
    start: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """List failed tasks and groups, and what an event would do to each now.

    Starts nothing without --start, and writes nothing to the ledger. Exit status: 0 with none, 1 with some; with
    --start, 0 when each was started.
    """
    from restarter.cli import failed as command  # noqa: PLC0415  # as above

    settings = _settings()
    wanted = _wanted(settings, project, prefix, since, credentials)
    options = command.Options(as_json=as_json, start=start, yes=yes)
    raise SystemExit(asyncio.run(command.run(settings, wanted, options)))


@cli.command("report", short_help="Tell from receipts what happened last night.")
@click.argument("files", type=click.File("r", encoding="utf-8", errors="replace"), nargs=-1)
@click.option("--json", "as_json_lines", is_flag=True, help="One object a line: the totals, then each task.")
@click.option("--since", metavar="DURATION", help="Leave out lines that are older, like 12h; needs times in the lines.")
def report_command(files: tuple[TextIO, ...], *, as_json_lines: bool, since: str | None) -> None:
    """Tell what happened last night, from receipts in FILES or on standard input.

    Reads plain receipts and exports of Cloud Logging and LTS, by task: how often it was started, why it failed, what
    became of it and what to do. Other lines are passed over and counted. It needs no settings.
    """
    from datetime import UTC, datetime, timedelta  # noqa: PLC0415  # as above

    from restarter.cli import report  # noqa: PLC0415  # as above

    earliest = datetime.now(UTC) - timedelta(seconds=_seconds(since)) if since is not None else None
    found = report.Report()
    for file in files or (sys.stdin,):
        with click.progressbar(
            file, label=getattr(file, "name", "standard input"), file=sys.stderr, hidden=not sys.stderr.isatty()
        ) as lines:
            for line in lines:
                found.add(line, earliest)
    for text in report.as_json(found) if as_json_lines else report.as_lines(found):
        click.echo(text)


def _settings() -> "Settings":
    """The settings; where they do not load, all errors go to stderr and the command ends."""
    from restarter.settings.errors import SettingsError  # noqa: PLC0415  # as above
    from restarter.settings.model import load  # noqa: PLC0415  # as above

    try:
        return load()
    except SettingsError as error:
        click.echo(str(error), err=True)
        raise SystemExit(WRONG_USAGE) from None


def _wanted(
    settings: "Settings", project: str | None, prefix: str | None, since: str | None, credentials: str
) -> "Wanted":
    """What the options of `failed` ask for; what they leave out is as for a sweep."""
    from restarter.cli.failed_tasks import Wanted  # noqa: PLC0415  # as above

    project_id = project or settings.oms_project_id
    if project_id not in (settings.oms_project_id, *settings.oms_projects):
        raise click.BadParameter("is not one of the configured projects", param_hint="--project")
    if credentials not in settings.profiles():
        raise click.BadParameter("is not one of the configured sets of credentials", param_hint="--credentials")
    if since is not None:
        _seconds(since)
    return Wanted(
        project_id=project_id,
        prefix=settings.restart_sweep_prefix or "" if prefix is None else prefix,
        since=settings.restart_sweep_age if since is None else since,
        credentials=credentials,
    )


def _seconds(since: str) -> float:
    """The seconds of --since."""
    from pydantic_core import PydanticCustomError  # noqa: PLC0415  # as above

    from restarter.settings.types import parse_duration  # noqa: PLC0415  # as above

    try:
        return parse_duration(since)
    except PydanticCustomError:
        raise click.BadParameter(NOT_A_DURATION, param_hint="--since") from None
