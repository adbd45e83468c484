"""What the rules look at, and what they may say. No I/O here."""

import math
from collections.abc import Callable, Iterable
from typing import Generic, NamedTuple, ParamSpec, TypeVar

from restarter.decide.policy import Policy
from restarter.model.outcome import Kind, Outcome, Reason
from restarter.model.request import Event, Intent
from restarter.model.task import Restart, Task, TaskGroup

Target_co = TypeVar("Target_co", bound=Task | TaskGroup, covariant=True)


P = ParamSpec("P")
Said = TypeVar("Said")


class AskGroup(NamedTuple):
    """The decision that the task's group decides; it has to be read first."""

    group_id: str
    member: Task | None = None
    """The failed task; None where the request names the group itself."""


class Case(NamedTuple, Generic[Target_co]):
    """One request, what OMS says of its target, and the target's restarts within the window."""

    event: Event
    target: Target_co
    policy: Policy
    restarts: tuple[Restart, ...] = ()
    """The longest ago first."""

    @property
    def by_event(self) -> bool:
        """The sender reports a failure; otherwise somebody requests a start."""
        return self.event.intent is Intent.FAILED


TaskRule = Callable[[Case[Task]], Outcome | AskGroup | None]
"""Says what forbids a start, or nothing. The first line of its docstring is its row in function/README.md."""
GroupRule = Callable[[Case[TaskGroup]], Outcome | None]
"""The same for a retry of a group."""


AnyCase = Case[Task | TaskGroup]
TargetRule = Callable[[AnyCase], Outcome | None]
"""The same for both."""


def first(rules: Iterable[Callable[P, Said | None]], *args: P.args, **kwargs: P.kwargs) -> Said | None:
    """What the first rule says that says anything."""
    for rule in rules:
        if (said := rule(*args, **kwargs)) is not None:
            return said
    return None


def refused(reason: Reason) -> Outcome:
    """Refused, for a reason."""
    return Outcome(kind=Kind.REFUSED, reason=reason)


def deferred(reason: Reason, retry_after: int = 30) -> Outcome:
    """Deferred, for a reason. `retry_after`: seconds after which a redelivery makes sense."""
    return Outcome(kind=Kind.DEFERRED, reason=reason, retry_after=retry_after)


def in_progress(rest_s: float) -> Outcome:
    """The outcome while another delivery has the event or the last of the budget, for so many seconds at the most."""
    return deferred(Reason.IN_PROGRESS, max(math.ceil(rest_s), 1))
