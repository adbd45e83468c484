"""Every order in which the steps of coroutines can fall, tried one by one on objects in memory.

The coroutines are the real ones: what they ask of their store is a step, and the explorer chooses who makes the next.
A coroutine's state follows from the answers it has had, so two orders that lead to the same objects and the same
answers are one state, and each state is looked at once.
"""

import types
from collections.abc import Callable, Coroutine, Generator, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from restarter.ledger import LedgerError
from restarter.ledger.splitter import Read

LOST = "its answer is lost"
Put = tuple[str, str]
"""Name and value."""


@types.coroutine
def step(*question: str) -> Generator[tuple[str, ...], Any, Any]:
    """Leave the next step to the explorer."""
    return (yield question)


class Steps:
    """A store each of whose operations is a step."""

    async def put(self, name: str, value: str, days: int) -> float:
        return float(await step("put", name, value))

    async def create(self, name: str, value: str) -> float | None:
        written_at = await step("create", name, value)
        return None if written_at is None else float(written_at)

    async def get(self, name: str) -> Read:
        return Read(*await step("get", name))

    async def close(self) -> None:
        """There is nothing to close."""


class State(NamedTuple):
    """Objects with value and time, writes that may still land, the clock, and what each coroutine was answered."""

    objects: frozenset[tuple[str, tuple[str, float]]]
    late: frozenset[Put]
    writing: tuple[Put | None, ...]
    clock: float
    jumps: int
    lost: int
    answers: tuple[tuple[Any, ...], ...]


@dataclass
class Explorer:
    """Explores coroutines that are made anew for each order.

    Attributes:
        make: Make the coroutine of a number; it must ask the same after the same answers.
        number: How many there are.
        losing: How many answers to writes may be lost; what was written lands now, later or never.
        overlapping: A write takes two steps, and a read in between may give the old value, the new one, or a part.
        jump_s: How far the clock may jump once, at any moment; 0: it stands.
    """

    make: Callable[[int], Coroutine[Any, Any, Any]]
    number: int
    losing: int = 0
    overlapping: bool = False
    jump_s: float = 0.0
    seen: set[State] = field(default_factory=set)
    _known: dict[tuple[int, tuple[Any, ...]], tuple[str, Any]] = field(default_factory=dict)

    def states(self) -> Iterator[State]:
        """Every state that can be reached."""
        nothing: tuple[Any, ...] = ((),) * self.number
        todo = [
            State(frozenset(), frozenset(), (None,) * self.number, 1000.0, int(self.jump_s > 0), self.losing, nothing)
        ]
        self.seen.update(todo)
        while todo:
            state = todo.pop()
            yield state
            new = set(self._next(state)) - self.seen
            self.seen |= new
            todo.extend(new)

    def at(self, state: State, who: int) -> tuple[str, Any]:
        """What a coroutine asks next (`asks`, the question), or how it ended (`ended`, result; `failed`, error)."""
        key = (who, state.answers[who])
        if key not in self._known:
            self._known[key] = self._replay(*key)
        return self._known[key]

    def results(self, state: State) -> list[Any]:
        """What those have given that have ended."""
        ends = [self.at(state, who) for who in range(self.number)]
        return [result for kind, result in ends if kind == "ended"]

    def _replay(self, who: int, answers: tuple[Any, ...]) -> tuple[str, Any]:
        coroutine = self.make(who)
        try:
            question = coroutine.send(None)
            for answer in answers:
                question = coroutine.throw(LedgerError(LOST)) if answer == LOST else coroutine.send(answer)
        except StopIteration as end:
            return "ended", end.value
        except LedgerError as error:
            return "failed", str(error)
        coroutine.close()
        return "asks", question

    def _next(self, state: State) -> Iterator[State]:
        if state.jumps:
            yield state._replace(clock=state.clock + self.jump_s, jumps=0)
        for put in state.late:
            yield self._written(state, put)._replace(late=state.late - {put})
        for who in range(self.number):
            kind, question = self.at(state, who)
            if kind == "asks":
                yield from self._made(state, who, question)

    def _made(self, state: State, who: int, question: tuple[str, ...]) -> Iterator[State]:
        match question:
            case ("get", name):
                objects = dict(state.objects)
                value, modified = objects.get(name, (None, 0.0))
                yield self._answered(state, who, (value, modified, state.clock))
                for put in {each for each in state.writing if each and each[0] == name}:
                    for seen in (put[1], "a part"):
                        yield self._answered(state, who, (seen, state.clock, state.clock))
            case ("create", name, _) if name in dict(state.objects):
                yield self._answered(state, who, None)
            case ("create", name, value):
                done = self._written(state, (name, value))
                yield self._answered(done, who, state.clock)
                if state.lost:
                    yield self._answered(done, who, LOST)._replace(lost=state.lost - 1)
            case ("put", name, value):
                put = (name, value)
                if self.overlapping and state.writing[who] is None:
                    yield self._writing(state, who, put)
                    return
                done = self._writing(self._written(state, put), who, None)
                yield self._answered(done, who, state.clock)
                if state.lost:
                    fewer = self._writing(state, who, None)._replace(lost=state.lost - 1)
                    failed = self._answered(fewer, who, LOST)
                    yield failed
                    yield self._written(failed, put)
                    yield failed._replace(late=state.late | {put})
            case _:
                yield self._answered(state, who, "")

    @staticmethod
    def _written(state: State, put: Put) -> State:
        return state._replace(objects=frozenset({**dict(state.objects), put[0]: (put[1], state.clock)}.items()))

    @staticmethod
    def _writing(state: State, who: int, put: Put | None) -> State:
        writing = list(state.writing)
        writing[who] = put
        return state._replace(writing=tuple(writing))

    @staticmethod
    def _answered(state: State, who: int, answer: Any) -> State:
        answers = list(state.answers)
        answers[who] += (answer,)
        return state._replace(answers=tuple(answers))
