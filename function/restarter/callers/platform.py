"""Accepts deliveries whose caller the platform has authenticated (Cloud Run IAM, FunctionGraph). No I/O here."""

from restarter.model.delivery import AuthenticatedDelivery, Delivery, DeliveryContext


class Platform:
    """Accepts every delivery; configured by CALLER_TRUST_PLATFORM alone."""

    name = "platform"

    def applies_to(self, delivery: Delivery) -> bool:
        """Always True: nothing in the delivery is needed."""
        return True

    async def authenticate(self, delivery: Delivery, context: DeliveryContext) -> AuthenticatedDelivery | None:
        """The delivery as it is: the operator states that only authenticated callers reach the function."""
        return AuthenticatedDelivery(delivery, self.name)
