"""`check`: prove settings and keys by harmless reads; nothing is started."""

import os
from collections.abc import AsyncIterator

import click

from restarter import callers
from restarter.cli.check_keys import Asked, check_keys
from restarter.cli.check_ledger import check_ledger
from restarter.cli.check_surroundings import ClockWatch, check_notify, check_sources_of_keys, platform
from restarter.cli.output import Finding
from restarter.http.transport import Transport
from restarter.model.delivery import DeliveryContext, utc_now
from restarter.model.outcome import Kind, Outcome, Reason
from restarter.oms.client import Oms
from restarter.oms.credentials import CredentialProvider
from restarter.reporting.advice import advise
from restarter.reporting.reasons import REASONS
from restarter.settings.errors import SettingsError
from restarter.settings.model import Settings, load, misspelt_names
from restarter.settings.operator import OperatorSettings

TIMEOUT_S = 10.0  # for the calls about one project
NO_TASK = "a name that no task has: only the answer matters"
NO_TASK_ID = "999999999999999"  # the same
NO_GROUP = "00000000-0000-0000-0000-000000000000"  # the same
NOT_WELL, WRONG_SETTINGS = 1, 2
RENAME_IT = "rename or remove it"
SET_IT = "correct it in the environment, or in the file of that name in SECRETS_DIR"
WITHOUT_GROUPS = "without oms:taskgroup:get and oms:taskgroup:update failed task groups are not retried"
TRY_AGAIN = "try again later; if it stays so, look the code up in OMS's list of error codes"


async def check(keys_of: str | None, *, everything: bool, notify: bool, as_json: bool) -> int:
    """Print each finding.

    Args:
        keys_of: The id of a task whose buckets are opened with the storage keys.
        everything: Also the rights for each call, the clock, and what lies around the function.
        notify: Send a test message to each address of NOTIFY_URLS.
        as_json: One object a line.

    Returns:
        The exit status: 0 when all is well, 1 when not, 2 when the settings do not load.
    """
    settings, faults = _load()
    for fault in faults:
        _print(Finding(check="settings", found=fault, ok=False, to_do=SET_IT), as_json=as_json)
    if settings is None:
        return WRONG_SETTINGS
    for name in misspelt_names() if not faults else ():
        _print(Finding(check="settings", found=name, to_do=RENAME_IT), as_json=as_json)
    all_well = True
    async for finding in _findings(settings, keys_of, everything=everything, notify=notify):
        _print(finding, as_json=as_json)
        all_well &= finding.ok
    if faults:
        return WRONG_SETTINGS
    return 0 if all_well else NOT_WELL


def _load() -> tuple[Settings | None, list[str]]:
    """The settings, or as much of them as it takes to ask OMS; and what the function would not start with."""
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
    yield Finding(
        check="settings", found=f"project {settings.oms_project_id}, {profiles} set(s) of storage credentials"
    )
    names = ", ".join(one.name for one in callers.configured_authenticators(settings, Transport()))
    yield Finding(check="callers", found=names or "none")
    watch = ClockWatch(Transport(), utc_now)
    oms = Oms(settings, watch, CredentialProvider(watch, utc_now), utc_now)
    for project_id in (settings.oms_project_id, *settings.oms_projects):
        async for finding in _check_project(settings, oms, project_id, everything=everything):
            yield finding
    if keys_of is not None:
        async for finding in check_keys(Asked(settings, oms, _context, _failed), keys_of):
            yield finding
    if notify:
        async for finding in check_notify(settings):
            yield finding
    if everything:
        yield watch.finding()
        async for finding in check_sources_of_keys(settings, watch):
            yield finding
    await watch.close()
    async for finding in check_ledger(settings, everything=everything):
        yield finding
    if everything:
        yield platform(os.environ)


async def _check_project(settings: Settings, oms: Oms, project_id: str, *, everything: bool) -> AsyncIterator[Finding]:
    """Reads of one project. A key that was refused is not used again."""
    context = _context()
    at = f"project {project_id} at {settings.endpoint_of(project_id)}"
    found = await oms.find(project_id, NO_TASK, context)
    ok = isinstance(found, Outcome) and found.kind is Kind.NOT_FOUND
    if not ok:
        failure = found if isinstance(found, Outcome) else Outcome(kind=Kind.UNAVAILABLE)
        yield _failed("oms", at, failure, project_id, settings)
        return
    yield Finding(check="oms", found=f"{at}: answers")
    if everything:
        shown = await oms.show(project_id, NO_TASK_ID, context)
        about, check = f"project {project_id}", "right to read a task"
        yield Finding(check="right to list tasks", found=f"{about}: given (oms:task:list)")
        if isinstance(shown, Outcome) and shown.kind is not Kind.NOT_FOUND:
            yield _failed(check, about, shown, project_id, settings)
        else:
            yield Finding(check=check, found=f"{about}: given (oms:task:get)")
    yield await _right_to_groups(oms, project_id, context)
    if everything:
        text = f"project {project_id}: not tried, for only a start would prove oms:task:update"
        yield Finding(check="right to start a task", found=text)


def _failed(check: str, about: str, outcome: Outcome, project_id: str, settings: Settings) -> Finding:
    """The finding about a call that failed: OMS's code or our word, and the advice of the one table of reasons."""
    has_advice = outcome.reason is not None and REASONS[outcome.reason].advice is not None
    to_do = advise(outcome, {"project_id": project_id}, settings) if has_advice else TRY_AGAIN
    code = outcome.oms_error_code or outcome.reason or outcome.kind
    return Finding(check=check, found=f"{about}: {code}", ok=False, to_do=to_do)


async def _right_to_groups(oms: Oms, project_id: str, context: DeliveryContext) -> Finding:
    """Whether the key may read task groups. It is no fault that it may not: a project may have none."""
    found = await oms.show_group(project_id, NO_GROUP, context)
    reason = found.reason if isinstance(found, Outcome) and found.kind is not Kind.NOT_FOUND else None
    if reason is Reason.GROUP_PERMISSION:
        text, to_do = f"not permitted; {WITHOUT_GROUPS}", "grant both, if the project has task groups"
        return Finding(check="task groups", found=f"project {project_id}: {text}", to_do=to_do)
    text = f"not known whether they can be read: {reason}" if reason else "can be read (oms:taskgroup:get)"
    return Finding(check="task groups", found=f"project {project_id}: {text}")


def _context() -> DeliveryContext:
    return DeliveryContext.lasting(TIMEOUT_S)


def _print(finding: Finding, *, as_json: bool) -> None:
    click.echo(finding.as_json() if as_json else finding.as_line())
