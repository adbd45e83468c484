"""Confirm an SMN subscription: one GET of the address that SMN signed."""

from datetime import timedelta

from restarter.dialects import Subscription
from restarter.http.call import Answer, Call, NoAnswer
from restarter.http.transport import Sender
from restarter.model.delivery import DeliveryContext
from restarter.model.outcome import Kind, Outcome, Reason

MAX_AGE = timedelta(hours=48)  # SMN's link lives no longer (smn_ug_a9002)


async def confirm(subscription: Subscription, transport: Sender, seconds: float, context: DeliveryContext) -> Outcome:
    """The outcome of one GET, made within `seconds`. An older message is refused: somebody sent it again."""
    if context.received_at - subscription.occurred_at > MAX_AGE:
        return Outcome(kind=Kind.REFUSED, reason=Reason.STALE_EVENT)
    call = Call("GET", subscription.url, "", operation="ConfirmSubscription")
    return interpret(await transport.send(call, {}, min(context.remaining(), seconds)))


def interpret(answer: Answer | NoAnswer) -> Outcome:
    """A 2xx confirms; what may pass is unavailable, anything else rejected."""
    if not isinstance(answer, Answer) or answer.status >= 500 or answer.status == 429:
        return Outcome(kind=Kind.UNAVAILABLE, reason=Reason.SUBSCRIPTION)
    if 200 <= answer.status < 300:
        return Outcome(kind=Kind.IGNORED, reason=Reason.SUBSCRIPTION_CONFIRMED)
    return Outcome(kind=Kind.REJECTED, reason=Reason.SUBSCRIPTION)
