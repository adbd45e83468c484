"""Who may call: each way in is a file, and one of them must prove a delivery before anything in it is used."""

from typing import Protocol

from restarter.callers.bearer import Bearer
from restarter.callers.oidc import Oidc
from restarter.callers.platform import Platform
from restarter.callers.smn import Smn
from restarter.callers.webhook import StandardWebhook
from restarter.errors import CallerNotProved
from restarter.model import Delivery, Proved, Visit
from restarter.settings import Settings
from restarter.transport import Transport


class Way(Protocol):
    """One way in. `claims`: the delivery tries to use it; `proves`: what of it the proof covers, None if it fails."""

    @property
    def name(self) -> str: ...

    def claims(self, delivery: Delivery) -> bool: ...

    async def proves(self, delivery: Delivery, visit: Visit) -> Delivery | None: ...


def configured(settings: Settings, transport: Transport) -> tuple[Way, ...]:
    """The ways in that the settings open; settings without any do not load."""
    ways: list[tuple[object, Way]] = [
        (settings.caller_bearer_tokens, Bearer(settings)),
        (settings.caller_webhook_secrets, StandardWebhook(settings)),
        (settings.caller_smn_topics, Smn(settings, transport)),
        (settings.caller_oidc_audience, Oidc(settings, transport)),
        (settings.caller_trust_platform, Platform()),
    ]
    return tuple(way for is_open, way in ways if is_open)


async def prove(delivery: Delivery, ways: tuple[Way, ...], visit: Visit, *, envelope: Proved | None = None) -> Proved:
    """The delivery as a proved one, or CallerNotProved, which says no more than which way in was tried.

    A delivery inside a proved `envelope` needs no proof of its own; a signature that it brings counts all the same.
    """
    tried = [way for way in ways if way.claims(delivery)]
    for way in tried:
        covered = await way.proves(delivery, visit)
        if covered is not None:
            return Proved(covered, way.name)
    if envelope is not None:
        return Proved(delivery, envelope.way)
    raise CallerNotProved(", ".join(way.name for way in tried) or "no credentials")
