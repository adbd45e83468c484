"""Tells people about receipts at ERROR, once for each task and reason. Concurrent ones share a message.

Apprise knows the services (chats, mail, webhooks). It is an extra, and is only imported for the first message.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Mapping, Sequence
from hashlib import sha256
from importlib import import_module
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from restarter.ledger import Ledger, LedgerError, new_token
from restarter.model.delivery import DeliveryContext
from restarter.model.request import target_of
from restarter.model.text import Language
from restarter.reporting.outcomes import Severity
from restarter.reporting.phrases import say
from restarter.settings.model import Settings

if TYPE_CHECKING:
    from apprise import Apprise

MOST_S = 2.0  # for a delivery, once Apprise is imported
GATHER_S, QUIET_S = 1.0, 0.25  # how long others may join a message, and how long without another one until it is sent
MOST_A_MINUTE, MINUTE_S = 10, 60.0  # messages of this instance
MOST_WAITING = 1000  # receipts
MOST_NAMES = 20  # in a message, of one cause
MOST_OF_NAME = 80  # characters
LOG = logging.getLogger(__name__)
Receipt = Mapping[str, Any]


class Notifier:
    """Tells people with one set of settings. A failure is never raised here, but logged, without an address."""

    def __init__(self, settings: Settings, ledger: Ledger) -> None:
        self._urls, self._language = settings.notify_urls, settings.restart_language
        self._window_s = settings.restart_budget.window_s
        self._ledger = ledger
        self._waiting: deque[Receipt] = deque(maxlen=MOST_WAITING)
        self._sent: deque[float] = deque(maxlen=MOST_A_MINUTE)
        self._sending: asyncio.Task[None] | None = None

    async def tell(self, receipts: Sequence[Receipt], context: DeliveryContext) -> None:
        """Tell people about receipts at ERROR that are new to them, within MOST_S and the delivery's deadline."""
        due = [one for one in receipts if one["severity"] is Severity.ERROR] if self._urls else []
        if not due:
            return
        try:
            async with asyncio.timeout(context.remaining()):
                await asyncio.to_thread(import_module, "apprise")
            async with asyncio.timeout(min(MOST_S, context.remaining())):
                is_new = await asyncio.gather(*(self._is_new(one) for one in due))
                self._waiting += [one for one, new in zip(due, is_new, strict=True) if new]
                if self._waiting:
                    self._sending = self._sending or asyncio.create_task(self._send())
                    await asyncio.shield(self._sending)
        except TimeoutError:
            LOG.error("NOTIFY_URLS: not every address took the message in time")  # noqa: TRY400  # known cause

    async def _is_new(self, receipt: Receipt) -> bool:
        """Whether nobody was told about this task and reason within the window. True if the ledger fails, too."""
        parts = (receipt.get("project_id"), _name(receipt), receipt["outcome"], receipt.get("reason"))
        name = sha256("\0".join(map(str, parts)).encode()).hexdigest()[:40]
        try:
            return await self._ledger.mark(f"told:{name}", new_token(), self._window_s)
        except LedgerError:
            return True

    async def _send(self) -> None:
        """Send one message about all waiting receipts, after a moment in which others may join them."""
        before, until = 0, time.monotonic() + GATHER_S
        try:
            while len(self._waiting) > before and time.monotonic() < until:
                before = len(self._waiting)
                await asyncio.sleep(QUIET_S)
        finally:
            self._sending = None
        now = time.monotonic()
        if len(self._sent) == MOST_A_MINUTE and now - self._sent[0] < MINUTE_S:
            LOG.warning("NOTIFY_URLS: %d messages in a minute; the rest waits for the next one", MOST_A_MINUTE)
            return
        self._sent.append(now)
        told = [*self._waiting]
        self._waiting.clear()
        for number, took in enumerate(await send(self._urls, *message(told, self._language)), 1):
            if not took:
                LOG.error("NOTIFY_URLS: address %d of %d did not take the message", number, len(self._urls))


def message(receipts: Sequence[Receipt], language: Language) -> tuple[str, str]:
    """Title and text of a message, with a paragraph for each cause, the most frequent first."""
    causes: dict[tuple[Any, ...], list[Receipt]] = {}
    for one in receipts:
        cause = tuple(one.get(name) for name in ("project_id", "credentials", "outcome", "reason", "failure_reason"))
        causes.setdefault(cause, []).append(one)
    paragraphs = [_paragraph(alike, language) for alike in sorted(causes.values(), key=len, reverse=True)]
    return say("told", language, count=len(receipts)), "\n\n".join(paragraphs)


def _paragraph(receipts: Sequence[Receipt], language: Language) -> str:
    """What happened to the first target, what to do, and to which others it happened, too."""
    first, *others = receipts
    lines = [first["message"], say("to_do", language, advice=first["advice"])]
    if others:
        names = ", ".join(_name(one)[:MOST_OF_NAME] for one in others[:MOST_NAMES])
        more = say("more", language, count=len(others), names=names)
        lines.append(more + (" …" if len(others) > MOST_NAMES else ""))
    return "\n".join(lines)


def _name(receipt: Receipt) -> str:
    _, name = target_of(receipt) or ("event_id", receipt.get("event_id") or "?")
    return name


async def send(urls: Sequence[SecretStr], title: str, text: str) -> list[bool]:
    """Send a message to all addresses concurrently. Returns whether each took it."""
    services = await asyncio.to_thread(_services, urls)
    sent = (one.async_notify(title=title, body=text, body_format="text", timeout=MOST_S) for one in services)
    return [bool(result) for result in await asyncio.gather(*sent)]


def _services(urls: Sequence[SecretStr]) -> "list[Apprise]":
    """One service for each address; for an unknown one it sends nothing. Blocks for half a second the first time."""
    import apprise  # noqa: PLC0415  # an extra

    for name in ("apprise", "urllib3", "requests_oauthlib"):  # they log addresses
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    services = [apprise.Apprise() for _ in urls]
    for service, url in zip(services, urls, strict=True):
        service.add(url.get_secret_value())
    return services
