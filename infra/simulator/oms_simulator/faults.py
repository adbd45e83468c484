"""Rules that make the simulator misbehave: which call, how often, and what then. No I/O here."""

import hashlib
import re
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from oms_simulator.documents import Document, Times
from oms_simulator.fault_actions import Action, Ending
from oms_simulator.group_fields import GroupId
from oms_simulator.routes import Operation, Route
from oms_simulator.task_fields import TaskId


class Rule(Document):
    """Which calls, how often (None is always), how likely, and what then.

    A task, a group, a page or an object that is None matches every one;
    the name of an object is a pattern. The first `skip` calls that match pass untouched.
    """

    action: Action
    operation: Literal[Operation, "any"] = "any"
    task_id: TaskId | None = None
    group_id: GroupId | None = None
    page: Annotated[int, Field(ge=1)] | None = None
    object_name: str | None = None
    skip: Times = 0
    count: Times | None = None
    probability: Annotated[float, Field(ge=0, le=1)] = 1.0
    seed: Annotated[int, Field(ge=0, le=2**63 - 1)] = 0


@dataclass(slots=True)
class Counted:
    """A rule, what it does, how often it was passed over, applied, and its chance asked for."""

    rule: Rule
    ending: Ending | None
    skipped: int = 0
    applied: int = 0
    drawn: int = 0


class Rules:
    """The rules in order, with what each has left to do."""

    def __init__(self, rules: list[Rule]) -> None:
        self._rules = [Counted(rule, rule.action.ending()) for rule in rules]

    def apply(self, where: Route) -> tuple[float, Ending | None]:
        """Seconds to wait and what to do then. Delays add up; the first other action that applies decides."""
        seconds = 0.0
        for counted in self._rules:
            if not _matches(counted.rule, where) or not _applies(counted):
                continue
            counted.applied += 1
            if counted.ending is not None:
                return seconds, counted.ending
            seconds += counted.rule.action.delay or 0.0
        return seconds, None


def _matches(rule: Rule, where: Route) -> bool:
    return (
        rule.operation in ("any", where.operation)
        and rule.task_id in (None, where.task_id)
        and rule.group_id in (None, where.group_id)
        and rule.page in (None, where.page)
        and (rule.object_name is None or re.search(rule.object_name, where.object_name) is not None)
    )


def _applies(counted: Counted) -> bool:
    rule = counted.rule
    if counted.skipped < rule.skip:
        counted.skipped += 1
        return False
    often = rule.count is None or counted.applied < rule.count
    return often and (rule.probability >= 1 or _draw(counted) < rule.probability)


def _draw(counted: Counted) -> float:
    """A number from 0 to 1, the same series for the same seed on every machine."""
    counted.drawn += 1
    digest = hashlib.sha256(f"{counted.rule.seed}:{counted.drawn}".encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64
