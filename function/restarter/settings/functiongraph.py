"""The settings in FunctionGraph's built-in runtime, in their own module, because no other platform builds them."""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from typing import Annotated

from pydantic import AfterValidator

from restarter.settings.errors import Fault
from restarter.settings.model import Settings


class FunctionGraphSettings(Settings):
    """The settings in FunctionGraph's built-in runtime, which only the platform can reach, so it is always trusted.

    The function may use its agency's key, which comes in the context of each call and not in a header.
    """

    caller_trust_platform: Annotated[bool, AfterValidator(lambda _given: True)] = True

    def faults_between(self, given: AbstractSet[str]) -> Iterator[Fault]:
        """The faults of a function that trusts its platform and has an agency."""
        return super().faults_between(given | {"caller_trust_platform", "oms_agency"})
