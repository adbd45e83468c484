"""The promises of README in every order of steps, on a part of the worlds; `make prove` explores them all."""

from collections.abc import Callable
from typing import Any

import pytest

from proving import NEW_KEY, ONE, ONE_KEY, QUICK, Explorer, World
from restarter import restart, sweep
from restarter.decide import rules
from restarter.ledger.memory import MemoryLedger
from restarter.model.delivery import DeliveryContext
from restarter.model.outcome import Kind
from restarter.oms import client
from restarter.oms.client import Oms
from restarter.oms.key_breaker import KeyBreaker
from restarter.pipeline import Pipeline
from restarter.reporting.outcomes import OUTCOMES
from restarter.restart import Restarter

pytestmark = pytest.mark.usefixtures("unmeasured")
Plant = Callable[[pytest.MonkeyPatch], None]


@pytest.mark.parametrize("world", QUICK, ids=lambda world: world.name)
def test_every_promise_holds_in_every_order(world: World) -> None:
    explorer = Explorer(world)
    assert explorer.explore()
    assert explorer.broken == {}
    assert explorer.paths() > 1


def wrapped(owner: Any, name: str, wrap: Callable[..., Any]) -> Plant:
    """A bug: `wrap` is called in place of a method or function, with the real one before its arguments."""
    real = getattr(owner, name)

    def plant(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(owner, name, lambda *arguments, **named: wrap(real, *arguments, **named))

    return plant


def without_rule(name: str) -> Plant:
    """A bug: one of the rules is missing."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        for table in ("TASK_RULES", "BUDGET_RULES"):
            patch.setattr(rules, table, tuple(rule for rule in getattr(rules, table) if rule.__name__ != name))

    return plant


def acknowledged_unconfirmed(patch: pytest.MonkeyPatch) -> None:
    row = OUTCOMES[Kind.UNCONFIRMED]._replace(event=OUTCOMES[Kind.STARTED].event)
    patch.setattr("restarter.reporting.reply.OUTCOMES", {**OUTCOMES, Kind.UNCONFIRMED: row})


async def claims_again(real: Any, ledger: MemoryLedger, event: Any, seconds: float) -> Any:
    ledger._events.pop(event.id, None)  # noqa: SLF001
    return await real(ledger, event, seconds)


async def releases_first(real: Any, self: Restarter, key: Any, token: str, *rest: Any) -> Any:
    await self._ledger.release(key, token)
    return await real(self, key, token, *rest)


async def releases_any(real: Any, ledger: MemoryLedger, event: Any, token: str) -> None:
    ledger._events.pop(event.id, None)  # noqa: SLF001


async def does_nothing(real: Any, *arguments: Any) -> None:
    """The bug: what should be done is not."""


async def takes_back_by_event(real: Any, ledger: MemoryLedger, keys: Any, attempt: str) -> None:
    ledger._replace(keys, lambda entry: () if entry.event == keys.event else (entry,))


async def does_not_compare(
    real: Any, ledger: MemoryLedger, keys: Any, expected: Any, window_s: float, *rest: str
) -> Any:
    return await real(ledger, keys, await ledger.history(keys, window_s), window_s, *rest)


async def forgets_own(real: Any, ledger: MemoryLedger, keys: Any, window_s: float) -> Any:
    history = await real(ledger, keys, window_s)
    return type(history)(tuple(one for one in history.restarts if not one.own), history.version)


async def takes_only_first(real: Any, ledger: MemoryLedger, name: str, owner: str, window_s: float) -> bool:
    first = name not in ledger._marks  # noqa: SLF001
    return await real(ledger, name, owner, window_s) and first


async def says_done(real: Any, ledger: Any, command: Any, context: Any) -> bool:
    await real(ledger, command, context)
    return True


async def sends_again(real: Any, oms: Oms, project_id: str, start: Any, lost: Any, context: Any) -> Any:
    call = client.TASKS.build_start("https://oms", project_id, start, b"")
    await oms._call(call, project_id, context, client.READ)  # noqa: SLF001
    return await real(oms, project_id, start, lost, context)


def waits_for_ever(real: Any, breaker: KeyBreaker, seconds: float) -> Any:
    return real(breaker, 1000.0)


def by_one_clock(real: Any, context: DeliveryContext) -> float:
    return real(context._replace(ends_at=float("inf")))  # type: ignore[no-any-return]


def loses_receipts(real: Any, pipeline: Pipeline, results: Any, *rest: Any) -> Any:
    return real(pipeline, results[-1:], *rest)


async def never_expires(real: Any, ledger: MemoryLedger, event: Any, seconds: float) -> Any:
    claimed = await real(ledger, event, 1e9)
    return claimed._replace(rest_s=min(claimed.rest_s, 5.0))


FAILS, CRASH = frozenset({"fails"}), frozenset({"crash"})
EVENT = World("an event", "e", faults=1, kinds=FAILS, fails=1, redeliveries=1)
DIES = World("an event, its instance dies", "e", faults=1, kinds=CRASH, redeliveries=1)
TWICE = World("an event twice", "ee", fails=1)
NOTICE = World("a notice", "n", faults=1, kinds=CRASH, fails=1, redeliveries=1)
FROZEN = World("an event twice, frozen", "ee", faults=1, kinds=frozenset({"freeze"}), fails=1)
THRICE = World("an event three times, frozen", "eee", faults=1, kinds=frozenset({"freeze"}), fails=1)
BUDGET = World("two events, budget of one", "ef", fails=1, settings=ONE)
TOLD = World("two events, budget of one, 1 fault", "ef", faults=1, kinds=FAILS, fails=1, settings=ONE)
LOST = World("an event, budget of one, 2 faults", "e", faults=2, kinds=FAILS, fails=2, redeliveries=2, settings=ONE)


@pytest.mark.parametrize(
    ("promise", "world", "plant"),
    [
        ("ONCE", TWICE, wrapped(MemoryLedger, "claim", claims_again)),
        ("ONCE", TWICE, wrapped(Restarter, "_conclude", releases_first)),
        ("ONCE", THRICE, wrapped(MemoryLedger, "release", releases_any)),
        ("ONCE", FROZEN, wrapped(DeliveryContext, "remaining", by_one_clock)),
        ("ONCE", NOTICE, without_rule("started_since")),
        ("BUDGET", BUDGET, wrapped(MemoryLedger, "reserve", does_not_compare)),
        ("BUDGET", LOST, wrapped(MemoryLedger, "history", forgets_own)),
        ("BUDGET", ONE_KEY, without_rule("storage_key")),
        ("BACKOFF", World("two events", "ef", fails=1), without_rule("backoff")),
        ("COUNTED", LOST._replace(settings=()), wrapped(MemoryLedger, "unreserve", takes_back_by_event)),
        ("COUNTED", EVENT, wrapped(client, "is_of_gateway", lambda real, answer: False)),
        ("CALLS", EVENT, wrapped(Oms, "_look_again", sends_again)),
        ("ACKNOWLEDGED", EVENT, acknowledged_unconfirmed),
        ("ACKNOWLEDGED", World("a tick twice", "tt"), wrapped(sweep, "_is_incomplete", lambda real, outcome: False)),
        ("SETTLED", EVENT, wrapped(restart, "best_effort", says_done)),
        ("PHANTOM", BUDGET, without_rule("budget_under_way")),
        ("LEAK", EVENT, wrapped(MemoryLedger, "unreserve", does_nothing)),
        ("ALERT", TOLD, wrapped(MemoryLedger, "mark", takes_only_first)),
        ("STUCK", DIES, wrapped(MemoryLedger, "claim", never_expires)),
        ("PATIENCE", DIES, wrapped(restart, "in_progress", lambda real, rest_s: real(5.0))),
        ("RECEIPT", World("a batch", "b"), wrapped(Pipeline, "_reply", loses_receipts)),
        ("DEADLINE", NEW_KEY, wrapped(KeyBreaker, "_one_at_a_time", waits_for_ever)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_promise_is_seen_to_be_broken_by_a_planted_bug(
    promise: str, world: World, plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    explorer = Explorer(world)
    explorer.explore(until=promise)
    assert promise in explorer.broken
