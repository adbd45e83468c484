"""The flow of one delivery: control reply, authenticate, decode, restart each, receipts, reply."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic_core import to_json

from restarter import receipt
from restarter.callers import authenticate, configured_authenticators
from restarter.confirm import confirm
from restarter.control_endpoints import control_reply
from restarter.dialects import Decoded, DecodeOptions, Subscription, decode, functiongraph_apig, is_direct, parse
from restarter.errors import Rejected
from restarter.http.transport import Sender
from restarter.ledger import Ledger
from restarter.model import (
    AccessKey,
    AuthenticatedDelivery,
    Delivery,
    DeliveryContext,
    Event,
    Ignored,
    Kind,
    Outcome,
)
from restarter.oms.client import Oms
from restarter.oms.credentials import CredentialProvider
from restarter.reply import Reply, apig_response, reply_to
from restarter.restart import Restarter
from restarter.settings.model import Settings
from restarter.settings.shown import Mask
from restarter.sweep import Sweeper
from restarter.telemetry.observer import Observer
from restarter.telemetry.trace import trace_id_of, traceparent_of

# A part of a delivery, or the task that a sweep found, and what became of it.
Result = tuple[Decoded | Rejected, Outcome]


@dataclass(frozen=True, slots=True)
class Resources:
    """What all deliveries share, whatever the settings are."""

    transport: Sender
    credentials: CredentialProvider
    ledger: Ledger
    observer: Observer
    now: Callable[[], datetime]
    """Current time, UTC."""
    slots: Callable[[int], AbstractContextManager[None]]
    """A block in which so many requests are in flight; raises Busy when there are too many."""
    write: Callable[[Sequence[bytes]], None]
    """Takes the receipts of a delivery, each as a line of JSON."""


class Pipeline:
    """The flow by one set of settings, none of which changes while a delivery is handled."""

    def __init__(self, settings: Settings, resources: Resources, is_current: Callable[[], bool]) -> None:
        self.settings = settings
        self._now, self._slots = resources.now, resources.slots
        self._transport, self._observer, self._write = resources.transport, resources.observer, resources.write
        self._is_current = is_current
        self._mask = Mask(settings)
        self._authenticators = configured_authenticators(settings, resources.transport)
        self._options = DecodeOptions.of(settings)
        oms = Oms(settings, resources.transport, resources.credentials, resources.now)
        self._restarter = Restarter(settings, oms, resources.ledger, resources.now, resources.observer)
        self._sweeper = Sweeper(settings, oms, self._restarter, resources.now)

    def begin(self, seconds: float | None = None, platform_key: AccessKey | None = None) -> DeliveryContext:
        """Start the clock of a delivery; `seconds` is what the platform leaves it, if that is known."""
        started_at = time.monotonic()
        allowed = self.settings.restart_deadline if seconds is None else min(seconds, self.settings.restart_deadline)
        return DeliveryContext(self._now(), started_at, started_at + allowed, platform_key, time.time() + allowed)

    async def handle(
        self, delivery: Delivery, context: DeliveryContext, outer: AuthenticatedDelivery | None = None
    ) -> Reply:
        """Handle one delivery. Never raises: a Rejected becomes its reply. `outer`: the APIG event around it."""
        with self._observer.delivery(delivery) as span_trace_id:
            trace_id = trace_id_of(traceparent_of(delivery)) or span_trace_id
            try:
                control = control_reply(delivery, self.settings.caller_origins)
                if control is not None:
                    return control
                authenticated = await authenticate(delivery, self._authenticators, context, outer=outer)
                self._observer.step("authenticated", authenticated)
                parsed = parse(authenticated)
                if functiongraph_apig.recognises(parsed):
                    inside = functiongraph_apig.unwrap(parsed, outer)
                    self._observer.step("unwrapped", inside)
                    return apig_response(await self.handle(inside, context, authenticated))
                parts = decode(parsed, self._options)
                with self._slots(len(parts)):
                    if len(parts) == 1:  # as nearly always: no extra task
                        results = [await self._act(parts[0], context)]
                    else:
                        results = await asyncio.gather(*(self._act(part, context) for part in parts))
            except Rejected as error:
                return self.reject(error, context, trace_id)
            return self._reply(results, context, trace_id)

    def reject(self, error: Rejected, context: DeliveryContext, trace_id: str | None) -> Reply:
        """The receipt and reply of a delivery that is not taken."""
        return self._reply([[(error, _outcome_of(error))]], context, trace_id)

    async def _act(self, part: Decoded, context: DeliveryContext) -> Sequence[Result]:
        """What became of a part. The last result is the part's own; those before it are of tasks that a sweep found."""
        self._observer.step("decoded", part)
        match part:
            case Event() if part.request.sweep:
                return await self._sweeper.sweep(part, context)
            case Event():
                outcome = await self._restarter.restart(part, context)
                outcome = outcome if not _refused_key(outcome) or self._is_current() else _retry_with_new_key(outcome)
            case Ignored():
                outcome = Outcome(kind=Kind.IGNORED, reason=part.reason)
            case Subscription():
                outcome = await confirm(part, self._transport, self.settings.oms_timeout, context)
            case _:
                outcome = _outcome_of(part)
        return [(part, outcome)]

    def _reply(self, results: Sequence[Sequence[Result]], context: DeliveryContext, trace_id: str | None) -> Reply:
        """Write a receipt for each result, and answer the sender for all parts."""

        def build(subject: Decoded | Rejected, outcome: Outcome) -> Mapping[str, Any]:
            facts = receipt.build(outcome, subject, context, self.settings, trace_id)
            return self._mask.receipt(facts, context.platform_key)

        receipts = [[build(subject, outcome) for subject, outcome in of_part] for of_part in results]
        lines = [[to_json(one) for one in of_part] for of_part in receipts]
        self._write([line for of_part in lines for line in of_part])
        own, own_receipts = [of_part[-1] for of_part in results], [of_part[-1] for of_part in receipts]
        direct = all(is_direct(subject.dialect) for subject, _ in own)
        reply = reply_to(
            [outcome for _, outcome in own], own_receipts, [of_part[-1] for of_part in lines], direct=direct
        )
        reply = reply._replace(receipts=[one for of_part in receipts for one in of_part])
        self._observer.replied(reply.status, reply.receipts, context.elapsed())
        return reply


def _refused_key(outcome: Outcome) -> bool:
    """Whether OMS did not accept our credentials."""
    return outcome.kind is Kind.REJECTED and outcome.reason == "credentials"


def _retry_with_new_key(outcome: Outcome) -> Outcome:
    """The outcome where the settings changed after OMS refused the key: the next delivery uses the new one."""
    return outcome._replace(kind=Kind.UNAVAILABLE, reason="credentials_changed")


def _outcome_of(error: Rejected) -> Outcome:
    return Outcome(kind=error.kind, reason=error.reason)
