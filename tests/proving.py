"""Every order of the steps of real deliveries, with faults, and the promises of README on each of them.

    make prove

A state is a value: the ledger, OMS, the clocks, and what each instance has been answered. A step answers one question
of one delivery on the ledger or the model of OMS, or lets something happen to them. Each state is looked at once.
"""

import argparse
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple, TypeVar
from unittest.mock import patch

from example import TASK, settings, shown
from restarter.http.call import Answer, NoAnswer
from restarter.ledger import LedgerError
from restarter.ledger.memory import MemoryLedger
from restarter.model.delivery import Delivery
from restarter.model.outcome import Reason
from stepping import STARTS, Ended, Event, Face, Instances, Op, Question, standing_clocks

T = TypeVar("T")
LOG = logging.getLogger("restarter")
BEGIN = datetime(2100, 1, 1, 12, tzinfo=UTC).timestamp()
GROUP = "8a1f6f0e-3c0b-4f55-9f0e-2b6a4f1c7d11"
GROUP_STATUS = {2: 2, 3: 3, 4: 5, 5: 6}  # of a group whose tasks are in such a status
DEADLINE_S, CLAIM_S, SLOW_S, FREEZE_S, JUMP_S = 4.5, 9.5, 1.0, 10.0, 20.0
ACKNOWLEDGED = {"started", "already_running", "nothing_to_do", "duplicate", "refused", "swept"}
SETTLED = {"started", "already_running", "nothing_to_do", "duplicate"}
WRITES = {"claim", "settle", "release", "reserve", "confirm", "unreserve", "mark", *STARTS}
ALL = frozenset({"fails", "crash", "silent ledger", "silent OMS"})


def _cloudevent(name: str, **data: Any) -> dict[str, Any]:
    return {"specversion": "1.0", "type": "oms.task.failed", "source": "/oms", "id": name, "data": data}


def _delivery(body: Any, kind: str = "application/json", **headers: str) -> Delivery:
    return Delivery("POST", "/", {"content-type": kind, **headers}, json.dumps(body).encode())


def _notice(name: str) -> dict[str, Any]:
    at = datetime.fromtimestamp(BEGIN - 5, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"smn": {"message_id": name, "timestamp": at, "message": json.dumps({"task_id": TASK})}}


STRUCTURED = "application/cloudevents+json"
DELIVERIES = {
    **{name: _delivery(_cloudevent(name, task_id=TASK), STRUCTURED) for name in "efg"},  # events
    "m": _delivery(_cloudevent("m", task_id=TASK + 1), STRUCTURED),  # of another task, or member of the group
    "n": _delivery({"record": [_notice("n")]}),  # a notice, whose time is SMN's own
    "r": _delivery({"task_id": TASK}),  # a request, and one with a key
    "k": _delivery({"task_id": TASK}, **{"idempotency-key": "k"}),
    **{name: _delivery(_cloudevent(name, sweep=True), STRUCTURED) for name in "tu"},  # ticks
    "b": _delivery([_cloudevent(name, task_id=TASK) for name in "efe"], "application/cloudevents-batch+json"),
}
REQUESTS = "rk"


class World(NamedTuple):
    """What is explored: the deliveries, and how much may happen to them."""

    name: str
    deliveries: str
    faults: int = 0
    kinds: frozenset[str] = ALL
    """`fails`, `crash`, `silent ledger`, `silent OMS`, `slow`, `freeze`, `jump`."""
    fails: int = 0
    """How often the task fails again."""
    redeliveries: int = 0
    passes: tuple[float, ...] = ()
    """Seconds that pass while nothing is under way."""
    outside: tuple[str, ...] = ()
    """What happens besides, in this order: `start` and `pause` by a person, `rotate`, `revoke` of the key."""
    together: bool = False
    """In one instance; else each delivery has its own."""
    cold: bool = False
    """No request was accepted with the key yet."""
    grouped: bool = False
    cause: str = "TRF.0001"
    """Why the task fails."""
    memory: bool = False
    """The ledger's clock jumps, too."""
    settings: tuple[tuple[str, Any], ...] = ()


class Unit(NamedTuple):
    """An instance with deliveries under way."""

    whos: tuple[str, ...]
    history: int


class Accepted(NamedTuple):
    """A start that OMS accepted. `late`: long after it was sent, or when nobody waited for it any more."""

    who: str
    at: float
    late: bool


class State(NamedTuple):
    """All that decides what can happen next, and what was seen so far."""

    ledger: tuple[frozenset[Any], frozenset[Any], frozenset[Any]]
    status: int
    started_at: float
    clock: float
    skew: float
    units: tuple[Unit, ...]
    fates: tuple[tuple[str, Ended | None], ...]
    """How deliveries ended; None: with their instance."""
    starts: tuple[Accepted, ...]
    late: frozenset[tuple[Op, Question]]
    sent: tuple[tuple[Op, float], ...]
    silent: str
    key: int
    revoked: int
    arrived: int
    faults: int
    fails: int
    redeliveries: int
    passes: int
    outside: int


Move = tuple[str, Callable[[], State]]
"""A step's name, and what makes the state after it."""


class Explorer:
    """Explores one world. `broken`: each promise that does not hold, and the steps that lead there."""

    def __init__(self, world: World) -> None:
        self.world = world
        changes: dict[str, Any] = {
            "restart_ledger": "redis://localhost",
            "restart_sweep": "on",
            "restart_budget": "2/24h",
        }
        changes |= {"caller_trust_platform": True, **dict(world.settings)}
        before = settings(**changes)
        after = settings(**changes, HUAWEICLOUD_SDK_AK="AKEXAMPLE0000000002")
        self.settings = before
        self.instances = Instances((before, after), DELIVERIES, knows_key=not world.cold)
        nothing: frozenset[Any] = frozenset()
        first = State(
            *((nothing,) * 3, 4, BEGIN - 100, BEGIN, 0.0, (), (), (), nothing, (), "", 0, 0, 0),
            *(world.faults, world.fails, world.redeliveries, 0, 0),
        )
        self.first = first
        self.came_from: dict[State, tuple[State, str] | None] = {first: None}
        self.next: dict[State, list[State]] = {}
        self.broken: dict[str, tuple[str, list[str]]] = {}
        self._at: tuple[State, str] = first, ""
        self._drained: list[str] = []

    def explore(self, *, until: str | None = None, seconds: float = 600.0) -> bool:
        """Look at every state, or until a promise is seen to be broken; False where the time was over before."""
        todo, end = [self.first], time.monotonic() + seconds
        with ExitStack() as stack:
            stack.enter_context(standing_clocks())
            stack.enter_context(patch("restarter.ledger.memory.new_token", lambda: TOKEN[0]))
            stack.enter_context(patch.object(LOG, "disabled", new=True))
            stack.callback(self.instances.close)
            while todo and until not in self.broken:
                if time.monotonic() > end:
                    return False
                state = todo.pop()
                self._at = state, "end"
                if not state.units and state.arrived == len(self.world.deliveries):
                    self._drain(state)
                self.next[state] = []
                for label, make in self._moves(state):
                    self._at = state, label
                    new = make()
                    self.next[state].append(new)
                    if new not in self.came_from:
                        self.came_from[new] = state, label
                        todo.append(new)
        return True

    def paths(self) -> int:
        """The number of ways from the beginning to an end."""
        sys.setrecursionlimit(10_000)
        known: dict[State, int] = {}

        def count(state: State) -> int:
            if state not in known:
                known[state] = sum(map(count, self.next.get(state, ()))) or 1
            return known[state]

        return count(self.first)

    # What can happen

    def _moves(self, state: State) -> Iterator[Move]:
        """Every step from here."""
        world, fewer = self.world, state._replace(faults=state.faults - 1)
        for index, unit in enumerate(state.units):
            for op, question in self._face(unit).pending:
                if question.of != state.silent:
                    yield f"{op[0]}: {question.name}", partial(self._answered, state, index, op, question)
                if state.faults and "fails" in world.kinds:
                    yield from self._faults(fewer, index, op, question)
            if state.faults and "crash" in world.kinds:
                yield f"{unit.whos}: crash", partial(self._crashed, fewer, index)
            if state.faults and "freeze" in world.kinds and len(state.units) == 1:
                yield f"{unit.whos}: frozen", partial(self._frozen, fewer, index)
        for one in state.late:
            new = state._replace(late=state.late - {one})
            yield f"{one[0][0]}: {one[1].name} arrives late", partial(self._done, new, *one, late=True)
        if state.arrived < len(world.deliveries):
            who = self._next_who(state, world.deliveries[state.arrived])
            yield f"{who} arrives", partial(self._arrived, state._replace(arrived=state.arrived + 1), who)
        yield from self._by_senders_and_time(state)
        yield from self._by_people(state)
        yield from self._outage(state)

    def _faults(self, state: State, index: int, op: Op, question: Question) -> Iterator[Move]:
        """Ways in which this one question fails."""
        lost = NoAnswer(sent=True, reason=Reason.CONNECTION_LOST)
        undone: dict[str, Any] = {"fails": LedgerError("ConnectionError")}
        done: dict[str, Any] = {"is done, and the answer lost": LedgerError("ConnectionError")}
        if question.of == "OMS":
            not_sent = NoAnswer(sent=False, reason=Reason.NO_CONNECTION)
            undone = {"503": Answer(503, b"{}"), "is not sent": not_sent, "is lost": lost}
            done = {"is done, and the answer lost": lost, "is done, and 504": Answer(504, b"")}
        for what, answer in undone.items():
            yield f"{op[0]}: {question.name} {what}", partial(self._fed, state, index, ("answer", op, answer))
        for what, answer in done.items() if question.name in WRITES else ():
            label = f"{op[0]}: {question.name} {what}"
            yield label, partial(self._answered, state, index, op, question, instead=answer)

    def _by_senders_and_time(self, state: State) -> Iterator[Move]:
        world, fewer = self.world, state._replace(faults=state.faults - 1)
        if state.status == 2 and state.fails:
            yield "(fail)", partial(state._replace, status=4, fails=state.fails - 1)
        for name in sorted(set(world.deliveries[: state.arrived])) if state.redeliveries else ():
            if self._wants_redelivery(state, name):
                again, who = state._replace(redeliveries=state.redeliveries - 1), self._next_who(state, name)
                yield f"{who} arrives", partial(self._arrived, again, who)
        if state.arrived and not state.units and state.passes < len(world.passes):
            seconds = world.passes[state.passes]
            new = partial(state._replace, clock=state.clock + seconds, passes=state.passes + 1)
            yield f"({seconds} s pass)", new
        timers = [timer for unit in state.units if (timer := self._face(unit).timer) is not None]
        if state.faults and "slow" in world.kinds and min(timers, default=0.0) > SLOW_S:
            yield f"({SLOW_S} s pass)", partial(self._passed, fewer, SLOW_S, SLOW_S)
        if state.faults and "jump" in world.kinds:
            yield "(the wall clock jumps)", partial(self._passed, fewer, 0.0, JUMP_S)

    def _by_people(self, state: State) -> Iterator[Move]:
        """What people do to the task, to the settings and to OMS's keys, in the order of the world."""
        new = partial(state._replace, outside=state.outside + 1)
        match (*self.world.outside, "")[state.outside]:
            case "start" if state.status in (3, 4):
                yield "(a person starts it)", partial(new, status=2, started_at=state.clock)
            case "pause" if state.status == 2:
                yield "(a person pauses it)", partial(new, status=3)
            case "rotate":
                yield "(the settings get a new key)", partial(self._all_fed, new(key=1), ("settings", 1))
            case "revoke":
                yield "(OMS refuses the old key)", partial(new, revoked=1)

    def _outage(self, state: State) -> Iterator[Move]:
        """The ledger or OMS ceases to answer, time passes meanwhile, and it answers again."""
        faces = [self._face(unit) for unit in state.units]
        timers = [face.timer for face in faces if face.timer is not None]
        if state.silent:
            yield f"{state.silent} answers again", partial(state._replace, silent="")
            if timers:
                yield f"({min(timers)} s pass)", partial(self._passed, state, min(timers), min(timers))
            return
        asked = {question.of for face in faces for _, question in face.pending} if state.faults else set()
        for which in sorted(asked):
            if f"silent {which}" in self.world.kinds:
                yield f"{which} is silent", partial(state._replace, silent=which, faults=state.faults - 1)

    # What follows from it

    def _face(self, unit: Unit) -> Face:
        return self.instances.face(unit.history)

    def _arrived(self, state: State, who: str) -> State:
        if self.world.together and state.units:
            unit = state.units[0]
            units = (unit._replace(whos=(*unit.whos, who)), *state.units[1:])
            return self._fed(state._replace(units=units), 0, ("arrive", who))
        begun = self.instances.begin(state.clock + state.skew)
        unit = Unit((who,), self.instances.after(begun, ("settings", 1)) if state.key else begun)
        new = state._replace(units=(*state.units, unit))
        return self._fed(new, len(state.units), ("arrive", who))

    def _answered(self, state: State, index: int, op: Op, question: Question, *, instead: Any = None) -> State:
        """The state after a question was answered, or after its answer was lost and another came `instead`."""
        new, answer = self._executed(state, op, question)
        return self._fed(self._checked(new), index, ("answer", op, answer if instead is None else instead))

    def _done(self, state: State, op: Op, question: Question, *, late: bool) -> State:
        return self._checked(self._executed(state, op, question, late=late)[0])

    def _fed(self, state: State, index: int, event: Event) -> State:
        """The state after something happened to an instance: questions are given up, deliveries end."""
        unit = state.units[index]
        before = self._face(unit)
        unit = unit._replace(history=self.instances.after(unit.history, event))
        face = self._face(unit)
        if face.longest > DEADLINE_S + 0.01:
            self._break("DEADLINE", f"{unit.whos} took {face.longest} s")
        if len(face.starts) > len(set(face.starts)):
            self._break("CALLS", f"two starts by one delivery of {face.starts}")
        given_up = face.given_up[len(before.given_up) :]
        sent = [(op, self._clock(state)) for op, question in face.pending if question.name in STARTS]
        known = {op for op, _ in state.sent}
        state = state._replace(
            late=state.late | {one for one in given_up if one[1].name in WRITES},
            sent=(*state.sent, *(one for one in sent if one[0] not in known)),
        )
        ended = face.ended[len(before.ended) :]
        for who, end in ended:
            end = end._replace(at=self._clock(state))  # noqa: PLW2901  # the ledger's time, which the instance does not know
            state = state._replace(fates=(*state.fates, (who, end)))
            self._judge(state, who, end, face)
        over = len(face.ended) == len(unit.whos)
        units = (*state.units[:index], *(() if over else (unit,)), *state.units[index + 1 :])
        return state._replace(units=units)

    def _all_fed(self, state: State, event: Event) -> State:
        for unit in state.units:
            state = self._fed(state, state.units.index(unit), event)
        return state

    def _crashed(self, state: State, index: int) -> State:
        face, units = self._face(state.units[index]), (*state.units[:index], *state.units[index + 1 :])
        done = {who for who, _ in face.ended}
        died = [(who, None) for who in state.units[index].whos if who not in done]
        late = {(op, question) for op, question in face.pending if question.name in WRITES}
        return state._replace(units=units, fates=(*state.fates, *died), late=state.late | late)

    def _passed(self, state: State, seconds: float, wall: float) -> State:
        """Time passes: on all clocks, or the wall clocks alone jump."""
        state = state._replace(clock=state.clock + seconds, skew=state.skew + wall - seconds)
        return self._all_fed(state, ("pass", seconds, wall))

    def _frozen(self, state: State, index: int) -> State:
        """Time passes, and the monotonic clock of the instance stands; what others do meanwhile comes after."""
        return self._fed(state._replace(clock=state.clock + FREEZE_S), index, ("pass", 0.0, FREEZE_S))

    def _executed(self, state: State, op: Op, question: Question, *, late: bool = False) -> tuple[State, Any]:
        """The state and the answer after the ledger or OMS has done what it was asked."""
        if question.of == "OMS":
            return self._by_oms(state, op, question, late=late)
        clock = self._clock(state)
        ledger = MemoryLedger(lambda: clock)
        parts: tuple[Any, ...] = ledger._events, ledger._restarts, ledger._marks  # noqa: SLF001  # a snapshot
        for part, kept in zip(parts, state.ledger, strict=True):
            part.update(kept)
        TOKEN[0] = f"{op[0]}#{op[1]}"
        answer = _at_once(getattr(ledger, question.name)(*question.arguments))
        events, restarts, marks = [frozenset(part.items()) for part in parts]
        return state._replace(ledger=(events, restarts, marks)), answer

    def _clock(self, state: State) -> float:
        """The ledger's."""
        return state.clock + (state.skew if self.world.memory else 0.0)

    def _by_oms(self, state: State, op: Op, question: Question, *, late: bool) -> tuple[State, Answer]:
        path, key = question.arguments
        started_ms = int(1000 * state.started_at)
        if key < state.revoked:
            return state, Answer(401, b'{"error_code": "APIGW.0301"}')
        match question.name:
            case "ShowTask":
                return state, _ok(self._task(state, path.rpartition("/")[2]))
            case "ShowTaskGroup":
                failure = {"error_code": "TRF.0061"} if state.status == 4 else None
                return state, _ok({"status": GROUP_STATUS[state.status], "error_reason": failure})
            case "ListTasks":
                rows = [shown(start_time=started_ms)] if state.status == 4 else []
                return state, _ok({"tasks": rows, "count": len(rows)})
        if state.status not in ((4,) if self.world.grouped else (3, 4)):
            code = "OMS.1036" if self.world.grouped else "OMS.0070" if state.status == 5 else "OMS.0065"
            return state, Answer(400, json.dumps({"error_code": code}).encode())
        sent = dict(state.sent)[op]
        accepted = Accepted(op[0], sent, late or self._clock(state) - sent > DEADLINE_S)
        new = state._replace(status=2, started_at=state.clock, starts=(*state.starts, accepted))
        return self._accepted(new), _ok({})

    def _task(self, state: State, task_id: str) -> dict[str, Any]:
        group = {"group_type": "GROUP_TASK", "group_id": GROUP} if self.world.grouped else {}
        failure = {"error_code": self.world.cause} if state.status == 4 else None
        return shown(state.status, id=task_id, start_time=int(1000 * state.started_at), error_reason=failure, **group)

    # The promises

    def _break(self, promise: str, detail: str) -> None:
        """A promise does not hold; the first way there is kept."""
        if promise in self.broken:
            return
        state, label = self._at
        steps, came = [label, *self._drained], self.came_from[state]
        while came is not None:
            steps.insert(0, came[1])
            came = self.came_from[came[0]]
        self.broken[promise] = detail, steps

    def _checked(self, state: State) -> State:
        """The state; what must hold at any moment is looked at."""
        counted = [one for one in state.starts if _event(one.who) not in REQUESTS]
        if sum(len(entries) for _, entries in state.ledger[1]) < len(counted):
            self._break("COUNTED", f"{len(counted)} starts, of which the ledger has fewer")
        return state

    def _accepted(self, state: State) -> State:
        """The state; the newest start is looked at."""
        *earlier, new = state.starts
        if any(self._is_once(state, one, new) for one in earlier if _event(one.who) == _event(new.who)):
            self._break("ONCE", f"{new.who} starts the task, which its event started before")
        if _event(new.who) in REQUESTS:
            return state
        counted = [one for one in earlier if _event(one.who) not in REQUESTS]
        if len(counted) >= self.settings.restart_budget.count:
            self._break("BUDGET", f"{len(counted) + 1} starts")
        others = [one.at for one in counted if _event(one.who) != _event(new.who)]
        pause = min(self.settings.restart_backoff * 2 ** max(len(others) - 1, 0), 3600) - DEADLINE_S
        if others and not new.late and new.at - others[-1] < pause:
            self._break("BACKOFF", f"{new.who} starts the task {new.at - others[-1]} s after another event")
        return state

    def _is_once(self, state: State, one: Accepted, new: Accepted) -> bool:
        """Whether a second start of the event is against the promise.

        README excepts one whose first delivery ended without an answer or with 503, and one that was sent long before.
        A notice has no such exception, for OMS says when the task was started last. A request without an id is none.
        """
        if _event(new.who) == "r" or one.late or new.late:
            return False
        if _event(new.who) == "n":
            return True
        running = not any(who == one.who for who, _ in state.fates)
        fate = dict(state.fates).get(one.who)
        if not running and (fate is None or fate.status >= 500):
            return False
        return (fate.at if fate else self._clock(state)) - one.at < CLAIM_S  # else it was frozen, and its claim expired

    def _judge(self, state: State, who: str, end: Ended, face: Face) -> None:
        """Look at what a delivery was answered, and at what it leaves."""
        outcomes = [outcome for outcome, _, _ in end.receipts]
        reasons = [reason for _, reason, _ in end.receipts]
        name, events = _event(who), dict(state.ledger[0])
        is_tick = who[0] in "tu"
        if not outcomes or (not is_tick and len(outcomes) != (3 if who[0] == "b" else 1)):
            self._break("RECEIPT", f"{who} has {len(outcomes)}")
        acknowledged = end.status < 300
        if acknowledged and (set(outcomes) - ACKNOWLEDGED or "in_progress" in reasons):
            self._break("ACKNOWLEDGED", f"{who} was answered {end.status} with {end.receipts}")
        # OMS refused to retry a group that ran, and it had failed again when the function looked.
        ran = self.world.grouped and reasons == ["refused_by_oms"]
        if 400 <= end.status < 500 and name not in REQUESTS and not ran:
            self._break("ACKNOWLEDGED", f"{who} was answered {end.status} with {end.receipts}")
        # Where the answer to a start was lost, and the task runs, somebody else may have started it.
        if "started" in outcomes and not state.starts and "start" not in self.world.outside:
            self._break("ACKNOWLEDGED", f"{who} says started, and was not")
        for claimer, key in face.events:
            settled = key.id in events and events[key.id].settled_for
            if claimer == who and not is_tick and acknowledged and set(outcomes) & SETTLED and not settled:
                self._break("SETTLED", f"{who} was answered {end.status}, and the event is not settled")
        entries = [entry for _, entries in state.ledger[1] for entry in entries]
        if "budget_exhausted" in reasons and outcomes[reasons.index("budget_exhausted")] == "refused":
            open_ = [one for one in entries if self._may_be_taken_back(state, one)]
            if len(entries) - len(open_) < self.settings.restart_budget.count:
                self._break("PHANTOM", f"{who} was refused by {len(open_)} restarts that may yet be taken back")
        own = [entry for entry in entries if entry.attempt.partition("#")[0] == who]
        if own and not {"started", "unconfirmed"} & set(outcomes) and (who, "unreserve") not in face.failed:
            self._break("LEAK", f"{who} ended {outcomes}, and its reservation stays")

    def _may_be_taken_back(self, state: State, entry: Any) -> bool:
        who = entry.attempt.partition("#")[0]
        running = any(who in unit.whos for unit in state.units) and who not in dict(state.fates)
        accepted = any(one.who == who for one in state.starts)
        return running and not accepted and entry.under_way and self._clock(state) - entry.at < CLAIM_S

    # The end

    def _wants_redelivery(self, state: State, name: str) -> bool:
        """Whether the last delivery of an event ended without an acknowledgement, and none is under way."""
        if any(_event(who) == name or who.rstrip("'") == name for unit in state.units for who in unit.whos):
            return False
        fates = [fate for who, fate in state.fates if who.rstrip("'") == name]
        return bool(fates) and not any(fate is not None and fate.status < 500 for fate in fates)

    def _next_who(self, state: State, name: str) -> str:
        whos = {who for who, _ in state.fates} | {who for unit in state.units for who in unit.whos}
        return name + "'" * sum(who.rstrip("'") == name for who in whos)

    def _drain(self, state: State) -> None:
        """From here a patient sender and a world without faults bring each event to its end."""
        state = state._replace(silent="", late=frozenset(), faults=0)
        self._drained = []
        for name in sorted(set(self.world.deliveries)):
            waited = False
            for _ in range(6):
                if not self._wants_redelivery(state, name):
                    break
                last = [fate for who, fate in state.fates if who.rstrip("'") == name][-1]
                seconds = last.retry_after if last else 0.0
                who = self._next_who(state, name)
                state = self._calm(self._arrived(state._replace(clock=state.clock + seconds), who))
                last = state.fates[-1][1]
                self._drained.append(f"({seconds} s pass) {who} ends {last}")
                again = last is not None and "in_progress" in [reason for _, reason, _ in last.receipts]
                if again and waited:
                    self._break("PATIENCE", f"{who} came when it was told to, and waits again")
                waited = again
            else:
                self._break("STUCK", f"{name} does not end")
        told = [one for _, end in state.fates if end for one in end.receipts if one[1] == "budget_exhausted"]
        if told and not any(severity == "ERROR" for _, _, severity in told):
            self._break("ALERT", "the budget is used up, and nobody was told")
        self._drained = []

    def _calm(self, state: State) -> State:
        """The state when all that is under way has ended without a fault."""
        while state.units:
            state = self._answered(state, 0, *self._face(state.units[0]).pending[0])
        return state


TOKEN = [""]


def _event(who: str) -> str:
    """Which event it is; in the batch `e` comes first."""
    name = who.rstrip("'")
    return "e" if name == "b" else name


def _ok(document: Any) -> Answer:
    return Answer(200, json.dumps(document).encode())


def _at_once(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    raise AssertionError


def _only(*kinds: str) -> frozenset[str]:
    return frozenset(kinds)


ONE = (("restart_budget", "1/24h"),)
NO_PAUSE = (("restart_backoff", 0),)
NEW_KEY = World(
    *("two requests, a new key, slow", "kr", 2, _only("slow", "silent OMS")),
    together=True,
    cold=True,
    settings=(("oms_timeout", 4.5),),
)
ONE_KEY = World("two tasks with one key, budget of one", "em", fails=1, settings=(*ONE, *NO_PAUSE), cause="TRF.0151")
QUICK = (
    ONE_KEY,
    World("an event", "e", faults=1, fails=1, redeliveries=1),
    World("an event twice", "ee", fails=1),
    World("two events", "ef", fails=1),
    World("two events, budget of one", "ef", fails=1, settings=ONE),
    World("two events of two members of a group", "em", fails=1, grouped=True),
    World("an event and a request", "er", fails=1),
    World("an event and a request with a key", "ek", fails=1),
    World("a tick beside an event", "te"),
    World("a tick twice", "tt", fails=1),
    World("a batch beside an event", "be", fails=1),
    World("an event twice, frozen", "ee", faults=1, kinds=_only("freeze"), fails=1),
    World("an event twice, a clock jumps", "ee", faults=1, kinds=_only("jump"), fails=1),
    World("an event twice, memory's clock jumps", "ee", faults=1, kinds=_only("jump"), fails=1, memory=True),
    World("two events, a person starts and pauses", "ef", outside=("start", "pause"), fails=1),
    World("an event, the key is rotated", "e", outside=("rotate", "revoke"), redeliveries=1),
)
SLOW = (
    World("two events in one instance", "ef", together=True),
    World("an event twice, 1 fault", "ee", faults=1, fails=1, redeliveries=1),
    World("two events, 1 fault", "ef", faults=1, fails=1, redeliveries=1),
    World("two events, budget of one, 1 fault", "ef", faults=1, fails=1, redeliveries=1, settings=ONE),
    World("two events, 1 fault, time passes", "ef", faults=1, fails=1, passes=(61.0,)),
    ONE_KEY._replace(name=f"{ONE_KEY.name}, 1 fault", faults=1, redeliveries=1),
    World("two members of a group, 1 fault", "em", faults=1, fails=1, redeliveries=1, grouped=True),
    World("an event and a request, 1 fault", "er", faults=1, fails=1, redeliveries=1),
    World("an event and a request with a key, 1 fault", "ek", faults=1, fails=1, redeliveries=1),
    World("a tick beside an event, 1 fault", "te", faults=1, fails=1, redeliveries=1),
    World("a tick twice, 1 fault", "tt", faults=1, fails=1, redeliveries=1),
    World("two ticks, 1 fault", "tu", faults=1, fails=1),
    World("a batch beside an event, 1 fault", "be", faults=1, fails=1),
    World("a notice, 2 faults", "n", faults=2, fails=2, redeliveries=2),
    World("an event, budget of one, 2 faults", "e", faults=2, fails=2, redeliveries=2, settings=ONE),
    World("three events, no pause", "efg", fails=1, settings=NO_PAUSE),
    World("an event three times", "eee", fails=2),
    World("two events and a request", "efr", fails=1),
    World("two events, a new key", "ef", together=True, cold=True, fails=1),
    World("two events, a new key, no response", "ef", together=True, cold=True, faults=1, kinds=_only("silent OMS")),
    NEW_KEY,
    World("two events, the key is rotated", "ef", together=True, outside=("rotate", "revoke"), redeliveries=1),
)


def prove(world: World, seconds: float) -> tuple[str, str]:
    """A line of the table, and the steps to what is broken."""
    explorer, began = Explorer(world), time.monotonic()
    whole = explorer.explore(seconds=seconds)
    took = time.monotonic() - began
    seen = f"{len(explorer.came_from):,} | {explorer.paths():,} | {'all' if whole else 'part'}"
    broken = ", ".join(sorted(explorer.broken)) or "none"
    steps = [f"{name}: {detail}\n    " + " · ".join(path) for name, (detail, path) in explorer.broken.items()]
    return f"| {world.name} | {seen} | {took:.0f} | {broken} |", "\n".join(steps)


def main() -> int:
    """Explore all worlds and print them as a table; 1 where a promise is broken."""
    parser = argparse.ArgumentParser(description="Every order of the steps of deliveries, with faults.")
    parser.add_argument("--seconds", type=float, default=120.0, help="for each world; what is left then is not seen")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes")
    chosen = parser.parse_args()
    worlds = [*SLOW, *QUICK]
    all_steps = []
    print("| world | states | paths | searched | s | broken |\n|---|--:|--:|---|--:|---|")  # noqa: T201  # it is a table
    with ProcessPoolExecutor(chosen.workers) as pool:
        for line, steps in pool.map(prove, worlds, [chosen.seconds] * len(worlds)):
            print(line, flush=True)  # noqa: T201  # the same
            all_steps += [steps] if steps else []
    print("\n".join(all_steps))  # noqa: T201  # the same
    return 1 if all_steps else 0


if __name__ == "__main__":
    sys.exit(main())
