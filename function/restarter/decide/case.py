"""What the rules are given, and what they return. No I/O here."""

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
    """The result of a rule that leaves the decision to the task's group, which must be read first."""

    group_id: str
    member: Task | None = None
    """The failed task; None if the request names the group itself."""


class Case(NamedTuple, Generic[Target_co]):
    """One request, what OMS says about its target, and the restarts within the window."""

    event: Event
    target: Target_co
    policy: Policy
    restarts: tuple[Restart, ...] = ()
    """Restarts of the target, the oldest first."""
    of_key: tuple[Restart, ...] = ()
    """Restarts that count against the storage key of the request, if the failure is about the key."""
    canary_runs: bool = False
    """The target of the first or newest restart in `of_key` waits or runs and has not moved yet, or cannot be read."""

    @property
    def by_event(self) -> bool:
        """The sender reports a failure; otherwise somebody requests a start."""
        return self.event.intent is Intent.FAILED

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the storage keys that a start sends."""
        return self.policy.fingerprints.get(self.event.request.credentials, "")

    @property
    def about_key(self) -> bool:
        """The failure is about the storage key."""
        return classify_failure(self.target.failure_reason) is FailureClass.CREDENTIALS

    @property
    def relevant(self) -> tuple[Restart, ...]:
        """The target's restarts that show whether another may help: with this key only, if it was refused."""
        return sent_key(self.restarts, self.fingerprint) if self.about_key else self.restarts

    @property
    def counted(self) -> tuple[Restart, ...]:
        """The target's restarts that count in its budget: those after which it has not moved."""
        return since_last_moved(self.relevant, self.target.counters)

    @property
    def failed_objects_only(self) -> bool:
        """Whether a start takes failed objects only: by the request, else the policy; `auto` follows the target."""
        asked, configured = self.event.request.migrate_failed_object, self.policy.migrate_failed_object
        if asked is not None:
            return asked
        return self.target.failed_objects_listed if configured == "auto" else configured == "true"


TaskRule = Callable[[Case[Task]], Outcome | AskGroup | None]
"""Returns what forbids a start, or None. The first line of its docstring is its row in function/README.md."""
GroupRule = Callable[[Case[TaskGroup]], Outcome | None]
"""The same for a retry of a group."""


AnyCase = Case[Task | TaskGroup]
TargetRule = Callable[[AnyCase], Outcome | None]
"""The same for tasks and groups."""


def first(rules: Iterable[Callable[P, Said | None]], *args: P.args, **kwargs: P.kwargs) -> Said | None:
    """The first result that is not None, of rules in their order; None if there is none."""
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
    """The outcome while another delivery has the event or the rest of the budget, for at most `rest_s` seconds."""
    return deferred(Reason.IN_PROGRESS, max(math.ceil(rest_s), 1))
