"""The whole flow on one screen: proved, decoded, dealt with, receipted, answered."""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

from restarter import callers, dialects, receipt, surface
from restarter.call import Answer, Call
from restarter.dialects import functiongraph_apig
from restarter.errors import Busy, Malformed, Rejected
from restarter.ledger import open_ledger
from restarter.model import AccessKey, Delivery, Event, Ignored, Kind, Outcome, Proved, Visit
from restarter.oms.identities import Identities
from restarter.oms.service import Oms
from restarter.reply import Reply, reply_to
from restarter.restart import Restarter
from restarter.settings import Settings
from restarter.telemetry import Telemetry, open_telemetry
from restarter.transport import Transport


def utc_now() -> datetime:
    """The clock of the wall."""
    return datetime.now(UTC)


# Deliveries at once: what one core deals with in half of the default deadline, two calls for each.
PLACES = 480
Clock = Callable[[], datetime]
# The key was refused, and has been replaced meanwhile: the next delivery will use the new one.
CHANGED = Outcome(kind=Kind.UNAVAILABLE, reason="credentials_changed")


class Lasting:
    """What outlives a change of settings: one client for every call, what is known of keys, and the ledger."""

    def __init__(
        self, source: Callable[[], Settings], now: Clock = utc_now, telemetry: Telemetry | None = None
    ) -> None:
        self.source = source
        self.now = now
        self.telemetry = telemetry or open_telemetry()
        self.transport = Transport(self.telemetry)
        self.identities = Identities(self.transport, now)
        self.ledger = open_ledger(source().restart_ledger.get_secret_value(), lambda: now().timestamp())
        self._pipeline = Pipeline(source(), self)
        self._on_their_way = 0

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place for one delivery; Busy at once, before anything is read or started, when all are taken."""
        if self._on_their_way >= PLACES:
            raise Busy("busy: too many deliveries at once")
        self._on_their_way += 1
        try:
            yield
        finally:
            self._on_their_way -= 1

    def pipeline(self) -> "Pipeline":
        """The pipeline by the settings of this moment, for one delivery from its beginning to its end."""
        settings = self.source()
        if settings is not self._pipeline.settings:
            self._pipeline = Pipeline(settings, self)
        return self._pipeline


class Pipeline:
    """The flow by one set of settings, none of which changes while a delivery is on its way."""

    def __init__(self, settings: Settings, lasting: Lasting) -> None:
        self.settings = settings
        self._lasting = lasting
        self._ways = callers.configured(settings, lasting.transport)
        self._configured = dialects.Configured.by(settings)
        oms = Oms(settings, lasting.transport, lasting.identities, lasting.now)
        self._restarter = Restarter(settings, oms, lasting.ledger, lasting.now)

    def visit(self, seconds: float | None = None, agency: AccessKey | None = None) -> Visit:
        """The clock of a delivery starts; `seconds` are what the platform leaves it."""
        began = time.monotonic()
        allowed = self.settings.restart_deadline
        return Visit(
            self._lasting.now(), began, began + (allowed if seconds is None else min(seconds, allowed)), agency
        )

    async def answer(self, delivery: Delivery, visit: Visit) -> Reply:
        """A reply, whatever comes, within one span."""
        with self._lasting.telemetry.delivery(delivery):
            return await self._answer(delivery, visit)

    async def _answer(self, delivery: Delivery, visit: Visit, envelope: Proved | None = None) -> Reply:
        """What is wrong with a delivery ends here."""
        try:
            beside = surface.serve(delivery, self.settings.caller_origins)
            return beside or await self._deliver(delivery, visit, envelope)
        except Rejected as error:
            return self.turn_away(error, visit, delivery.headers)

    def turn_away(self, error: Rejected, visit: Visit, headers: Mapping[str, str]) -> Reply:
        """The receipt and reply of a delivery that never became a request."""
        return self._reply([error], [_outcome_of(error)], visit, headers)

    async def _deliver(self, delivery: Delivery, visit: Visit, around: Proved | None) -> Reply:
        """Delivery -> proved -> events -> outcomes -> receipts and reply."""
        proved = await callers.prove(delivery, self._ways, visit, envelope=around)
        envelope = dialects.open_envelope(proved)
        if functiongraph_apig.recognises(envelope):
            if around is not None:
                raise Malformed("body: an APIG event inside another")
            inside = await self._answer(functiongraph_apig.unwrap(envelope), visit, proved)
            body = functiongraph_apig.wrap(inside.status, inside.headers, inside.body)
            return replace(inside, status=200, headers=surface.JSON, body=body)
        parts = dialects.decode(envelope, self._configured)
        with self._lasting.place():
            if len(parts) == 1:  # as nearly always: without the tasks that several need
                outcomes = [await self._outcome(parts[0], visit)]
            else:
                outcomes = await asyncio.gather(*(self._outcome(part, visit) for part in parts))
        return self._reply(parts, outcomes, visit, delivery.headers)

    async def _outcome(self, part: dialects.Part, visit: Visit) -> Outcome:
        match part:
            case Event():
                outcome = await self._restarter.restart(part, visit)
                return CHANGED if is_refused_key(outcome) and self._lasting.source() is not self.settings else outcome
            case Ignored():
                return Outcome(kind=Kind.IGNORED, reason=part.reason)
            case dialects.Subscription():
                return await self._confirm(part, visit)
            case _:
                return _outcome_of(part)

    async def _confirm(self, subscription: dialects.Subscription, visit: Visit) -> Outcome:
        """One GET tells the topic that it may send here; within 48 hours SMN takes a repetition too."""
        seconds = min(visit.left_now(), self.settings.oms_timeout)
        answer = await self._lasting.transport.send(Call("GET", subscription.url, ""), {}, seconds)
        if not isinstance(answer, Answer) or answer.status >= 500 or answer.status == 429:
            return Outcome(kind=Kind.UNAVAILABLE, reason="subscription")
        if 200 <= answer.status < 300:
            return Outcome(kind=Kind.IGNORED, reason="subscription_confirmed")
        return Outcome(kind=Kind.REJECTED, reason="subscription")

    def _reply(
        self,
        abouts: Sequence[dialects.Part | Rejected],
        outcomes: Sequence[Outcome],
        visit: Visit,
        headers: Mapping[str, str],
    ) -> Reply:
        """Write a receipt for each outcome, and answer the sender for all of them."""
        trace_id = receipt.trace_id_of(headers.get("traceparent") or headers.get("ce-traceparent", ""))
        receipts = []
        for about, outcome in zip(abouts, outcomes, strict=True):
            facts = receipt.receipt_of(outcome, about) | {"duration_ms": round(1000 * (time.monotonic() - visit.began))}
            if isinstance(about, Event):
                facts |= self._facts_of(about, visit)
            receipts.append(facts | ({"trace_id": trace_id} if trace_id else {}))
            receipt.write(receipts[-1])
        reply = reply_to(outcomes, receipts, direct=all(dialects.is_direct(about.dialect) for about in abouts))
        self._lasting.telemetry.replied(reply.status, receipts, time.monotonic() - visit.began)
        return reply

    def _facts_of(self, event: Event, visit: Visit) -> dict[str, str | int]:
        """What the receipt says of the event that only the settings and the clock know."""
        facts: dict[str, str | int] = {}
        region = self.settings.region_of(event.project_id)
        if region is not None:
            facts["region"] = region
        if event.occurred_at is not None:
            facts["event_age_s"] = round((visit.came_at - event.occurred_at).total_seconds())
        return facts


def is_refused_key(outcome: Outcome) -> bool:
    """OMS did not accept who asked."""
    return outcome.kind is Kind.REJECTED and outcome.reason == "credentials"


def _outcome_of(error: Rejected) -> Outcome:
    return Outcome(kind=error.kind, reason=error.reason)
