"""Traces and metrics, for those who collect them: one span a delivery, one span a call, counts by outcome.

Off by default, and then nothing of OpenTelemetry is imported. Its own variable OTEL_EXPORTER_OTLP_ENDPOINT turns it on,
where the extra `otel` is installed. No I/O here.
"""

import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

from restarter.call import Answer, Call, NoAnswer
from restarter.faults import SettingsError
from restarter.model import Delivery


class CallSpan(Protocol):
    """A call on its way."""

    @property
    def headers(self) -> Mapping[str, str]:
        """What the call takes along of the trace; never signed."""
        ...

    def end(self, answer: Answer | NoAnswer) -> None:
        """It came back, or did not."""
        ...


class Telemetry(Protocol):
    """What is told of a delivery and of a call."""

    def delivery(self, delivery: Delivery) -> AbstractContextManager[str | None]:
        """A span for a delivery; gives its trace id."""
        ...

    def call(self, call: Call) -> AbstractContextManager[CallSpan]:
        """A span for a call within it."""
        ...

    def replied(self, status: int, receipts: Sequence[Mapping[str, Any]], seconds: float) -> None:
        """Count the requests of a delivery, and its time."""
        ...


class NoSpan:
    """Nothing is told."""

    headers: Mapping[str, str] = {}

    def end(self, answer: Answer | NoAnswer) -> None:
        """Nothing is told."""


class Silent:
    """Nothing is told to anybody."""

    _no_span = NoSpan()

    def delivery(self, delivery: Delivery) -> AbstractContextManager[str | None]:
        """No span."""
        return nullcontext()

    def call(self, call: Call) -> AbstractContextManager[CallSpan]:
        """No span."""
        return nullcontext(self._no_span)

    def replied(self, status: int, receipts: Sequence[Mapping[str, Any]], seconds: float) -> None:
        """Nothing is counted."""


SILENT = Silent()


def open_telemetry() -> Telemetry:
    """By OpenTelemetry where it is configured by its own variable, else silent. SettingsError without the extra."""
    if not os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        return SILENT
    try:
        from restarter.otel import OpenTelemetry  # noqa: PLC0415  # an extra: only where it is configured
    except ImportError:
        raise SettingsError(["OTEL_EXPORTER_OTLP_ENDPOINT: needs OpenTelemetry: install the extra otel"]) from None
    return OpenTelemetry()
