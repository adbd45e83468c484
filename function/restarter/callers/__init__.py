"""Who may call: each way in is a file, and at least one must prove a delivery before anything in it is used."""

from typing import Protocol

from restarter.callers.bearer import Bearer
from restarter.callers.platform import Platform
from restarter.errors import CallerNotProved
from restarter.model import Delivery, Proved
from restarter.settings import Settings


class Way(Protocol):
    """One way in. `claims`: the delivery tries to use it; `proves`: and it may."""

    @property
    def name(self) -> str: ...

    def claims(self, delivery: Delivery) -> bool: ...

    async def proves(self, delivery: Delivery) -> bool: ...


def configured(settings: Settings) -> tuple[Way, ...]:
    """The ways in that the settings open; settings without any do not load."""
    ways: list[Way] = []
    if settings.caller_bearer_tokens:
        ways.append(Bearer(settings.caller_bearer_tokens))
    if settings.caller_trust_platform:
        ways.append(Platform())
    return tuple(ways)


async def prove(delivery: Delivery, ways: tuple[Way, ...]) -> Proved:
    """The delivery as a proved one, or CallerNotProved, which says no more than which way in was tried."""
    tried = [way for way in ways if way.claims(delivery)]
    for way in tried:
        if await way.proves(delivery):
            return Proved(delivery, way.name)
    raise CallerNotProved(", ".join(way.name for way in tried) or "no credentials")
