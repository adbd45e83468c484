"""The command line: options and help texts. Each command is in its own file, which is imported when it is run."""

import asyncio
import json
import re
import sys
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from restarter import __version__
from restarter.cli.output import interruptible, plain

if TYPE_CHECKING:
    from restarter.cli.report import Report
    from restarter.model.delivery import Delivery
    from restarter.settings.model import Settings

PATH = click.Path(exists=True, allow_dash=True, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
NOT_WELL, WRONG_USAGE = 1, 2
A_RECEIPT = 'expected is one JSON object a line, with "outcome" and "severity"'
MOST_OF_NIGHT = 3_000  # receipts in the picture of report --html
MAX_DAYS = 365  # of --since
SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 80}
as_json_option = click.option("--json", "as_json", is_flag=True, help="One object a line, for scripts.")


@click.group(context_settings=SETTINGS)
@click.version_option(__version__)
@click.pass_context
def cli(context: click.Context) -> None:
    """Look after the function that restarts OMS tasks.

    Settings come from the environment and from SECRETS_DIR, as the function's do. Exit status: 0 all is well, 1 it is
    not, 2 wrong usage or settings, 130 after Ctrl-C.
    """
    context.with_resource(interruptible())


@cli.command()
@click.option(
    "--all", "everything", is_flag=True, help="Also rights, clock, servers of keys, and a probe in the ledger."
)
@click.option("--keys", "keys_of", metavar="TASK_ID", help="Also open this task's buckets with each set of keys.")
@click.option("--notify", is_flag=True, help="Also send a test message to each address of NOTIFY_URLS.")
@as_json_option
def check(keys_of: str | None, **options: bool) -> None:
    """Prove settings and keys, and start nothing.

    Reads every setting, asks OMS for the tasks of each project by a name that none has and for a task group that is
    none, and asks the ledger. One line a finding, with what to do. --keys sends the storage keys to OMS, whose two
    requests (ShowBucketRegion, CheckPrefix) only read.
    """
    from restarter.cli import check as checks  # noqa: PLC0415  # slow to import, and not needed for --help

    if keys_of is not None and not re.fullmatch(r"[0-9]{1,15}", keys_of):
        raise click.BadParameter("is not a task's id: up to 15 digits", param_hint="--keys")
    raise SystemExit(asyncio.run(checks.check(keys_of, **options)))


@cli.command(short_help="Say what the function would do with a saved delivery.")
@click.argument("paths", metavar="FILE...", nargs=-1, required=True, type=PATH)
@click.option("--look", is_flag=True, help="Ask OMS about the task, by reads alone.")
@click.option("--task", type=FILE, help="The task as ShowTask answers it, in JSON.")
@click.option("--group", type=FILE, help="The task group as ShowTaskGroup answers it, in JSON.")
@as_json_option
def explain(paths: tuple[Path, ...], task: Path | None, group: Path | None, *, look: bool, as_json: bool) -> None:
    """Say what the function would do with the delivery saved in FILE, and why.

    FILE is an HTTP request as in events/, or the JSON of a body; - is standard input; of a folder every .http and .json
    is explained. Nothing is started, and nothing is sent but by --look; secrets are masked.
    """
    from restarter.cli.explain import explain_delivery  # noqa: PLC0415  # as above

    if look and (task or group):
        raise click.UsageError("--look cannot be combined with --task or --group")
    settings = _settings()
    is_one = len(paths) == 1 and not paths[0].is_dir()
    shown, shown_group = (path.read_bytes() if path else None for path in (task, group))
    for name, delivery in _saved(paths):
        if not (is_one or as_json):
            click.echo(click.style(name, bold=True))
        for step, finding in asyncio.run(explain_delivery(delivery, shown, settings, shown_group, look=look)):
            facts = {"kind": step, "found": finding} | ({} if is_one else {"file": name})
            click.echo(json.dumps(facts) if as_json else f"{step:<10}{finding}")


def _saved(paths: tuple[Path, ...]) -> "Iterator[tuple[str, Delivery]]":
    """The name of each file and its delivery. In a folder, only files named *.http and *.json."""
    from restarter.cli.explain import read_delivery  # noqa: PLC0415  # as above

    for path in paths:
        inside = sorted(one for one in path.rglob("*") if one.suffix in (".http", ".json"))
        for file in inside if path.is_dir() else [path]:
            name = plain(str(file))
            try:
                yield name, read_delivery(sys.stdin.read() if name == "-" else file.read_text("utf-8"))
            except ValueError:
                raise click.BadParameter(f"{name}: neither an HTTP request nor JSON", param_hint="FILE") from None


@cli.command(short_help="List failed tasks, and what an event would do to each.")
@click.option("--project", metavar="ID", help="One of the configured projects; else OMS_PROJECT_ID.")
@click.option("--prefix", help="Only tasks whose names begin so; else RESTART_SWEEP_PREFIX.")
@click.option("--since", metavar="DURATION", help="Only tasks that failed within it, like 3d; else RESTART_SWEEP_AGE.")
@click.option("--cause", metavar="CODE", help="Only tasks that failed with this code, like TRF.0151.")
@click.option("--credentials", metavar="NAME", default="default", help="The set of storage credentials to start with.")
@click.option("--long", "is_long", is_flag=True, help="All that is known of each task.")
@click.option("--csv", "as_csv", is_flag=True, help="A table for a spreadsheet.")
@click.option("--start", is_flag=True, help="Ask, then request a start of each that an event would start.")
@click.option("--all", "everything", is_flag=True, help="With --start: of the rest, too.")
@click.option("--yes", is_flag=True, help="With --start: do not ask.")
@as_json_option
def failed(project: str | None, credentials: str, since: str | None, **options: Any) -> None:
    """List failed tasks and groups by cause, and what an event would do to each now.

    It needs a region, a project and a key. Starts nothing without --start, and writes nothing to the ledger. Exit
    status: 0 with none, 1 with some; with --start, 0 when each start that was asked for was made.
    """
    from restarter.cli import failed as command  # noqa: PLC0415  # as above
    from restarter.cli.failed_tasks import Wanted  # noqa: PLC0415  # as above

    settings = _settings()
    if options["as_csv"] and (options["as_json"] or options["start"]):
        raise click.UsageError("--csv cannot be combined with --json or --start")
    project_id = _project(settings, project)
    _check_credentials(settings, credentials, to_start=options["start"])
    prefix = options.pop("prefix")
    wanted = Wanted(
        project_id=project_id,
        prefix=settings.restart_sweep_prefix or "" if prefix is None else prefix,
        since_s=settings.restart_sweep_age if since is None else _seconds(since),
        cause=options.pop("cause"),
        credentials=credentials,
    )
    raise SystemExit(command.run(settings, wanted, command.Options(**options)))


@cli.command("report", short_help="Tell from receipts what happened last night.")
@click.argument("files", metavar="[FILE...]", type=click.File("r", encoding="utf-8", errors="replace"), nargs=-1)
@click.option("--json", "as_json_lines", is_flag=True, help="One object a line: the totals, then each task.")
@click.option("--since", metavar="DURATION", help="Leave out receipts that are older, like 12h.")
@click.option(
    "--html",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write it as one page into this file.",
)
def report_command(files: tuple[TextIO, ...], html: Path | None, *, as_json_lines: bool, since: str | None) -> None:
    """Tell what happened last night, from receipts in FILE... or on standard input.

    Reads plain receipts and exports of Cloud Logging and LTS: for each task when it failed and was started, how often,
    the last outcome and what to do. Other lines are passed over and counted. It needs no settings. Exit status: 1 where
    no line is a receipt.
    """
    from datetime import UTC, datetime, timedelta  # noqa: PLC0415  # as above

    from restarter.cli import report  # noqa: PLC0415  # as above

    earliest = datetime.now(UTC) - timedelta(seconds=_seconds(since)) if since is not None else None
    found = report.Report(latest=deque(maxlen=MOST_OF_NIGHT if html else 0))
    for file in files or (sys.stdin,):
        name = plain(str(getattr(file, "name", "<stdin>"))).replace("<stdin>", "standard input")
        before = found.receipts + found.too_old
        with click.progressbar(file, label=name, file=sys.stderr, hidden=not sys.stderr.isatty()) as lines:
            for line in lines:
                found.add(line, earliest)
        if found.receipts + found.too_old == before:
            click.echo(f"{name}: no line is a receipt; {A_RECEIPT}", err=True)
    if earliest is not None and found.receipts and not found.timed:
        click.echo("No receipt has a time, so --since left nothing out.", err=True)
    if html and found.receipts:
        _write_page(found, html)
    else:
        for text in report.as_json(found) if as_json_lines else report.as_lines(found):
            click.echo(text)
    raise SystemExit(0 if found.receipts + found.too_old else NOT_WELL)


def _write_page(found: "Report", html: Path) -> None:
    """Write the page of `report --html`, and say so on stderr."""
    from restarter.cli.night import night_of  # noqa: PLC0415  # as above
    from restarter.cli.report_page import page  # noqa: PLC0415  # as above

    kept = len(found.latest)
    note = f"The picture shows the last {kept} receipts." if kept == MOST_OF_NIGHT else ""
    with html.open("w", encoding="utf-8") as file:
        file.writelines(line + "\n" for line in page(found, night_of(found.latest), note))
    click.echo(f"Wrote {plain(str(html))}", err=True)


def _settings() -> "Settings":
    """The operator's settings. If they do not load, all errors go to stderr, and the command ends."""
    from restarter.settings.errors import SettingsError  # noqa: PLC0415  # as above
    from restarter.settings.model import load  # noqa: PLC0415  # as above
    from restarter.settings.operator import OperatorSettings  # noqa: PLC0415  # as above

    try:
        return load(OperatorSettings).model_copy(update={"restart_language": "en"})
    except SettingsError as error:
        click.echo(str(error), err=True)
        raise SystemExit(WRONG_USAGE) from None


def _project(settings: "Settings", project: str | None) -> str:
    project_id = project or settings.oms_project_id
    if project_id not in (settings.oms_project_id, *settings.oms_projects):
        raise click.BadParameter("is not one of the configured projects", param_hint="--project")
    return project_id


def _check_credentials(settings: "Settings", name: str, *, to_start: bool) -> None:
    """Check that the profile exists and, for a start, which sends them, that its storage keys are set."""
    from restarter.settings.model import Settings  # noqa: PLC0415  # as above

    if name not in settings.profiles():
        raise click.BadParameter("is not one of the configured sets of credentials", param_hint="--credentials")
    missing = [field for field in ("oms_dst_ak", "oms_dst_sk") if getattr(settings, field) is None]
    if to_start and name == "default" and missing:
        for field in missing:
            click.echo(f"{field.upper()}: required with --start, because {Settings.REQUIRED[field]}", err=True)
        raise SystemExit(WRONG_USAGE)


def _seconds(since: str) -> float:
    """The seconds of --since."""
    from restarter.settings.types import parse_duration  # noqa: PLC0415  # as above

    try:
        return parse_duration(since, MAX_DAYS)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--since") from None
