"""Authentication: one method in each file. One must accept a delivery before anything in it is used."""

from typing import Protocol

from restarter.callers.bearer import Bearer
from restarter.callers.google_oidc import Oidc
from restarter.callers.platform import Platform
from restarter.callers.smn_signature import Smn
from restarter.callers.standard_webhooks import StandardWebhook
from restarter.http.transport import Sender
from restarter.model.delivery import AuthenticatedDelivery, Delivery, DeliveryContext
from restarter.model.errors import Unauthenticated
from restarter.settings.model import Settings


class Authenticator(Protocol):
    """An authentication method."""

    @property
    def name(self) -> str:
        """Its name in receipts and in `explain`."""

    def applies_to(self, delivery: Delivery) -> bool:
        """Whether the delivery carries what this authenticator checks."""

    async def authenticate(self, delivery: Delivery, context: DeliveryContext) -> AuthenticatedDelivery | None:
        """The part of the delivery that the caller vouches for, and who that is; None if the check fails.

        Raises:
            AuthenticationUnavailable: A key or certificate could not be fetched.
        """


def configured_authenticators(settings: Settings, transport: Sender) -> tuple[Authenticator, ...]:
    """The authenticators that the settings configure. Settings without any are refused when they are read."""
    candidates: list[tuple[object, Authenticator]] = [
        (settings.caller_bearer_tokens, Bearer(settings)),
        (settings.caller_webhook_secrets, StandardWebhook(settings)),
        (settings.caller_smn_topics, Smn(settings, transport)),
        (settings.caller_oidc_audience, Oidc(settings, transport)),
        (settings.caller_trust_platform, Platform()),
    ]
    return tuple(authenticator for is_configured, authenticator in candidates if is_configured)


async def authenticate(
    delivery: Delivery,
    authenticators: tuple[Authenticator, ...],
    context: DeliveryContext,
    *,
    outer: AuthenticatedDelivery | None = None,
) -> AuthenticatedDelivery:
    """Authenticate the caller on the raw bytes of the delivery.

    A request inside `outer`, an authenticated APIG event, needs no credentials of its own; if it has valid ones, they
    take precedence.

    Raises:
        Unauthenticated: No authenticator accepts the delivery; the error names those that apply, and nothing else.
        AuthenticationUnavailable: A key or certificate could not be fetched.
    """
    applicable = [authenticator for authenticator in authenticators if authenticator.applies_to(delivery)]
    for authenticator in applicable:
        authenticated = await authenticator.authenticate(delivery, context)
        if authenticated is not None:
            return authenticated
    if outer is not None:
        return outer._replace(delivery=delivery)
    raise Unauthenticated(", ".join(authenticator.name for authenticator in applicable) or "no credentials")
