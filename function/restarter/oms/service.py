"""OMS as the pipeline sees it: each question is built, sent and read, and cut off by the delivery's deadline."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from restarter.call import Answer, Call, NoAnswer
from restarter.model import AccessKey, AuthToken, Event, Kind, Outcome, Start, Task, Visit
from restarter.oms import start_task, tasks
from restarter.oms.signing import Identity, identify
from restarter.settings import Settings
from restarter.transport import Transport

STARTABLE_WITHIN = 1.0  # seconds that must be left for a start
SECOND_LOOK = 0.5  # seconds of them kept back, to look again where a start gets no answer
UNDER_WAY = (1, 2, 6)  # waiting, running, retrying


class Oms:
    """The three calls to OMS. Everything that goes wrong comes back as an Outcome."""

    def __init__(self, settings: Settings, transport: Transport, now: Callable[[], datetime]) -> None:
        self._settings = settings
        self._now = now
        self._transport = transport
        self._profiles = settings.profiles()
        self._identity = _identity(settings)

    async def find(self, project_id: str, name: str, visit: Visit) -> Task | Outcome:
        """The only task of that name, by as many pages as there are."""
        found: list[Task] = []
        offset = 0
        while True:
            call = tasks.list_named(self._settings.endpoint_of(project_id), project_id, name, offset)
            answer = await self._send(call, visit, visit.left_now())
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
        answer = await self._send(call, visit, visit.left_now())
        return tasks.read_shown(answer) if isinstance(answer, Answer) else _unasked(answer)

    async def start(self, event: Event, start: Start, visit: Visit) -> Outcome:
        """The one POST; never made with too little time left to hear of it, never made twice."""
        if visit.left_now() < STARTABLE_WITHIN:
            return Outcome(kind=Kind.UNAVAILABLE, reason="deadline")
        credentials = self._profiles[event.request.credentials]
        call = start_task.build(self._settings.endpoint_of(event.project_id), event.project_id, start, credentials)
        answer = await self._send(call, visit, visit.left_now() - SECOND_LOOK)
        if isinstance(answer, Answer):
            outcome = start_task.interpret(answer)
        elif answer.sent:
            outcome = await self._look_again(event.project_id, start.task_id, answer, visit)
        else:
            return _unasked(answer)
        return replace(outcome, start_called=True, migrate_failed_object=start.migrate_failed_object)

    async def _look_again(self, project_id: str, task_id: str, lost: NoAnswer, visit: Visit) -> Outcome:
        """After a start without an answer: a task that is under way has been started, anything else is open."""
        task = await self.show(project_id, task_id, visit)
        if isinstance(task, Task) and task.status in UNDER_WAY:
            return Outcome(kind=Kind.STARTED)
        return Outcome(kind=Kind.UNCONFIRMED, reason=lost.reason)

    async def _send(self, call: Call, visit: Visit, left: float) -> Answer | NoAnswer:
        identity = self._identity or visit.agency
        if identity is None:
            return NoAnswer(sent=False, reason="no_key_for_oms")
        headers = identify(call, identity, self._now())
        return await self._transport.send(call, headers, min(left, self._settings.oms_timeout))


def _unasked(nothing: NoAnswer) -> Outcome:
    return Outcome(kind=Kind.UNAVAILABLE, reason=nothing.reason)


def _identity(settings: Settings) -> Identity | None:
    """Who we are to OMS: an access key is preferred to a token, as Huawei recommends; else whom the agency makes us."""
    if settings.huaweicloud_sdk_ak and settings.huaweicloud_sdk_sk:
        token = settings.huaweicloud_sdk_security_token
        return AccessKey(settings.huaweicloud_sdk_ak, settings.huaweicloud_sdk_sk, token)
    return AuthToken(settings.oms_auth_token) if settings.oms_auth_token else None
