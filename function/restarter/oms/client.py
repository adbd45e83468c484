"""The requests that the flow makes to OMS: each is built, sent and interpreted within the delivery's deadline."""

import math
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Generic, NamedTuple, TypeVar

from pydantic import Secret

from restarter.http.call import Answer, Call, NoAnswer
from restarter.http.transport import Sender
from restarter.model.delivery import DeliveryContext
from restarter.model.outcome import Kind, Outcome, Reason
from restarter.model.request import Event
from restarter.model.task import Start, Task, TaskGroup
from restarter.oms import start_task, task_groups, tasks
from restarter.oms.credentials import Credential, CredentialProvider
from restarter.oms.error_codes import is_of_gateway, read_error, refuses_key
from restarter.oms.key_breaker import NO_GUARD, breaker_open
from restarter.oms.signing import identify
from restarter.oms.task_list import TaskList, read_all
from restarter.settings.model import Settings, StorageCredentials

T_co = TypeVar("T_co", bound=Task | TaskGroup, covariant=True)


class TargetApi(NamedTuple, Generic[T_co]):
    """How to read and start targets of one kind in OMS: tasks or task groups."""

    build_show: Callable[[str, str, str], Call]
    interpret_show: Callable[[Answer, str], T_co | Outcome]
    start_body: Callable[[Start, StorageCredentials], bytes]
    build_start: Callable[[str, str, Start, bytes], Call]
    interpret_start: Callable[[Answer, Start], Outcome]
    active: tuple[int, ...]
    """Statuses in which it waits or runs."""


TASKS = TargetApi[Task](
    tasks.show, tasks.interpret_show, start_task.start_body, start_task.build, start_task.interpret, tasks.ACTIVE
)
GROUPS = TargetApi[TaskGroup](
    task_groups.show,
    task_groups.interpret_show,
    task_groups.retry_body,
    task_groups.build_retry,
    task_groups.interpret_retry,
    task_groups.ACTIVE,
)


class Timing(NamedTuple):
    """When a request is sent. Times are seconds."""

    min_time: float = 0.0
    """The request is sent only if more time than this is left."""
    reserve: float = 0.0
    """The part of the remaining time that the request must not use."""
    queues: bool = True
    """The request waits for its turn until OMS has accepted the key."""


READ = Timing()
MIN_START_TIME_S = 1.0
START = Timing(MIN_START_TIME_S, reserve=0.5)  # for another look, if the start gets no response
LOOK_AGAIN = Timing(queues=False)


class Oms:
    """Makes the requests to OMS. No method raises: every failure is returned as an Outcome."""

    def __init__(
        self, settings: Settings, transport: Sender, credentials: CredentialProvider, now: Callable[[], datetime]
    ) -> None:
        self._settings = settings
        self._now = now
        self._transport = transport
        self._credentials = credentials
        self._configured = credentials.configured(settings)
        self._profiles = settings.profiles()
        self._bodies: dict[tuple[str, bool, bool, bool], Secret[bytes]] = {}

    async def find(self, project_id: str, name: str, context: DeliveryContext) -> Task | Outcome:
        """The only task with exactly that name, on all pages of ListTasks."""
        found: list[Task] = []
        offset = 0
        while True:
            call = tasks.list_named(self._settings.endpoint_of(project_id), project_id, name, offset)
            page = await self._page(call, project_id, context)
            if isinstance(page, Outcome):
                return page
            found += page.tasks
            offset += page.rows
            if page.rows < tasks.PAGE_SIZE:
                return tasks.only_match(found, name)

    async def failed(self, project_id: str, context: DeliveryContext) -> TaskList:
        """The failed tasks of a project, from all pages of ListTasks."""
        return await self._list(project_id, tasks.FAILED, context)

    async def count_active(self, project_id: str, limit: int, context: DeliveryContext) -> int | Outcome:
        """The number of tasks of a project that wait or run, each counted once. It may stop counting at `limit`.

        Waiting tasks are read first, so a task that begins to run meanwhile is on both lists and not missed.
        """
        found: set[str] = set()
        missing = 0
        for status in (tasks.WAITING, tasks.RUNNING):
            listed = await self._list(project_id, status, context, enough=limit)
            if listed.error is not None:
                return listed.error
            found |= {task.id for task in listed.tasks}
            missing += listed.missing
            if len(found) + missing >= limit:
                break
        return len(found) + missing

    def show(self, project_id: str, task_id: str, context: DeliveryContext) -> Awaitable[Task | Outcome]:
        """The task as ShowTask returns it now."""
        return self._show(TASKS, project_id, task_id, context, READ)

    def show_group(self, project_id: str, group_id: str, context: DeliveryContext) -> Awaitable[TaskGroup | Outcome]:
        """The task group as ShowTaskGroup returns it now."""
        return self._show(GROUPS, project_id, group_id, context, READ)

    async def start(self, event: Event, start: Start, context: DeliveryContext) -> Outcome:
        """Start a task by one POST, or a group by one PUT, which is never sent twice, nor with too little time left."""
        kind, project_id = GROUPS if start.of_group else TASKS, event.project_id
        call = kind.build_start(self._settings.endpoint_of(project_id), project_id, start, self._body(event, start))
        answer = await self._call(call, project_id, context, START)
        if isinstance(answer, Answer) and is_of_gateway(answer):
            return await self._look_again(project_id, start, read_error(answer), context)
        if isinstance(answer, Answer):
            return kind.interpret_start(answer, start)
        if isinstance(answer, NoAnswer) and answer.sent:
            return await self._look_again(project_id, start, _not_called(answer), context)
        if isinstance(answer, Outcome) and answer.oms_status is not None:  # it was sent, and its IAM token was refused
            return start_task.called(answer, start)
        return _not_called(answer)

    def _body(self, event: Event, start: Start) -> bytes:
        """The body of a start. It is built once for all starts with the same profile and options."""
        profile = event.request.credentials
        way = (profile, start.of_group, start.source_keys, start.migrate_failed_object)
        if way not in self._bodies:
            make = (GROUPS if start.of_group else TASKS).start_body
            self._bodies[way] = Secret(make(start, self._profiles[profile]))
        return self._bodies[way].get_secret_value()

    async def ask(self, call: Call, project_id: str, context: DeliveryContext) -> Answer | Outcome:
        """The response to a request that changes nothing, whatever its status."""
        answer = await self._call(call, project_id, context, READ)
        return answer if isinstance(answer, Answer) else _not_called(answer)

    async def _look_again(self, project_id: str, start: Start, lost: Outcome, context: DeliveryContext) -> Outcome:
        """The outcome of a start without a response from OMS: started if the target is active now, else unconfirmed."""
        kind: TargetApi[Task | TaskGroup] = GROUPS if start.of_group else TASKS
        found = await self._show(kind, project_id, start.target_id, context, LOOK_AGAIN)
        is_active = not isinstance(found, Outcome) and found.status in kind.active
        outcome, reason = (Kind.STARTED, None) if is_active else (Kind.UNCONFIRMED, lost.reason)
        return start_task.called(lost._replace(kind=outcome, reason=reason), start)

    async def _show(
        self, kind: TargetApi[T_co], project_id: str, target_id: str, context: DeliveryContext, timing: Timing
    ) -> T_co | Outcome:
        call = kind.build_show(self._settings.endpoint_of(project_id), project_id, target_id)
        answer = await self._call(call, project_id, context, timing)
        return kind.interpret_show(answer, target_id) if isinstance(answer, Answer) else _not_called(answer)

    async def _list(self, project_id: str, status: int, context: DeliveryContext, enough: float = math.inf) -> TaskList:
        """The tasks with a status, as `read_all` returns them."""

        async def read(offset: int) -> tasks.Page | Outcome:
            call = tasks.list_status(self._settings.endpoint_of(project_id), project_id, status, offset)
            return await self._page(call, project_id, context)

        return await read_all(read, enough)

    async def _page(self, call: Call, project_id: str, context: DeliveryContext) -> tasks.Page | Outcome:
        answer = await self._call(call, project_id, context, READ)
        return tasks.interpret_list(answer) if isinstance(answer, Answer) else _not_called(answer)

    async def _call(
        self, call: Call, project_id: str, context: DeliveryContext, timing: Timing
    ) -> Answer | NoAnswer | Outcome:
        """Send a request, if the key may be used and enough time is left."""
        credential = self._configured or await self._credentials.get(self._settings, project_id, context)
        if isinstance(credential, Outcome):
            return credential
        try:
            async with credential.breaker.guard(context.remaining) if timing.queues else NO_GUARD:
                now = self._now()
                cooldown_left = credential.breaker.cooldown_left(now, self._settings.oms_cooldown)
                if cooldown_left > 0:
                    return breaker_open(cooldown_left)
                remaining = context.remaining()
                if remaining <= timing.min_time:
                    return NoAnswer(sent=False, reason=Reason.DEADLINE)
                headers = identify(call, credential.identity, now)
                seconds = min(remaining - timing.reserve, self._settings.oms_timeout)
                answer = await self._transport.send(call, headers, seconds)
                return self._record(answer, credential, was_start=call.method != "GET")
        except TimeoutError:  # from the guard
            return NoAnswer(sent=False, reason=Reason.DEADLINE)

    def _record(
        self, answer: Answer | NoAnswer, credential: Credential, *, was_start: bool
    ) -> Answer | NoAnswer | Outcome:
        """Record in the breaker whether the key was accepted. A refused IAM token is dropped instead."""
        if not isinstance(answer, Answer):
            return answer
        if credential.login is not None and refuses_key(answer):
            self._credentials.drop_token(credential)
            return read_error(answer)._replace(
                kind=Kind.UNAVAILABLE, reason=Reason.TOKEN_REFUSED, start_called=was_start
            )
        credential.breaker.record(answer, self._now())
        return answer


def _not_called(found: NoAnswer | Outcome) -> Outcome:
    return found if isinstance(found, Outcome) else Outcome(kind=Kind.UNAVAILABLE, reason=found.reason)
