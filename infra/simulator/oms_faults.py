"""Rules that make the simulator misbehave: which call, how often, and what then. No I/O here."""

import gzip
import hashlib
from dataclasses import dataclass
from typing import Any

import oms_shapes as shapes
from oms_fields import MAX_ID
from oms_messages import JSON, Answer, encode

OPERATIONS = ("start", "show", "list", "any")
HTML = {"content-type": "text/html"}
PAGE = "<html><body><h1>{}</h1></body></html>"

# Answers with a name, to be written as {"answer": "throttled"}.
NAMED: dict[str, dict[str, Any]] = {
    "throttled": {
        "status": 429,
        "body": {
            "error_msg": "policy user over ratelimit,limit:200,time:5 minute",
            "error_code": "APIGW.0308",
            "request_id": "0bb39b0d5d0f4d3d9f9a5d2b1a7c6e5f",
        },
    },
    "unavailable": {"status": 503, "body": {"error_code": "OMS.2004", "error_msg": "Service unavailable."}},
    "broken": {"status": 500, "body": {"error_code": "OMS.1001", "error_msg": "Internal server error."}},
    "bad_gateway": {"status": 502, "body": PAGE.format("502 Bad Gateway"), "headers": HTML},
    "redirect": {"status": 302, "headers": {"location": "http://127.0.0.1:9/elsewhere"}},
    "html": {"status": 200, "body": PAGE.format("Please log in"), "headers": HTML},
    "huge": {"status": 200, "size": 20_000_000},
    "gzip": {"status": 400, "body": {"error_code": "OMS.0065", "error_msg": "Started."}, "gzip": True},
}


@dataclass(frozen=True, slots=True)
class Delay:
    """Wait, then go on with whatever comes next."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Say:
    """Answer this; `commit` does the work first, as when only the answer is lost on its way."""

    answer: Answer
    commit: bool
    name = "answer"


@dataclass(frozen=True, slots=True)
class Reset:
    """Close without an answer; `commit` does the work first, `hard` sends a TCP reset instead of an end."""

    commit: bool
    hard: bool

    @property
    def name(self) -> str:
        return "reset_after" if self.commit else "reset_before"


@dataclass(frozen=True, slots=True)
class Hang:
    """Never answer; `commit` does the work first."""

    commit: bool
    name = "hang"


Ending = Say | Reset | Hang
Action = Delay | Ending


@dataclass(frozen=True, slots=True)
class Rule:
    """Which calls (None matches every task), how often (None is always), how likely, and what then."""

    action: Action
    operation: str = "any"
    task_id: int | None = None
    count: int | None = None
    probability: float = 1.0
    seed: int = 0


def read_rules(value: object) -> list[Rule]:
    """The rules of a control document."""
    return [_read_rule(item, f"rules[{n}]") for n, item in enumerate(shapes.items(value, "rules"))]


def _read_rule(value: object, where: str) -> Rule:
    given = shapes.members(value, where, Rule.__slots__)
    task_id, count = given.get("task_id"), given.get("count")
    return Rule(
        action=_read_action(given.get("action"), f"{where}.action"),
        operation=shapes.one_of(given.get("operation", "any"), f"{where}.operation", OPERATIONS),
        task_id=None if task_id is None else shapes.whole(task_id, f"{where}.task_id", 0, MAX_ID),
        count=None if count is None else shapes.whole(count, f"{where}.count", 0, 2**31),
        probability=shapes.number(given.get("probability", 1), f"{where}.probability", 1),
        seed=shapes.whole(given.get("seed", 0), f"{where}.seed", 0, 2**63 - 1),
    )


def _read_action(value: object, where: str) -> Action:
    given = shapes.members(value, where, ("delay", "answer", "reset_before", "reset_after", "hang"))
    if len(given) != 1:
        raise shapes.Unusable(where, "must hold exactly one action")
    (kind, what), *_ = given.items()
    where = f"{where}.{kind}"
    match kind:
        case "delay":
            return Delay(shapes.number(what, where, 3600))
        case "answer":
            return _read_say(what, where)
        case "hang":
            return Hang(shapes.one_of(what, where, ("before", "after")) == "after")
    return Reset(kind == "reset_after", shapes.one_of(what, where, ("fin", "rst")) == "rst")


def _read_say(value: object, where: str) -> Say:
    """A name, or status, headers and a body: a string as it is, anything else as JSON."""
    if isinstance(value, str):
        value = NAMED[shapes.one_of(value, where, NAMED)]
    given = shapes.members(value, where, ("status", "body", "headers", "size", "gzip", "commit"))
    status = shapes.whole(given.get("status", 200), f"{where}.status", 200, 599)
    headers = shapes.text_map(given.get("headers", {}), f"{where}.headers")
    headers = {name.lower(): text for name, text in headers.items()}
    body, code = _read_content(given, where), None
    if isinstance(given.get("body"), dict):
        headers, code = dict([JSON]) | headers, given["body"].get("error_code")
    if shapes.flag(given.get("gzip", False), f"{where}.gzip"):
        body, headers = gzip.compress(body), headers | {"content-encoding": "gzip"}
    commit = shapes.flag(given.get("commit", False), f"{where}.commit")
    return Say(Answer(status, body, tuple(headers.items()), code), commit)


def _read_content(given: dict[str, Any], where: str) -> bytes:
    if "size" in given:
        return b"x" * shapes.whole(given["size"], f"{where}.size", 0, 10**9)
    body = given.get("body", "")
    return body.encode() if isinstance(body, str) else encode(body)


class Rules:
    """The rules in order, with what each has left to do."""

    def __init__(self, rules: list[Rule]) -> None:
        self._rules = rules
        self._fired = [0] * len(rules)
        self._thrown = [0] * len(rules)

    def fire(self, operation: str, task_id: int | None) -> tuple[float, Ending | None]:
        """Seconds to wait and what to do then. Delays add up; the first other action that fires decides."""
        seconds = 0.0
        for n, rule in enumerate(self._rules):
            if not self._fires(n, operation, task_id):
                continue
            self._fired[n] += 1
            if not isinstance(rule.action, Delay):
                return seconds, rule.action
            seconds += rule.action.seconds
        return seconds, None

    def _fires(self, n: int, operation: str, task_id: int | None) -> bool:
        rule = self._rules[n]
        return (
            rule.operation in ("any", operation)
            and rule.task_id in (None, task_id)
            and (rule.count is None or self._fired[n] < rule.count)
            and (rule.probability >= 1 or self._throw(n) < rule.probability)
        )

    def _throw(self, n: int) -> float:
        """A number from 0 to 1, the same series for the same seed on every machine."""
        self._thrown[n] += 1
        digest = hashlib.sha256(f"{self._rules[n].seed}:{self._thrown[n]}".encode()).digest()
        return int.from_bytes(digest[:8]) / 2**64
