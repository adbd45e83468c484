"""What the flow reports while it handles a delivery, and its observer, which does nothing by default.

The pipeline reports each step to one `Observer`. OpenTelemetry is one, `explain` another.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from restarter.http.call import Answer, Call, NoAnswer
from restarter.http.transport import Sender
from restarter.model.delivery import Delivery


class CallSpan:
    """One request in flight. This class records nothing."""

    headers: Mapping[str, str] = {}
    """Trace headers to send with the request; they are never signed."""

    def end(self, answer: Answer | NoAnswer) -> None:
        """Record the response, or that there is none."""


NO_SPAN = CallSpan()


class Observer:
    """An observer of deliveries and of the requests that they cause. This class does nothing. No method raises."""

    def delivery(self, delivery: Delivery) -> AbstractContextManager[str | None]:
        """A block around the handling of a delivery; yields a trace id or None."""
        return nullcontext()

    def step(self, name: str, found: object) -> None:
        """One step of the flow, and its result.

        Names: `authenticated`, `unwrapped`, `decoded`, `claimed`, `looked`, `decided`.
        """

    def call(self, call: Call) -> AbstractContextManager[CallSpan]:
        """A block around one request to OMS or another server."""
        return nullcontext(NO_SPAN)

    def replied(self, status: int, receipts: Sequence[Mapping[str, Any]], seconds: float) -> None:
        """The reply's status, the receipts of the delivery, and how long it took."""


NO_OBSERVER = Observer()


class ObservedTransport:
    """A transport that reports each request to an observer, which may add trace headers."""

    def __init__(self, transport: Sender, observer: Observer) -> None:
        self._transport = transport
        self._observer = observer

    async def send(self, call: Call, headers: Mapping[str, str], seconds: float) -> Answer | NoAnswer:
        """Send the request within `seconds`, inside the observer's block."""
        with self._observer.call(call) as span:
            answer = await self._transport.send(call, {**headers, **span.headers}, seconds)
            span.end(answer)
            return answer

    async def close(self) -> None:
        """Close the transport."""
        await self._transport.close()


def observed(transport: Sender, observer: Observer) -> Sender:
    """The transport, observed; for NO_OBSERVER the transport itself."""
    return transport if observer is NO_OBSERVER else ObservedTransport(transport, observer)
