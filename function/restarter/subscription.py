"""Confirm an SMN subscription: one GET of the address that SMN signed."""

from datetime import timedelta

from restarter.dialects import Subscription
from restarter.http.call import Answer, Call, NoAnswer
from restarter.http.transport import Sender
from restarter.model.delivery import DeliveryContext
from restarter.model.outcome import Kind, Outcome, Reason

MAX_AGE = timedelta(hours=48)  # SMN's link expires then (smn_ug_a9002)


async def confirm(subscription: Subscription, transport: Sender, seconds: float, context: DeliveryContext) -> Outcome:
    """Confirm by one GET within `seconds`. A message older than MAX_AGE is refused: somebody has replayed it."""
    if context.received_at - subscription.occurred_at > MAX_AGE:
        return Outcome(kind=Kind.REFUSED, reason=Reason.STALE_EVENT)
    call = Call("GET", subscription.url, "", operation="ConfirmSubscription")
    return interpret(await transport.send(call, {}, min(context.remaining(), seconds)))


def interpret(answer: Answer | NoAnswer) -> Outcome:
    """A 2xx confirms. 429, 5xx and no response are unavailable, anything else is rejected."""
    if not isinstance(answer, Answer) or answer.status >= 500 or answer.status == 429:
        return Outcome(kind=Kind.UNAVAILABLE, reason=Reason.SUBSCRIPTION)
    if 200 <= answer.status < 300:
        return Outcome(kind=Kind.IGNORED, reason=Reason.SUBSCRIPTION_CONFIRMED)
    return Outcome(kind=Kind.REJECTED, reason=Reason.SUBSCRIPTION)
