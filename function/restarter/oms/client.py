"""OMS as the flow sees it: each call is built, sent and interpreted, and ends with the delivery's deadline."""

from collections.abc import Callable
from datetime import datetime

from pydantic import Secret

from restarter.http.call import Answer, Call, NoAnswer
from restarter.http.transport import Sender
from restarter.model.delivery import DeliveryContext
from restarter.model.outcome import Kind, Outcome, Reason
from restarter.model.request import Event
from restarter.model.task import Start, Task, TaskGroup
from restarter.oms import start_task, task_groups, tasks
from restarter.oms.credentials import Credential, CredentialProvider
from restarter.oms.error_codes import is_of_gateway, read_error
from restarter.oms.key_breaker import NO_GUARD, cooling_down
from restarter.oms.signing import identify
from restarter.settings.model import Settings

MIN_START_TIME_S = 1.0  # that must remain for a start
SECOND_LOOK_TIME_S = 0.5  # of it kept back, to look again where a start gets no answer
MAX_PAGES = 20  # of a list of failed tasks
MORE_PAGES = Outcome(kind=Kind.SWEPT, reason=Reason.MORE_PAGES)
ACTIVE = (1, 2, 6)  # waiting, running, retrying


class Oms:
    """The calls to OMS. No method raises: everything that goes wrong comes back as an Outcome."""

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
        """The only task of exactly that name, from as many pages of ListTasks as there are."""
        found: list[Task] = []
        offset = 0
        while True:
            call = tasks.list_named(self._settings.endpoint_of(project_id), project_id, name, offset)
            answer = await self._call(call, project_id, context, name)
            page = tasks.interpret_list(answer) if isinstance(answer, Answer) else _not_called(answer)
            if isinstance(page, Outcome):
                return page
            found += page[0]
            offset += page[1]
            if page[1] < tasks.PAGE_SIZE:
                return tasks.only_match(found, name)

    async def failed(self, project_id: str, context: DeliveryContext) -> tuple[list[Task], Outcome | None]:
        """The failed tasks of up to MAX_PAGES pages, each once; and what ended the list early, if anything."""
        found: dict[str, Task] = {}
        for page_number in range(MAX_PAGES):
            offset = page_number * tasks.FAILED_PAGE_SIZE
            call = tasks.list_failed(self._settings.endpoint_of(project_id), project_id, offset)
            answer = await self._call(call, project_id, context)
            page = tasks.interpret_list(answer) if isinstance(answer, Answer) else _not_called(answer)
            if isinstance(page, Outcome):
                return list(found.values()), page
            found |= {task.id: task for task in page[0]}
            if page[1] < tasks.FAILED_PAGE_SIZE:
                return list(found.values()), None
        return list(found.values()), MORE_PAGES

    async def show(
        self, project_id: str, task_id: str, context: DeliveryContext, *, again: bool = False
    ) -> Task | Outcome:
        """The task as ShowTask answers it now."""
        call = tasks.show(self._settings.endpoint_of(project_id), project_id, task_id)
        answer = await self._call(call, project_id, context, task_id, again=again)
        return tasks.interpret_show(answer, task_id) if isinstance(answer, Answer) else _not_called(answer)

    async def show_group(
        self, project_id: str, group_id: str, context: DeliveryContext, *, again: bool = False
    ) -> TaskGroup | Outcome:
        """The task group as ShowTaskGroup answers it now."""
        call = task_groups.show(self._settings.endpoint_of(project_id), project_id, group_id)
        answer = await self._call(call, project_id, context, again=again)
        if isinstance(answer, Answer):
            return task_groups.interpret_show(answer, group_id)
        return _not_called(answer)

    async def start(self, event: Event, start: Start, context: DeliveryContext) -> Outcome:
        """The one POST, or PUT of a group. It is never made twice, nor with too little time left for its answer."""
        project_id = event.project_id
        build = task_groups.build_retry if start.of_group else start_task.build
        call = build(self._settings.endpoint_of(project_id), project_id, start, self._body(event, start))
        task_id = None if start.of_group else start.target_id
        answer = await self._call(
            call, project_id, context, task_id, min_time=MIN_START_TIME_S, kept_back=SECOND_LOOK_TIME_S
        )
        if isinstance(answer, Answer) and is_of_gateway(answer):
            return await self._look_again(project_id, start, read_error(answer), context)
        if isinstance(answer, Answer):
            return (task_groups.interpret_retry if start.of_group else start_task.interpret)(answer, start)
        if isinstance(answer, NoAnswer) and answer.sent:
            return await self._look_again(project_id, start, _not_called(answer), context)
        if isinstance(answer, Outcome) and answer.oms_status is not None:  # the call was made, and its token refused
            return start_task.called(answer, start)
        return _not_called(answer)

    def _body(self, event: Event, start: Start) -> bytes:
        """The body of a start, which is made once for all tasks of a profile that are started in the same way."""
        profile = event.request.credentials
        way = (profile, start.of_group, start.source_keys, start.migrate_failed_object)
        if way not in self._bodies:
            make = task_groups.retry_body if start.of_group else start_task.start_body
            self._bodies[way] = Secret(make(start, self._profiles[profile]))
        return self._bodies[way].get_secret_value()

    async def _look_again(self, project_id: str, start: Start, lost: Outcome, context: DeliveryContext) -> Outcome:
        """After a start without an answer of OMS: what is active now was started, anything else is unconfirmed."""
        show, active = (self.show_group, task_groups.ACTIVE) if start.of_group else (self.show, ACTIVE)
        found = await show(project_id, start.target_id, context, again=True)
        is_active = not isinstance(found, Outcome) and found.status in active
        kind, reason = (Kind.STARTED, None) if is_active else (Kind.UNCONFIRMED, lost.reason)
        return start_task.called(lost._replace(kind=kind, reason=reason), start)

    async def _call(  # noqa: PLR0913  # what a call needs, at one place
        self,
        call: Call,
        project_id: str,
        context: DeliveryContext,
        task: str | None = None,
        *,
        min_time: float = 0.0,
        kept_back: float = 0.0,
        again: bool = False,
    ) -> Answer | NoAnswer | Outcome:
        """Make a call, if the key may be used and enough time remains. Times are seconds.

        `task`: what the call is about, its id or name; None where a 403 says nothing of the key, as with task groups.
        `again`: a start was sent with the key a moment ago, so the call does not queue until the key is known good.
        """
        credential = self._configured or await self._credentials.get(self._settings, project_id, context, task)
        if isinstance(credential, Outcome):
            return credential
        try:
            async with NO_GUARD if again else credential.breaker.guard(context.remaining()):
                cooldown_left = credential.breaker.cooldown_left(project_id, self._now(), self._settings.oms_cooldown)
                if cooldown_left > 0:
                    return cooling_down(cooldown_left)
                remaining = context.remaining()
                if remaining <= min_time:
                    return NoAnswer(sent=False, reason=Reason.DEADLINE)
                headers = identify(call, credential.identity, self._now())
                seconds = min(remaining - kept_back, self._settings.oms_timeout)
                answer = await self._transport.send(call, headers, seconds)
                if isinstance(answer, Answer):
                    credential.breaker.record_permission(answer, project_id, task, self._now())
                return self._record(answer, credential, called=call.method != "GET")
        except TimeoutError:  # of the guard
            return NoAnswer(sent=False, reason=Reason.DEADLINE)

    def _record(
        self, answer: Answer | NoAnswer, credential: Credential, *, called: bool
    ) -> Answer | NoAnswer | Outcome:
        """Tell the breaker what the answer says of the key. A refused token of IAM is dropped instead."""
        if not isinstance(answer, Answer):
            return answer
        if credential.renewable and answer.status == 401:
            self._credentials.forget(credential)
            return Outcome(kind=Kind.UNAVAILABLE, reason=Reason.TOKEN_REFUSED, oms_status=401, start_called=called)
        credential.breaker.record(answer, self._now())
        return answer


def _not_called(found: NoAnswer | Outcome) -> Outcome:
    return found if isinstance(found, Outcome) else Outcome(kind=Kind.UNAVAILABLE, reason=found.reason)
