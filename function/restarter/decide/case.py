"""What the rules look at, and what they may say. No I/O here."""

import math
from collections.abc import Callable, Iterable
from typing import Generic, NamedTuple, ParamSpec, TypeVar

from restarter.decide.failure_reasons import FailureClass, classify_failure
from restarter.decide.policy import Policy
from restarter.decide.progress import sent_key, since_last_moved
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
    """One request, what OMS says of its target, and the restarts within the window."""

    event: Event
    target: Target_co
    policy: Policy
    restarts: tuple[Restart, ...] = ()
    """Those of the target, the longest ago first."""
    of_key: tuple[Restart, ...] = ()
    """Those that count against the storage key of the request, where the failure is about it."""
    canary_runs: bool = False
    """The target of the first or the newest of them waits or runs, and has not moved yet, or cannot be read."""

    @property
    def by_event(self) -> bool:
        """The sender reports a failure; otherwise somebody requests a start."""
        return self.event.intent is Intent.FAILED

    @property
    def fingerprint(self) -> str:
        """Of the storage keys that a start sends."""
        return self.policy.fingerprints.get(self.event.request.credentials, "")

    @property
    def about_key(self) -> bool:
        """The failure is about the storage key."""
        return classify_failure(self.target.failure_reason) is FailureClass.CREDENTIALS

    @property
    def relevant(self) -> tuple[Restart, ...]:
        """The restarts of the target that say something about another one: with this key, if the key was refused."""
        return sent_key(self.restarts, self.fingerprint) if self.about_key else self.restarts

    @property
    def counted(self) -> tuple[Restart, ...]:
        """The restarts of the target that count in its budget: those since which it has not moved."""
        return since_last_moved(self.relevant, self.target.counters)

    @property
    def failed_objects_only(self) -> bool:
        """Whether a start takes failed objects only: as the request says, else the policy, else the target's list."""
        asked, configured = self.event.request.migrate_failed_object, self.policy.migrate_failed_object
        if asked is not None:
            return asked
        return self.target.failed_objects_listed if configured == "auto" else configured == "true"


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
