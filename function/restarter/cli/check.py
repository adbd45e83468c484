"""`check`: prove settings and keys by harmless reads; nothing is started."""

import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import click

from restarter import callers
from restarter.http.transport import Transport
from restarter.ledger import LedgerError, LedgerKeys, open_ledger
from restarter.model import DeliveryContext, Outcome
from restarter.oms.client import Oms
from restarter.oms.credentials import CredentialProvider
from restarter.settings.errors import SettingsError
from restarter.settings.model import Settings, load
from restarter.settings.shown import printable

TIMEOUT_S = 10.0  # for everything that is checked
NO_TASK = "a name that no task has: only the answer matters"
NO_GROUP = "00000000-0000-0000-0000-000000000000"  # the same


async def check_all() -> int:
    """Print one line for each check; 0 when all succeed, 1 when one fails."""
    try:
        settings = load()
    except SettingsError as error:
        for message in error.messages:
            _print(message, ok=False)
        return 1
    _print(f"settings: project {settings.oms_project_id}, {len(settings.profiles())} set(s) of storage credentials")
    authenticators = callers.configured_authenticators(settings, Transport())
    _print(f"callers: {', '.join(authenticator.name for authenticator in authenticators)}")
    results = [ok async for ok in _check_services(settings)]
    return 0 if all(results) else 1


async def _check_services(settings: Settings) -> AsyncIterator[bool]:
    transport = Transport()
    oms = Oms(settings, transport, CredentialProvider(transport, _now), _now)
    for project_id in (settings.oms_project_id, *settings.oms_projects):
        found = await oms.find(project_id, NO_TASK, _context())
        ok = isinstance(found, Outcome) and found.reason is None
        reason = found.oms_error_code or found.reason if isinstance(found, Outcome) else None
        yield _print(f"oms: project {project_id} at {settings.endpoint_of(project_id)}: {reason or 'answers'}", ok=ok)
        if ok:  # a refused key is not used again
            yield _print(f"task groups: project {project_id}: {await _right_to_groups(oms, project_id)}")
    await transport.close()
    address = settings.restart_ledger.get_secret_value()
    ledger = open_ledger(address, time.time)
    try:
        await ledger.history(LedgerKeys("check", "check"), 1)
    except LedgerError as error:
        yield _print(f"ledger: {address.partition(':')[0]} does not answer: {error}", ok=False)
    else:
        yield _print(f"ledger: {address.partition(':')[0]} answers")
    await ledger.close()


async def _right_to_groups(oms: Oms, project_id: str) -> str:
    """Whether the key may read task groups, in words. It is no fault: a project may have none."""
    found = await oms.show_group(project_id, NO_GROUP, _context())
    reason = found.reason if isinstance(found, Outcome) else None
    if reason == "group_permission":
        return "not permitted; without oms:taskgroup:get and oms:taskgroup:update failed task groups are not retried"
    return f"not known whether they can be read: {reason}" if reason else "can be read (oms:taskgroup:get)"


def _now() -> datetime:
    return datetime.now(UTC)


def _context() -> DeliveryContext:
    started_at = time.monotonic()
    return DeliveryContext(_now(), started_at, started_at + TIMEOUT_S)


def _print(line: str, *, ok: bool = True) -> bool:
    verdict = click.style("ok    ", fg="green") if ok else click.style("FAILED", fg="red")
    click.echo(f"{verdict} {printable(line)}")
    return ok
