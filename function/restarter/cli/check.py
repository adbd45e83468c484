"""`check`: tests settings and keys by harmless reads; nothing is started."""

import os
from collections.abc import AsyncIterator

import click

from restarter import callers
from restarter.cli.check_keys import TIMEOUT_S, Project, check_keys
from restarter.cli.check_ledger import check_ledger
from restarter.cli.check_surroundings import ClockWatch, check_notify, check_sources_of_keys, platform
from restarter.cli.output import Finding
from restarter.http.transport import Transport
from restarter.model.delivery import DeliveryContext, utc_now
from restarter.model.outcome import Kind, Outcome, Reason
from restarter.oms.client import Oms
from restarter.oms.credentials import CredentialProvider
from restarter.settings.errors import SettingsError
from restarter.settings.model import Settings, load, misspelt_names
from restarter.settings.operator import OperatorSettings

NO_TASK = "a name that no task has: only the answer matters"
NO_TASK_ID = "999999999999999"  # the same
NO_GROUP = "00000000-0000-0000-0000-000000000000"  # the same
NOT_WELL, WRONG_SETTINGS = 1, 2
RENAME_IT = "rename or remove it"
SET_IT = "correct it in the environment, or in the file of that name in SECRETS_DIR"
WITHOUT_GROUPS = "without oms:taskgroup:get and oms:taskgroup:update failed task groups are not retried"


async def check(keys_of: str | None, *, everything: bool, notify: bool, as_json: bool) -> int:
    """Run the checks, and print each finding.

    Args:
        keys_of: The id of a task whose buckets are opened with the storage keys.
        everything: Also check permissions, the clock, the servers of keys, the platform, and a probe in the ledger.
        notify: Send a test message to each address of NOTIFY_URLS.
        as_json: Print one JSON object a line.

    Returns:
        The exit status: 0 if all is well, 1 if not, 2 if the settings do not load.
    """
    settings, faults = _load()
    for fault in faults:
        _print(Finding("settings", fault, ok=False, to_do=SET_IT), as_json=as_json)
    if settings is None:
        return WRONG_SETTINGS
    for name in misspelt_names() if not faults else ():
        _print(Finding("settings", name, to_do=RENAME_IT), as_json=as_json)
    all_well = True
    async for finding in _findings(settings, keys_of, everything=everything, notify=notify):
        _print(finding, as_json=as_json)
        all_well &= finding.ok
    if faults:
        return WRONG_SETTINGS
    return 0 if all_well else NOT_WELL


def _load() -> tuple[Settings | None, list[str]]:
    """The settings, or only those for requests to OMS, or None; and the faults that keep the function from starting."""
    try:
        return load(), []
    except SettingsError as error:
        faults = error.messages
    try:
        return load(OperatorSettings), faults
    except SettingsError:
        return None, faults


async def _findings(
    settings: Settings, keys_of: str | None, *, everything: bool, notify: bool
) -> AsyncIterator[Finding]:
    profiles = sum(keys.dst_ak is not None for keys in settings.profiles().values())
    yield Finding("settings", f"project {settings.oms_project_id}, {profiles} set(s) of storage credentials")
    names = ", ".join(one.name for one in callers.configured_authenticators(settings, Transport()))
    yield Finding("callers", names or "none")
    watch = ClockWatch(Transport(), utc_now)
    oms = Oms(settings, watch, CredentialProvider(watch, utc_now), utc_now)
    projects = [Project(settings, oms, one) for one in (settings.oms_project_id, *settings.oms_projects)]
    groups = [_check_project(project, everything=everything) for project in projects]
    groups += [check_keys(projects, keys_of)] if keys_of is not None else []
    groups += [check_notify(settings)] if notify else []
    groups += [_check_surroundings(settings, watch)] if everything else []
    groups += [check_ledger(settings, everything=everything)]
    for group in groups:
        async for finding in group:
            yield finding
    await watch.close()
    if everything:
        yield platform(os.environ)


async def _check_surroundings(settings: Settings, watch: ClockWatch) -> AsyncIterator[Finding]:
    yield watch.finding()
    async for finding in check_sources_of_keys(settings, watch):
        yield finding


async def _check_project(project: Project, *, everything: bool) -> AsyncIterator[Finding]:
    """Check the reads of one project. If its first request fails, no other is made."""
    context, about = DeliveryContext.lasting(TIMEOUT_S), f"project {project.id}"
    at = f"{about} at {project.settings.endpoint_of(project.id)}"
    found = await project.oms.find(project.id, NO_TASK, context)
    failure = found if isinstance(found, Outcome) else Outcome(kind=Kind.UNAVAILABLE)
    if failure.kind is not Kind.NOT_FOUND:
        yield project.failure("oms", at, failure)
        return
    yield Finding("oms", f"{at}: answers")
    if everything:
        yield Finding("right to list tasks", f"{about}: given (oms:task:list)")
        shown = await project.oms.show(project.id, NO_TASK_ID, context)
        if isinstance(shown, Outcome) and shown.kind is not Kind.NOT_FOUND:
            yield project.failure("right to read a task", about, shown)
        else:
            yield Finding("right to read a task", f"{about}: given (oms:task:get)")
    yield await _right_to_groups(project, context)
    if everything:
        text = f"{about}: not tried, for only a start would prove oms:task:update"
        yield Finding("right to start a task", text)


async def _right_to_groups(project: Project, context: DeliveryContext) -> Finding:
    """Whether the key may read task groups. If it may not, that is not a fault: a project may have none."""
    found = await project.oms.show_group(project.id, NO_GROUP, context)
    reason = found.reason if isinstance(found, Outcome) and found.kind is not Kind.NOT_FOUND else None
    to_do = None
    text = f"not known whether they can be read: {reason}" if reason else "can be read (oms:taskgroup:get)"
    if reason is Reason.GROUP_PERMISSION:
        text, to_do = f"not permitted; {WITHOUT_GROUPS}", "grant both, if the project has task groups"
    return Finding("task groups", f"project {project.id}: {text}", to_do=to_do)


def _print(finding: Finding, *, as_json: bool) -> None:
    click.echo(finding.as_json() if as_json else finding.as_line())
