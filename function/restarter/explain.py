"""The whole decision for one saved delivery, in words and offline: nothing is sent, asked, claimed or started."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from restarter import callers, dialects, surface
from restarter.call import Answer, Call, NoAnswer
from restarter.decide import admit, decide, start_of
from restarter.dialects import functiongraph_apig
from restarter.errors import Rejected
from restarter.model import Delivery, Event, Ignored, Kind, Outcome, Proved, Start, Task, Visit
from restarter.oms import start_task, tasks
from restarter.reply import status_of
from restarter.restart import policy_of
from restarter.settings import Settings
from restarter.transport import Transport

# The rule behind each word; README, «Deciding», has the table.
RULES = {
    "disabled": "RESTART_ENABLED is false",
    "stale_event": "the event is older than RESTART_MAX_EVENT_AGE, or over 5 minutes in the future",
    "already_running": "status 1, 2 or 6: the task is on its way",
    "nothing_to_do": "status 5: the task has finished",
    "pausing": "status 7: the task is being paused",
    "unknown_status": "OMS documents no such status",
    "paused": "status 3: somebody paused the task, and an event does not undo that",
    "sync_task": "a synchronisation has a start call of its own",
    "group_member": "a member of a group is restarted with its group",
    "archive_restore": "each restart pays for retrieval again, and RESTART_ARCHIVED is false",
    "permanent_failure": "only a person can cure what made the task fail",
    "start": "nothing stands in the way",
}


class Offline(Transport):
    """Whatever is asked, there is no answer."""

    async def send(self, call: Call, headers: Mapping[str, str], seconds: float) -> Answer | NoAnswer:
        """Nothing is sent."""
        return NoAnswer(sent=False, reason="offline")


def read_delivery(text: str) -> Delivery:
    """A delivery as it was saved: an HTTP request (as in events/), or only the JSON that was its body."""
    if text.lstrip().startswith(("{", "[")):
        return Delivery("POST", "/", {}, text.encode())
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    head, _, body = text.replace("\r\n", "\n").replace("{{now}}", now).partition("\n\n")
    request_line, *lines = [line for line in head.splitlines() if not line.startswith("#")]
    method, path, *_ = request_line.split(" ")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Delivery(method, path, headers, body.removesuffix("\n").encode())


async def explain(delivery: Delivery, shown: Any, settings: Settings, visit: Visit) -> list[tuple[str, str]]:
    """Step and finding, in order. `shown` is the task as ShowTask answers it, or None: then it is taken as failed."""
    lines = [("delivery", f"{delivery.method} {delivery.path}, {len(delivery.body)} bytes")]
    try:
        if surface.serve(delivery, settings.caller_origins) is not None:
            return [*lines, ("answered", "without being a delivery")]
        proved, proof = await _prove(delivery, settings, visit)
        envelope = dialects.open_envelope(proved)
        lines.append(("caller", proof))
        if functiongraph_apig.recognises(envelope):
            inside = functiongraph_apig.unwrap(envelope)
            lines.append(("envelope", "APIG event; what follows is the request inside"))
            envelope = dialects.open_envelope(Proved(inside, proved.way))
        for part in dialects.decode(envelope, dialects.Configured.by(settings)):
            lines += _explain_part(part, shown, settings, visit)
    except Rejected as error:
        lines += _ended(Outcome(kind=error.kind, reason=error.reason), error.dialect)
    return lines


async def _prove(delivery: Delivery, settings: Settings, visit: Visit) -> tuple[Proved, str]:
    """The explanation goes on without a proof: a saved delivery seldom has a fresh one."""
    try:
        proved = await callers.prove(delivery, callers.configured(settings, Offline()), visit)
    except Rejected as error:
        status = status_of(error.kind, direct=False)
        return Proved(delivery, "none"), f"NOT PROVED ({error.reason}): the function answers {status}; to go on:"
    return proved, f"proved by {proved.way}"


def _explain_part(part: dialects.Part, shown: Any, settings: Settings, visit: Visit) -> Iterator[tuple[str, str]]:
    yield "dialect", f"{part.dialect}, event id {part.event_id or 'none'}"
    match part:
        case Event():
            yield from _explain_event(part, shown, settings, visit)
        case Ignored():
            yield from _ended(Outcome(kind=Kind.IGNORED, reason=part.reason), part.dialect)
        case dialects.Subscription():
            yield "confirmed", "by one GET of the subscription's address; an answer of 2xx ends it with 204"
        case _:
            yield from _ended(Outcome(kind=part.kind, reason=part.reason), part.dialect)


def _explain_event(event: Event, shown: Any, settings: Settings, visit: Visit) -> Iterator[tuple[str, str]]:
    policy = policy_of(settings)
    asked = event.request.model_dump(exclude_none=True, exclude={"reason"})
    yield "request", f"{event.intent}: " + ", ".join(f"{name}={value}" for name, value in asked.items())
    stopped = admit(event, policy, visit.came_at)
    if stopped is not None:
        yield from _ended(stopped, event.dialect)
        return
    yield "ledger", "not asked: taken as an event never seen, of a task never restarted"
    yield from _looks(event, settings)
    task = _task(event, shown)
    if isinstance(task, Outcome):
        yield from _ended(task, event.dialect)
        return
    yield (
        "task",
        f"{task.id}, status {task.status}, {task.group_type or 'kind unknown'}, {task.failure_reason or 'no reason'}",
    )
    rules = decide if settings.restart_look_first else start_of
    decision = rules(event, task, (), policy, visit.came_at)
    if isinstance(decision, Outcome):
        yield from _ended(decision, event.dialect)
        return
    yield "decided", f"start: {RULES['start']}"
    yield "call", _masked_call(event, decision, settings)
    yield from _ended(Outcome(kind=Kind.WOULD_START if settings.restart_dry_run else Kind.STARTED), event.dialect)


def _looks(event: Event, settings: Settings) -> Iterator[tuple[str, str]]:
    """The reads that come before a decision."""
    origin, project_id, task_id = settings.endpoint_of(event.project_id), event.project_id, event.request.task_id
    if task_id is None:
        yield "look", f"GET {tasks.list_named(origin, project_id, event.request.task_name or '', 0).url}"
    if settings.restart_look_first:
        yield "look", f"GET {tasks.show(origin, project_id, task_id or '{task_id}').url}"


def _task(event: Event, shown: Any) -> Task | Outcome:
    if shown is None:
        task_id = event.request.task_id or "{task_id}"
        return Task(id=task_id, name=event.request.task_name, status=4, failure_reason="taken as failed")
    return tasks.read_shown(Answer(200, shown))


def _masked_call(event: Event, start: Start, settings: Settings) -> str:
    """The POST with every secret of its body masked; headers with the proof of who calls are added when it is sent."""
    profile = settings.profiles()[event.request.credentials]
    masked = profile.model_copy(update={name: "***" for name, value in profile if value is not None})
    call = start_task.build(settings.endpoint_of(event.project_id), event.project_id, start, masked)
    return f"{call.method} {call.url} {call.content.decode()}"


def _ended(outcome: Outcome, dialect: str | None) -> Iterator[tuple[str, str]]:
    status = status_of(outcome.kind, direct=dialects.is_direct(dialect))
    rule = RULES.get(outcome.reason or outcome.kind)
    yield "outcome", f"{outcome.kind} {outcome.reason or ''}".strip() + (f": {rule}" if rule else "")
    yield "reply", f"{status.value} {status.phrase}"
