"""The deployed function, watched: function/main.py with an observer, as OpenTelemetry is one. Only the demo starts it.

It decides as it does everywhere. Each delivery is told on stderr in one line: {"steps": [[step, finding], …],
"receipts": […]}.
"""

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import restarter.app
from oms_simulator.fast_clock import clock
from restarter.cli.explain import Explanation
from restarter.http.call import Call
from restarter.model.delivery import Delivery
from restarter.reporting.redaction import Mask
from restarter.serving import control_endpoints
from restarter.telemetry.observer import NO_SPAN, CallSpan, Observer

LOOKS = {"ListTasks", "ShowTask", "ShowTaskGroup"}
STEPS: ContextVar[Explanation] = ContextVar("steps")


def _steps() -> Explanation:
    """Those of this delivery; of one that could not be read, and of calls beside deliveries, ones of their own."""
    return STEPS.get(None) or Explanation()


class Watcher(Observer):
    """Tells the steps of each delivery in the words of `explain`."""

    @contextmanager
    def delivery(self, delivery: Delivery) -> Iterator[None]:
        """Begin with what arrived."""
        explanation = Explanation()
        explanation.lines.append(("delivery", f"{delivery.method} {delivery.path}, {len(delivery.body)} bytes"))
        token = STEPS.set(explanation)
        try:
            yield
        finally:
            STEPS.reset(token)

    def step(self, name: str, found: object) -> None:
        """As `explain` puts it, but the ledger is the function's own."""
        if name == "claimed":
            _steps().lines.append(("ledger", f"the event is {getattr(found, 'value', found)}"))
        else:
            _steps().step(name, found)

    @contextmanager
    def call(self, call: Call) -> Iterator[CallSpan]:
        """A call to OMS, without its body: the keys of the buckets are in it."""
        step = "look" if call.operation in LOOKS else "call"
        _steps().lines.append((step, f"{call.method} {urlsplit(call.url).path}"))
        yield NO_SPAN

    def replied(self, status: int, receipts: Sequence[Mapping[str, Any]], seconds: float) -> None:
        """Write all steps down."""
        explanation = _steps()
        explanation.replied(status, receipts, seconds)
        mask = Mask(main.settings.current())
        lines = [(step, mask.text(found)) for step, found in explanation.lines + explanation.outcomes]
        sys.stderr.write(json.dumps({"steps": lines, "receipts": receipts}) + "\n")
        sys.stderr.flush()


if "DEMO_PAGE" in os.environ:
    control_endpoints.SEE = f"the playground's page is {os.environ['DEMO_PAGE']}"
shown_time = clock(os.environ)
restarter.app.Application = partial(  # type: ignore[assignment, misc]  # before main builds one
    restarter.app.Application, now=lambda: datetime.fromtimestamp(shown_time(), UTC), observer=Watcher()
)

import main  # noqa: E402  # now

restart = main.restart
