"""OMS as the pipeline sees it: each question is built, sent and read, and cut off by the delivery's deadline."""

from collections.abc import Callable
from dataclasses import replace

from restarter.model import Event, Kind, Outcome, Start, Task
from restarter.oms import start_task, tasks
from restarter.oms.call import Answer, Call, NoAnswer
from restarter.oms.signing import AccessKey, AuthToken, Identity
from restarter.oms.transport import Transport
from restarter.settings import Settings

STARTABLE_WITHIN = 1.0  # seconds that must be left for a start
SECOND_LOOK = 0.5  # seconds of them kept back, to look again where a start gets no answer
UNDER_WAY = (1, 2, 6)  # waiting, running, retrying

Left = Callable[[], float]


class Oms:
    """The three calls to OMS. Everything that goes wrong comes back as an Outcome."""

    def __init__(self, settings: Settings, transport: Transport) -> None:
        self._settings = settings
        self._transport = transport
        self._profiles = settings.profiles()
        self._identity = _identity(settings)

    async def find(self, project_id: str, name: str, left: Left) -> Task | Outcome:
        """The only task of that name, by as many pages as there are."""
        found: list[Task] = []
        offset = 0
        while True:
            call = tasks.list_named(self._settings.endpoint_of(project_id), project_id, name, offset)
            answer = await self._send(call, left())
            page = tasks.read_listed(answer) if isinstance(answer, Answer) else _unasked(answer)
            if isinstance(page, Outcome):
                return page
            found += page[0]
            offset += page[1]
            if page[1] < tasks.PAGE:
                return tasks.only_match(found, name)

    async def show(self, project_id: str, task_id: str, left: Left) -> Task | Outcome:
        """The task as it is now."""
        call = tasks.show(self._settings.endpoint_of(project_id), project_id, task_id)
        answer = await self._send(call, left())
        return tasks.read_shown(answer) if isinstance(answer, Answer) else _unasked(answer)

    async def start(self, event: Event, start: Start, left: Left) -> Outcome:
        """The one POST; never made with too little time left to hear of it, never made twice."""
        if left() < STARTABLE_WITHIN:
            return Outcome(kind=Kind.UNAVAILABLE, reason="deadline")
        credentials = self._profiles[event.request.credentials]
        call = start_task.build(self._settings.endpoint_of(event.project_id), event.project_id, start, credentials)
        answer = await self._send(call, left() - SECOND_LOOK)
        if isinstance(answer, Answer):
            outcome = start_task.interpret(answer)
        elif answer.sent:
            outcome = await self._look_again(event.project_id, start.task_id, answer, left)
        else:
            return _unasked(answer)
        return replace(outcome, start_called=True, migrate_failed_object=start.migrate_failed_object)

    async def _look_again(self, project_id: str, task_id: str, lost: NoAnswer, left: Left) -> Outcome:
        """After a start without an answer: a task that is under way has been started, anything else is open."""
        task = await self.show(project_id, task_id, left)
        if isinstance(task, Task) and task.status in UNDER_WAY:
            return Outcome(kind=Kind.STARTED)
        return Outcome(kind=Kind.UNCONFIRMED, reason=lost.reason)

    async def _send(self, call: Call, left: float) -> Answer | NoAnswer:
        return await self._transport.send(call, self._identity, min(left, self._settings.oms_timeout))


def _unasked(nothing: NoAnswer) -> Outcome:
    return Outcome(kind=Kind.UNAVAILABLE, reason=nothing.reason)


def _identity(settings: Settings) -> Identity:
    """Who we are to OMS: an access key is preferred to a token, as Huawei recommends."""
    if settings.huaweicloud_sdk_ak and settings.huaweicloud_sdk_sk:
        token = settings.huaweicloud_sdk_security_token
        return AccessKey(settings.huaweicloud_sdk_ak, settings.huaweicloud_sdk_sk, token)
    assert settings.oms_auth_token is not None  # noqa: S101
    return AuthToken(settings.oms_auth_token)
