"""What the simulator can do in place of a true answer, and how a rule asks for it. No I/O here."""

import gzip
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from oms_simulator.documents import Document
from oms_simulator.messages import JSON, OMS_MESSAGES, Answer, encode

HTML = {"content-type": "text/html"}
PAGE = "<html><body><h1>{}</h1></body></html>"
SLOW_DOWN = "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"

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
    "forbidden": {"status": 403, "body": {"error_code": "OMS.0206", "error_msg": OMS_MESSAGES["OMS.0206"]}},
    "unavailable": {"status": 503, "body": {"error_code": "OMS.2004", "error_msg": "Service unavailable."}},
    "broken": {"status": 500, "body": {"error_code": "OMS.1001", "error_msg": "Internal server error."}},
    "bad_gateway": {"status": 502, "body": PAGE.format("502 Bad Gateway"), "headers": HTML},
    "slow_down": {"status": 503, "body": SLOW_DOWN, "headers": {"content-type": "application/xml"}},
    "redirect": {"status": 302, "headers": {"location": "http://127.0.0.1:9/elsewhere"}},
    "html": {"status": 200, "body": PAGE.format("Please log in"), "headers": HTML},
    "huge": {"status": 200, "size": 20_000_000},
    "gzip": {"status": 400, "body": {"error_code": "OMS.0065", "error_msg": "Started."}, "gzip": True},
}


@dataclass(frozen=True, slots=True)
class Say:
    """Answer this; `commit` does the work first, as when only the answer is lost under way."""

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
        """How the list of calls names it."""
        return "reset_after" if self.commit else "reset_before"


@dataclass(frozen=True, slots=True)
class Hang:
    """Never answer; `commit` does the work first."""

    commit: bool
    name = "hang"


@dataclass(frozen=True, slots=True)
class Late:
    """Close without an answer, and do the work so many seconds later."""

    seconds: float
    commit = False
    name = "late"


Ending = Say | Reset | Hang | Late


class GivenAnswer(Document):
    """An answer as a rule writes it: a body that is a string goes out as it is, anything else as JSON."""

    status: Annotated[int, Field(ge=200, le=599)] = 200
    body: Any = ""
    headers: dict[str, str] = Field(default_factory=dict)
    size: Annotated[int, Field(ge=0, le=10**9)] | None = None
    gzip: bool = False
    commit: bool = False

    def build(self) -> Say:
        """The answer with its body and headers."""
        headers = {name.lower(): text for name, text in self.headers.items()}
        body, code = self._content(), None
        if isinstance(self.body, dict):
            headers, code = dict([JSON]) | headers, self.body.get("error_code")
        if self.gzip:
            body, headers = gzip.compress(body), headers | {"content-encoding": "gzip"}
        return Say(Answer(self.status, body, tuple(headers.items()), code), self.commit)

    def _content(self) -> bytes:
        if self.size is not None:
            return b"x" * self.size
        return self.body.encode() if isinstance(self.body, str) else encode(self.body)


def _look_up(value: object) -> object:
    if not isinstance(value, str):
        return value
    if value not in NAMED:
        message = f"must be an answer or one of {', '.join(NAMED)}"
        raise ValueError(message)
    return NAMED[value]


class Action(Document):
    """Exactly one of these. A delay waits and lets the next rule decide; all others end the call."""

    delay: Annotated[float, Field(ge=0, le=3600)] | None = None
    answer: Annotated[GivenAnswer, BeforeValidator(_look_up)] | None = None
    reset_before: Literal["fin", "rst"] | None = None
    reset_after: Literal["fin", "rst"] | None = None
    hang: Literal["before", "after"] | None = None
    late: Annotated[float, Field(ge=0, le=3600)] | None = None

    @model_validator(mode="after")
    def _is_one(self) -> "Action":
        if len(self.model_fields_set) != 1:
            message = f"exactly one of {', '.join(type(self).model_fields)} is needed"
            raise ValueError(message)
        return self

    def ending(self) -> Ending | None:
        """What ends the call, or None where the action is a delay."""
        if self.answer is not None:
            return self.answer.build()
        if self.hang is not None:
            return Hang(self.hang == "after")
        if self.late is not None:
            return Late(self.late)
        how = self.reset_before or self.reset_after
        return None if how is None else Reset(self.reset_after is not None, how == "rst")
