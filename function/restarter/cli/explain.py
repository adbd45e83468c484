"""`explain`: runs the function's own pipeline, observed, with one saved delivery.

It has no network, except for reads of OMS if the operator asks for them.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

from pydantic import SecretStr

from restarter.app import Application
from restarter.http.call import Answer, Call, NoAnswer
from restarter.http.transport import Transport
from restarter.model.delivery import AccessKey, AuthenticatedDelivery, Delivery
from restarter.model.outcome import Kind, Outcome, Reason
from restarter.model.request import Event
from restarter.model.task import Start, Task, TaskGroup
from restarter.reporting.reasons import next_hour, rule_behind
from restarter.reporting.redaction import Mask
from restarter.reporting.reply import Reply
from restarter.settings.ledger_address import MemoryAddress
from restarter.settings.model import Settings
from restarter.telemetry.observer import Observer

TIMEOUT_S = 30.0
# Settings that authenticate every delivery, to explain one that has no valid credentials.
ONLY_PLATFORM = {
    "caller_trust_platform": True,
    "caller_bearer_tokens": (),
    "caller_webhook_secrets": (),
    "caller_smn_topics": (),
    "caller_oidc_audience": None,
}
PLACEHOLDER_KEY = AccessKey(SecretStr("offline"), SecretStr("offline"), SecretStr("offline"))
READS = {"ListTasks": "task", "ShowTask": "task", "ShowTaskGroup": "group"}  # and whose saved response is used
Line = tuple[str, str]
Saved = Mapping[str, bytes | None]
"""OMS's responses about the task and the group; None if there is no response."""


class Explanation(Observer):
    """An observer that writes down each step as a line of text."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.outcomes: list[Line] = []
        self.depends_on = "task: --look asks OMS, --task FILE takes a saved answer"
        """What the outcome depends on, if that is not known."""

    def step(self, name: str, found: object) -> None:
        """Add one or two lines for each kind of value that the flow reports."""
        match name, found:
            case "authenticated", AuthenticatedDelivery():
                self.lines.append(("caller", f"authenticated by {found.authenticated_by}"))
            case "unwrapped", Delivery():
                self.lines.append(("envelope", "APIG event; what follows is the request inside"))
            case "decoded", Event():
                asked = found.request.model_dump(exclude_none=True, exclude={"reason"})
                words = ", ".join(f"{field}={value}" for field, value in asked.items())
                self.lines.append(("dialect", f"{found.dialect}, event id {found.event_id or 'none'}"))
                self.lines.append(("request", f"{found.intent}: {words}"))
            case "claimed", claim:
                self.lines.append(("ledger", f"empty; the event is {getattr(claim, 'value', claim)}"))
            case "looked", Task() | TaskGroup():
                facts = [found.id, f"status {found.status}", found.failure_reason or "no reason"]
                if isinstance(found, Task):
                    facts.insert(2, found.group_type or "kind unknown")
                self.lines.append(("task" if isinstance(found, Task) else "group", ", ".join(facts)))
            case "decided", Start():
                word = "retry the group" if found.of_group else "start"
                self.lines.append(("decided", f"{word}: no rule forbids it"))
            case "decided", Outcome(reason=Reason.OUTSIDE_HOURS):
                self.lines.append(("hours", f"outside RESTART_HOURS{next_hour(found, 'en')}"))

    def replied(self, status: int, receipts: Sequence[Mapping[str, Any]], seconds: float) -> None:
        """Add the outcome of each part, with its rule, and the status of the reply, if it is known."""
        for receipt in receipts:
            outcome, reason = receipt["outcome"], receipt.get("reason")
            if reason == Reason.OFFLINE:
                self.outcomes.append(("outcome", f"depends on the {self.depends_on}"))
                continue
            rule = rule_behind(outcome, reason)
            words = " ".join(filter(None, [outcome, reason]))
            self.outcomes.append(("outcome", f"{words}: {rule.en}" if rule else words))
            if "advice" in receipt:
                self.outcomes.append(("advice", receipt["advice"]))
        if all(receipt.get("reason") != Reason.OFFLINE for receipt in receipts):
            self.outcomes.append(("reply", f"{status} {HTTPStatus(status).phrase}"))


class WatchedTransport:
    """Responds to reads with saved responses or, without these, with OMS's. It only pretends to do anything else."""

    def __init__(self, explanation: Explanation, saved: Saved | None) -> None:
        self._explanation = explanation
        self._saved = saved
        self._network = Transport()

    async def send(self, call: Call, headers: Mapping[str, str], seconds: float) -> Answer | NoAnswer:
        """The response of OMS or IAM: a saved, real or pretended one; NoAnswer with the reason `offline` for others."""
        lines = self._explanation.lines
        if call.operation in READS or (call.operation == "CreateToken" and self._saved is None):
            lines.append(("look", f"{call.method} {call.url}"))
            if self._saved is None:
                return await self._network.send(call, headers, seconds)
            return self._answer_from(self._saved, call.operation)
        match call.operation:
            case "CreateToken":
                expires_at = datetime.now(UTC) + timedelta(hours=1)
                document = {"token": {"expires_at": expires_at.isoformat()}}
                return Answer(201, json.dumps(document).encode(), subject_token=SecretStr("offline"))
            case "StartTask" | "RetryTaskGroup":
                lines.append(("call", f"{call.method} {call.url} {_masked(call)}"))
                return Answer(200)
            case "ConfirmSubscription":
                lines.append(("confirmed", "by one GET of the subscription's address"))
                return Answer(200)
        return NoAnswer(sent=False, reason=Reason.OFFLINE)

    def _answer_from(self, saved: Saved, operation: str) -> Answer | NoAnswer:
        """OMS's response, if it was saved. The response of ShowTask also serves as a row of ListTasks."""
        if operation == "ShowTaskGroup":
            self._explanation.depends_on = "task group: --look asks OMS, --group FILE takes a saved answer"
        shown = saved[READS[operation]]
        if shown is None:
            return NoAnswer(sent=False, reason=Reason.OFFLINE)
        if b'"error_code"' in shown and b'"status"' not in shown:  # an error body of OMS
            return Answer(400, shown)
        return Answer(200, b'{"tasks": [' + shown + b"]}" if operation == "ListTasks" else shown)

    async def close(self) -> None:
        """Close the connections."""
        await self._network.close()


def read_delivery(text: str) -> Delivery:
    """A saved delivery: an HTTP request (as in events/), or only the JSON of its body.

    Raises:
        ValueError: The text is neither.
    """
    if text.lstrip().startswith(("{", "[")):
        return Delivery("POST", "/", {}, text.encode())
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    head, _, body = text.replace("\r\n", "\n").replace("{{now}}", now).partition("\n\n")
    request_line, *lines = [line for line in head.splitlines() if not line.startswith("#")]
    method, path, *_ = request_line.split(" ")
    fields = [line.partition(":") for line in lines]  # as in HTTP: each byte of a header is a character
    headers = {name.strip().lower(): value.strip().encode().decode("latin-1") for name, _, value in fields}
    return Delivery(method, path, headers, body.removesuffix("\n").encode())


async def explain_delivery(
    delivery: Delivery, shown: bytes | None, settings: Settings, shown_group: bytes | None = None, *, look: bool = False
) -> list[Line]:
    """Each step and its finding, in order. `shown`: the task as ShowTask returns it; None if OMS does not respond.

    `shown_group`: the same for a task group. With `look` OMS is asked about both.
    If the caller is not authenticated, the explanation continues as if the platform had authenticated it.
    The findings contain no control characters and no configured secrets.
    """
    mask = Mask(settings)
    saved = None if look else {"task": shown, "group": shown_group}
    lines: list[Line] = [("delivery", f"{delivery.method} {delivery.path}, {len(delivery.body)} bytes")]
    found, reply = await _run(delivery, settings, saved)
    refusal = reply.receipts[0] if reply.receipts and found.lines == [] else {}
    if refusal.get("outcome") in (Kind.UNAUTHENTICATED, Kind.UNAVAILABLE):
        lines.append(("caller", f"NOT AUTHENTICATED ({refusal.get('reason')}): the function answers {reply.status}"))
        found, _ = await _run(delivery, settings.model_copy(update=ONLY_PLATFORM), saved)
        found.lines[0] = ("caller", "what follows is for a caller who is authenticated")
    if not found.lines and not reply.receipts:
        found.lines = [("answered", f"{reply.status}, without being a delivery")]
    return [(step, mask.text(finding)) for step, finding in (*lines, *found.lines, *found.outcomes)]


async def _run(delivery: Delivery, settings: Settings, saved: Saved | None) -> tuple[Explanation, Reply]:
    """One run of the real pipeline with an empty ledger. If OMS is asked, no placeholder key is lent."""
    explanation = Explanation()
    transport = WatchedTransport(explanation, saved)
    offline = settings.model_copy(update={"restart_ledger": MemoryAddress(), "notify_urls": ()})
    application = Application(lambda: offline, observer=explanation, transport=transport, write=lambda _: None)
    pipeline = application.pipeline()
    lent = None if saved is None else PLACEHOLDER_KEY
    try:
        return explanation, await pipeline.handle(delivery, pipeline.begin(TIMEOUT_S, lent))
    finally:
        await transport.close()


def _masked(call: Call) -> str:
    """The body of a request with every string masked: all strings in it are keys."""
    body = json.loads(call.content)
    return json.dumps({name: "***" if isinstance(value, str) else value for name, value in body.items()})
