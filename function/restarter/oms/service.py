"""OMS as the pipeline sees it: each question is built, sent and read, and cut off by the delivery's deadline."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from restarter.call import Answer, Call, NoAnswer
from restarter.model import Event, Kind, Outcome, Start, Task, Visit
from restarter.oms import start_task, tasks
from restarter.oms.identities import Identities, Known, left_alone
from restarter.oms.signing import identify
from restarter.settings import Settings
from restarter.transport import Transport

STARTABLE_WITHIN = 1.0  # seconds that must be left for a start
SECOND_LOOK = 0.5  # seconds of them kept back, to look again where a start gets no answer
UNDER_WAY = (1, 2, 6)  # waiting, running, retrying


class Oms:
    """The three calls to OMS. Everything that goes wrong comes back as an Outcome."""

    def __init__(
        self, settings: Settings, transport: Transport, identities: Identities, now: Callable[[], datetime]
    ) -> None:
        self._settings = settings
        self._now = now
        self._transport = transport
        self._identities = identities
        self._profiles = settings.profiles()

    async def find(self, project_id: str, name: str, visit: Visit) -> Task | Outcome:
        """The only task of that name, by as many pages as there are."""
        found: list[Task] = []
        offset = 0
        while True:
            call = tasks.list_named(self._settings.endpoint_of(project_id), project_id, name, offset)
            answer = await self._send(call, project_id, visit)
            page = tasks.read_listed(answer) if isinstance(answer, Answer) else _unasked(answer)
            if isinstance(page, Outcome):
                return page
            found += page[0]
            offset += page[1]
            if page[1] < tasks.PAGE:
                return tasks.only_match(found, name)

    async def show(self, project_id: str, task_id: str, visit: Visit) -> Task | Outcome:
        """The task as it is now."""
        call = tasks.show(self._settings.endpoint_of(project_id), project_id, task_id)
        answer = await self._send(call, project_id, visit)
        return tasks.read_shown(answer) if isinstance(answer, Answer) else _unasked(answer)

    async def start(self, event: Event, start: Start, visit: Visit) -> Outcome:
        """The one POST; never made with too little time left to hear of it, never made twice."""
        project_id, credentials = event.project_id, self._profiles[event.request.credentials]
        call = start_task.build(self._settings.endpoint_of(project_id), project_id, start, credentials)
        answer = await self._send(call, project_id, visit, least=STARTABLE_WITHIN, kept_back=SECOND_LOOK)
        if isinstance(answer, Answer):
            outcome = start_task.interpret(answer)
        elif isinstance(answer, NoAnswer) and answer.sent:
            outcome = await self._look_again(project_id, start.task_id, answer, visit)
        else:
            return _unasked(answer)
        return replace(outcome, start_called=True, migrate_failed_object=start.migrate_failed_object)

    async def _look_again(self, project_id: str, task_id: str, lost: NoAnswer, visit: Visit) -> Outcome:
        """After a start without an answer: a task that is under way has been started, anything else is open."""
        task = await self.show(project_id, task_id, visit)
        if isinstance(task, Task) and task.status in UNDER_WAY:
            return Outcome(kind=Kind.STARTED)
        return Outcome(kind=Kind.UNCONFIRMED, reason=lost.reason)

    async def _send(
        self, call: Call, project_id: str, visit: Visit, least: float = 0.0, kept_back: float = 0.0
    ) -> Answer | NoAnswer | Outcome:
        """Make a call with a key that is worth a try, if there is time for it."""
        known = await self._identities.of(self._settings, project_id, visit)
        if isinstance(known, Outcome):
            return known
        async with known.standing.turn():
            wait = known.standing.wait(self._now(), self._settings.oms_cooldown)
            if wait > 0:
                return left_alone(wait)
            left = visit.left_now()
            if left <= least:
                return NoAnswer(sent=False, reason="deadline")
            headers = identify(call, known.identity, self._now())
            seconds = min(left - kept_back, self._settings.oms_timeout)
            answer = await self._transport.send(call, headers, seconds)
            return self._noted(answer, known)

    def _noted(self, answer: Answer | NoAnswer, known: Known) -> Answer | NoAnswer | Outcome:
        """Remember what the answer says of the key. A token that is no longer taken is worth another one."""
        if not isinstance(answer, Answer):
            return answer
        if known.renewable and answer.status == 401:
            self._identities.forget(known)
            return Outcome(kind=Kind.UNAVAILABLE, reason="token_refused", oms_status=401)
        known.standing.note(answer, self._now())
        return answer


def _unasked(nothing: NoAnswer | Outcome) -> Outcome:
    return nothing if isinstance(nothing, Outcome) else Outcome(kind=Kind.UNAVAILABLE, reason=nothing.reason)
