"""The settings in FunctionGraph's built-in runtime, in a module of their own: no other platform builds them."""

from typing import Annotated, Any

from pydantic import AfterValidator

from restarter.settings.model import Settings


class FunctionGraphSettings(Settings):
    """The settings in FunctionGraph's built-in runtime: only the platform reaches it, so it is always trusted.

    It may use the key of its agency, which comes in the context of each call and not in a header.
    """

    caller_trust_platform: Annotated[bool, AfterValidator(lambda _given: True)] = True

    @classmethod
    def errors_between(cls, given: dict[str, Any]) -> list[tuple[str, str]]:
        """As for any function that trusts its platform and has an agency."""
        return super().errors_between(given | {"caller_trust_platform": True, "oms_agency": True})
