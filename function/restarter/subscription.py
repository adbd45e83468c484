"""Confirm an SMN subscription: one GET of the address that SMN signed."""

from restarter.dialects import Subscription
from restarter.http.call import Answer, Call, NoAnswer
from restarter.http.transport import Sender
from restarter.model.delivery import DeliveryContext
from restarter.model.outcome import Kind, Outcome, Reason


async def confirm(subscription: Subscription, transport: Sender, seconds: float, context: DeliveryContext) -> Outcome:
    """The outcome of one GET, made within `seconds`. SMN allows a repetition within 48 hours."""
    call = Call("GET", subscription.url, "", operation="ConfirmSubscription")
    return interpret(await transport.send(call, {}, min(context.remaining(), seconds)))


def interpret(answer: Answer | NoAnswer) -> Outcome:
    """A 2xx confirms; what may pass is unavailable, anything else rejected."""
    if not isinstance(answer, Answer) or answer.status >= 500 or answer.status == 429:
        return Outcome(kind=Kind.UNAVAILABLE, reason=Reason.SUBSCRIPTION)
    if 200 <= answer.status < 300:
        return Outcome(kind=Kind.IGNORED, reason=Reason.SUBSCRIPTION_CONFIRMED)
    return Outcome(kind=Kind.REJECTED, reason=Reason.SUBSCRIPTION)
