"""The pipeline with a clock of the test's own, a task that does what the test wants, and a ledger that may fail."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import httpx
from pytest_httpx import HTTPXMock

from example import BEARER, TASK, settings, shown
from function_client import SHOW, START
from restarter.app import Application
from restarter.ledger import LedgerError
from restarter.model.delivery import Delivery


def event(event_id: str, kind: str = "oms.task.failed", **attributes: Any) -> dict[str, Any]:
    """A CloudEvent about the task."""
    data = {"task_id": TASK}
    return {"specversion": "1.0", "type": kind, "source": "/oms", "id": event_id, "data": data} | attributes


class Simulated:
    """The pipeline with a clock of the test's own, and a task that does what the test wants."""

    def __init__(self, httpx_mock: HTTPXMock, **changes: Any) -> None:
        self.now = datetime.now(UTC).replace(microsecond=0)
        self.task = shown()
        self.starts: list[datetime] = []
        self.answers: list[httpx.Response | Exception] = []
        """Of the next starts; all others are accepted."""
        fixed = settings(**changes)
        self.application = Application(lambda: fixed, now=lambda: self.now)
        httpx_mock.add_callback(self._show, url=SHOW, is_reusable=True, is_optional=True)
        httpx_mock.add_callback(self._start, method="POST", url=START, is_reusable=True, is_optional=True)

    def _show(self, _request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=self.task)

    def _start(self, _request: httpx.Request) -> httpx.Response:
        self.starts.append(self.now)
        answer = self.answers.pop(0) if self.answers else httpx.Response(200)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def deliver(self, event_id: str) -> tuple[int, dict[str, Any]]:
        """The status and the receipt of an event that happens now."""
        return asyncio.run(self.answer(event_id))

    async def answer(self, event_id: str) -> tuple[int, dict[str, Any]]:
        """The same within a loop, where several are delivered at once."""
        body = json.dumps(event(event_id, time=self.now.strftime("%Y-%m-%dT%H:%M:%SZ"))).encode()
        headers = {"content-type": "application/cloudevents+json", "authorization": f"Bearer {BEARER}"}
        pipeline = self.application.pipeline()
        reply = await pipeline.handle(Delivery("POST", "/", headers, body), pipeline.begin())
        return reply.status, dict(reply.receipts[0])

    def break_ledger(self, question: str, *, done: bool = False, times: int = 1000) -> None:
        """Let the ledger fail so often at one question, before or after it has done what it was asked."""
        restarter = self.application.pipeline()._restarter  # noqa: SLF001
        broken = Broken(self.application.ledger, question, done, times)
        restarter._ledger = restarter._reservations._ledger = broken  # noqa: SLF001


class Broken:
    """A ledger that fails at one question."""

    def __init__(self, ledger: Any, question: str, done: bool, times: int) -> None:  # noqa: FBT001
        self._ledger = ledger
        self._question = question
        self._done = done
        self._times = times

    def __getattr__(self, name: str) -> Any:
        async def fail(*arguments: Any) -> Any:
            self._times -= 1
            if self._done or self._times < 0:
                answer = await getattr(self._ledger, name)(*arguments)
            if self._times < 0:
                return answer
            raise LedgerError("ConnectionError")

        return fail if name == self._question else getattr(self._ledger, name)
