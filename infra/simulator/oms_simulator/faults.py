"""Rules that make the simulator misbehave: which call, how often, and what then. No I/O here."""

import hashlib
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from oms_simulator.documents import Document
from oms_simulator.fault_actions import Action, Ending
from oms_simulator.task_fields import TaskId

Operation = Literal["start", "show", "list", "any"]
Times = Annotated[int, Field(ge=0, le=2**31)]


class Rule(Document):
    """Which calls (None matches every task), how often (None is always), how likely, and what then."""

    action: Action
    operation: Operation = "any"
    task_id: TaskId | None = None
    count: Times | None = None
    probability: Annotated[float, Field(ge=0, le=1)] = 1.0
    seed: Annotated[int, Field(ge=0, le=2**63 - 1)] = 0


@dataclass(slots=True)
class Counted:
    """A rule, what it does, how often it was applied and how often its chance was asked for."""

    rule: Rule
    ending: Ending | None
    applied: int = 0
    drawn: int = 0


class Rules:
    """The rules in order, with what each has left to do."""

    def __init__(self, rules: list[Rule]) -> None:
        self._rules = [Counted(rule, rule.action.ending()) for rule in rules]

    def apply(self, operation: str, task_id: int | None) -> tuple[float, Ending | None]:
        """Seconds to wait and what to do then. Delays add up; the first other action that applies decides."""
        seconds = 0.0
        for counted in self._rules:
            if not _applies(counted, operation, task_id):
                continue
            counted.applied += 1
            if counted.ending is not None:
                return seconds, counted.ending
            seconds += counted.rule.action.delay or 0.0
        return seconds, None


def _applies(counted: Counted, operation: str, task_id: int | None) -> bool:
    rule = counted.rule
    return (
        rule.operation in ("any", operation)
        and rule.task_id in (None, task_id)
        and (rule.count is None or counted.applied < rule.count)
        and (rule.probability >= 1 or _draw(counted) < rule.probability)
    )


def _draw(counted: Counted) -> float:
    """A number from 0 to 1, the same series for the same seed on every machine."""
    counted.drawn += 1
    digest = hashlib.sha256(f"{counted.rule.seed}:{counted.drawn}".encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64
