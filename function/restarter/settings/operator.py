"""The settings of the operator's command, in a module that the deployed function does not import."""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from typing import ClassVar

from restarter.settings.errors import Fault
from restarter.settings.model import Settings


class OperatorSettings(Settings):
    """Settings of which an address of OMS, a project and a key are enough. Any others are checked and used."""

    REQUIRED: ClassVar[dict[str, str]] = {"oms_project_id": Settings.REQUIRED["oms_project_id"]}

    def faults_of_deployment(self, given: AbstractSet[str]) -> Iterator[Fault]:
        """No faults: the operator's command has no callers."""
        yield from ()
