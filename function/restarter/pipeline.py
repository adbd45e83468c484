"""The flow of one delivery: control reply, authenticate, decode, restart each, receipts, reply."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import NamedTuple

from pydantic_core import to_json

from restarter.callers import authenticate, configured_authenticators
from restarter.dialects import Decoded, DecodeOptions, Subscription, decode, is_direct, parse
from restarter.http.transport import Sender
from restarter.ledger import Ledger
from restarter.model.delivery import AccessKey, AuthenticatedDelivery, Delivery, DeliveryContext
from restarter.model.errors import DeliveryError
from restarter.model.outcome import Kind, Outcome, Reason
from restarter.model.request import Event, Ignored
from restarter.oms.client import Oms
from restarter.oms.credentials import CredentialProvider
from restarter.reporting import receipt
from restarter.reporting.notify import Notifier
from restarter.reporting.redaction import Mask
from restarter.reporting.reply import Entry, Reply, reply_to
from restarter.restart import Restarter
from restarter.serving import apig
from restarter.serving.control_endpoints import control_reply
from restarter.settings.model import Settings
from restarter.siblings import Siblings, following, named_by
from restarter.subscription import confirm
from restarter.sweep import Sweeper
from restarter.telemetry.observer import Observer
from restarter.telemetry.trace_context import trace_id_of, traceparent_of


class Result(NamedTuple):
    """A part of a delivery, or a task that a sweep found, and its outcome."""

    subject: Decoded | DeliveryError
    outcome: Outcome
    answers_sender: bool = True
    """False for a task that a sweep found: the outcome of the sweep decides the reply."""


class Resources(NamedTuple):
    """What all deliveries share, whatever the settings are."""

    transport: Sender
    credentials: CredentialProvider
    ledger: Ledger
    observer: Observer
    now: Callable[[], datetime]
    """Current time, UTC."""
    slots: Callable[[int], AbstractContextManager[None]]
    """Counts that many requests as in flight within a block; raises Busy if there are too many."""
    write: Callable[[Sequence[bytes]], None]
    """Takes the receipts of a delivery, each as a line of JSON."""
    lend: Callable[[AccessKey | None], None]
    """Takes the key that the platform lent with a delivery, if it did, once the caller is authenticated."""


class Pipeline:
    """Handles deliveries with one set of settings, which never change during a delivery."""

    def __init__(self, settings: Settings, resources: Resources, is_current: Callable[[], bool]) -> None:
        self.settings = settings
        self._now, self._slots = resources.now, resources.slots
        self._transport, self._observer, self._write = resources.transport, resources.observer, resources.write
        self._lend = resources.lend
        self._is_current = is_current
        self._mask = Mask(settings)
        self._authenticators = configured_authenticators(settings, resources.transport)
        self._options = DecodeOptions.of(settings)
        oms = Oms(settings, resources.transport, resources.credentials, resources.now)
        self._restarter = Restarter(settings, oms, resources.ledger, resources.now, resources.observer)
        self._notifier = Notifier(settings, resources.ledger)
        self._sweeper = Sweeper(settings, oms, self._restarter, resources.now)

    def begin(self, seconds: float | None = None, platform_key: AccessKey | None = None) -> DeliveryContext:
        """Start the clock of a delivery. `seconds`: the platform's limit, if known; RESTART_DEADLINE caps it."""
        started_at = time.monotonic()
        allowed = self.settings.restart_deadline if seconds is None else min(seconds, self.settings.restart_deadline)
        return DeliveryContext(self._now(), started_at, started_at + allowed, platform_key, time.time() + allowed)

    async def handle(
        self, delivery: Delivery, context: DeliveryContext, outer: AuthenticatedDelivery | None = None
    ) -> Reply:
        """Handle one delivery. A DeliveryError becomes its reply. `outer`: the APIG event that contains it."""
        with self._observer.delivery(delivery) as span_trace_id:
            trace_id = trace_id_of(traceparent_of(delivery)) or span_trace_id
            try:
                control = control_reply(delivery, self.settings.caller_origins)
                if control is not None:
                    return control
                authenticated = await authenticate(delivery, self._authenticators, context, outer=outer)
                self._observer.step("authenticated", authenticated)
                self._lend(context.platform_key)
                read = self._read(authenticated, outer)
                if isinstance(read, Delivery):
                    return apig.response(await self.handle(read, context, authenticated))
                with self._slots(len(read)):
                    if len(read) == 1:  # nearly always
                        results = [await self._act(read[0], context, None)]
                    else:
                        siblings = Siblings()
                        results = await asyncio.gather(*(self._act_once(part, context, siblings) for part in read))
            except DeliveryError as error:
                reply = self.error_reply(error, context, trace_id)
            else:
                reply = self._reply([result for of_part in results for result in of_part], context, trace_id)
            await self._notifier.tell(reply.receipts, context)
            return reply

    def _read(
        self, authenticated: AuthenticatedDelivery, outer: AuthenticatedDelivery | None
    ) -> Sequence[Decoded] | Delivery:
        """The parts of a delivery, or the request inside an APIG event. The parsed document is freed on return."""
        parsed = parse(authenticated)
        if not apig.recognises(parsed):
            return decode(parsed, self._options)
        inside = apig.unwrap(parsed, outer)
        self._observer.step("unwrapped", inside)
        return inside

    def error_reply(self, error: DeliveryError, context: DeliveryContext, trace_id: str | None) -> Reply:
        """Write the receipt of a delivery that failed with `error`, and return the reply."""
        return self._reply([Result(error, _outcome_of(error))], context, trace_id)

    async def _act_once(self, part: Decoded, context: DeliveryContext, siblings: Siblings) -> Sequence[Result]:
        """The results of a part. If an earlier part names the same event or target, only the earlier one acts.

        A part that is refused for its age does not count as an earlier one.
        """
        if not isinstance(part, Event) or self._restarter.refuses(part, context):
            return await self._act(part, context, siblings)
        return await siblings.once(
            named_by(part),
            lambda: self._act(part, context, siblings),
            lambda first, shared: [Result(part, following(first[-1].outcome, shared))],
        )

    async def _act(self, part: Decoded, context: DeliveryContext, siblings: Siblings | None) -> Sequence[Result]:
        """The result of a part. If it is a sweep, the results of the tasks that it found come first."""
        self._observer.step("decoded", part)
        match part:
            case Event() if part.request.sweep:
                *found, (tick, swept) = await self._sweeper.sweep(part, context, siblings)
                return [*(Result(task, outcome, answers_sender=False) for task, outcome in found), Result(tick, swept)]
            case Event():
                outcome = await self._restarter.restart(part, context, siblings)
                if (outcome.kind, outcome.reason) == (Kind.REJECTED, Reason.OMS_KEY) and not self._is_current():
                    # The settings changed after OMS refused the key: the next delivery uses the new one.
                    outcome = outcome._replace(kind=Kind.UNAVAILABLE, reason=Reason.CREDENTIALS_CHANGED)
            case Ignored():
                outcome = Outcome(kind=Kind.IGNORED, reason=part.reason)
            case Subscription():
                outcome = await confirm(part, self._transport, self.settings.oms_timeout, context)
            case _:
                outcome = _outcome_of(part)
        return [Result(part, outcome)]

    def _reply(self, results: Sequence[Result], context: DeliveryContext, trace_id: str | None) -> Reply:
        """Write a receipt for each result, and make one reply for all of them."""
        entries = [self._entry(result, context, trace_id) for result in results]
        self._write([entry.line for entry in entries])
        reply = reply_to(entries)._replace(receipts=[entry.receipt for entry in entries])
        self._observer.replied(reply.status, reply.receipts, context.elapsed())
        return reply

    def _entry(self, result: Result, context: DeliveryContext, trace_id: str | None) -> Entry:
        """A result with its receipt, masked."""
        facts = receipt.build(result.outcome, result.subject, context, self.settings, trace_id)
        shown = self._mask.receipt(facts, context.platform_key)
        return Entry(result.outcome, shown, to_json(shown), is_direct(result.subject.dialect), result.answers_sender)


def _outcome_of(error: DeliveryError) -> Outcome:
    return Outcome(kind=error.kind, fault=error.fault)
