"""An instance that was frozen for ten minutes between two deliveries judges the second by the time of then."""

import asyncio
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from pytest_httpx import HTTPXMock

from example import BEARER, TASK, settings, shown
from httpx_transport import HttpxTransport
from restarter.app import Application
from restarter.model.delivery import Delivery
from restarter.oms.credentials import RENEW_BEFORE

FROZEN = timedelta(minutes=10)
IAM = {"iam_domain": "the-domain", "iam_user": "the-user", "iam_password": "the-password"}
NO_KEY = {"HUAWEICLOUD_SDK_AK": None, "HUAWEICLOUD_SDK_SK": None}
HEADERS = {"content-type": "application/cloudevents+json", "authorization": f"Bearer {BEARER}"}
Said = tuple[int, str, str | None]


class Instance:
    """An application whose clock stands while it is frozen, and starts again at the right time."""

    def __init__(self, runner: asyncio.Runner, httpx_mock: HTTPXMock, **changes: Any) -> None:
        self.now = datetime(2126, 11, 24, tzinfo=UTC)
        self.logins = 0
        self.tokens: list[str] = []
        self.refusing = False
        fixed = settings(**changes)
        self.application = Application(lambda: fixed, now=lambda: self.now)
        self._runner = runner
        httpx_mock.add_callback(self._answer, is_reusable=True)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.host.startswith("iam."):
            self.logins += 1
            expires_at = (self.now + RENEW_BEFORE + FROZEN / 2).strftime("%Y-%m-%dT%H:%M:%S.000000Z")
            headers = {"X-Subject-Token": f"token-{self.logins}"}
            return httpx.Response(201, headers=headers, json={"token": {"expires_at": expires_at}})
        self.tokens.append(request.headers.get("X-Auth-Token", ""))
        if self.refusing:
            return httpx.Response(403, json={"error_code": "APIGW.0302"})
        return httpx.Response(200, json=shown() if request.method == "GET" else None)

    def deliver(self, event_id: str, *, happened: datetime | None = None) -> Said:
        """Status, outcome and reason of one event."""
        event = {"specversion": "1.0", "type": "oms.task.failed", "source": "/oms", "id": event_id}
        event |= {"time": (happened or self.now).isoformat()}
        body = json.dumps(event | {"data": {"task_id": TASK}}).encode()
        pipeline = self.application.pipeline()
        reply = self._runner.run(pipeline.handle(Delivery("POST", "/", HEADERS, body), pipeline.begin()))
        (receipt,) = reply.receipts
        return reply.status, receipt["outcome"], receipt.get("reason")

    def freeze(self) -> None:
        """Nothing runs for ten minutes."""
        self.now += FROZEN


@pytest.fixture
def make(httpx_mock: HTTPXMock, environment: pytest.MonkeyPatch) -> Iterator[Callable[..., Instance]]:
    """An instance with changed settings."""
    environment.setattr("restarter.http.transport.connections", HttpxTransport)
    with asyncio.Runner() as runner:
        yield lambda **changes: Instance(runner, httpx_mock, **changes)


def test_a_token_that_expired_meanwhile_is_renewed_and_costs_no_delivery(make: Callable[..., Instance]) -> None:
    instance = make(**IAM, **NO_KEY)
    assert instance.deliver("a") == (204, "started", None)
    instance.freeze()
    assert instance.deliver("b") == (204, "started", None)
    assert instance.tokens == ["token-1", "token-1", "token-2", "token-2"]


def test_an_event_that_was_settled_before_is_a_duplicate(make: Callable[..., Instance]) -> None:
    """For another event the backoff has passed."""
    instance = make()
    assert instance.deliver("a") == (204, "started", None)
    assert instance.deliver("b") == (503, "deferred", "backoff")
    instance.freeze()
    assert instance.deliver("a") == (204, "duplicate", None)
    assert instance.deliver("b") == (204, "started", None)


def test_an_event_that_grew_too_old_meanwhile_is_refused(make: Callable[..., Instance]) -> None:
    instance = make()
    happened = instance.now - timedelta(days=1) + FROZEN / 2
    assert instance.deliver("a", happened=happened) == (204, "started", None)
    instance.freeze()
    assert instance.deliver("b", happened=happened) == (204, "refused", "stale_event")


def test_a_key_that_was_refused_is_tried_again(make: Callable[..., Instance]) -> None:
    instance = make()
    instance.refusing = True
    assert instance.deliver("a") == (422, "rejected", "credentials")
    instance.refusing = False
    assert instance.deliver("a")[1:] == ("deferred", "credentials")
    instance.freeze()
    assert instance.deliver("a") == (204, "started", None)
