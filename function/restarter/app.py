"""Builds once what all deliveries share, and limits what is in flight."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from restarter.http.pool import tls_context
from restarter.http.transport import Sender, Transport
from restarter.ledger import Stores, open_ledger
from restarter.model.delivery import AccessKey, utc_now
from restarter.model.errors import Busy
from restarter.oms.credentials import CredentialProvider
from restarter.pipeline import Pipeline, Resources
from restarter.reporting import receipt
from restarter.settings.errors import SettingsError
from restarter.settings.model import Settings
from restarter.telemetry.configured import configured_observer
from restarter.telemetry.observer import Observer, observed

# Requests in flight. One, with its look, takes 0.6 ms of a fast core (tests/README.md), so a small instance with a
# fifth of that core handles some 700 within half of the default deadline. A third of that capacity is left for reading
# groups and for the ledger. A whole core handles 3,600 in that time.
MAX_IN_FLIGHT = 480
# Total bytes of all bodies in memory. Nearly all bodies are under 4 KiB; 128 of the largest fit.
MAX_BODY_BYTES_IN_FLIGHT = 64 * 1024 * 1024


class Application:
    """What outlives a change of settings: transport, credentials, ledger, observer, and the count of requests.

    Args:
        source: Returns the current settings; the same object until they change.
        now: Returns the current time, UTC.
        observer: Observes each step; by default what the environment configures.
        transport: Sends requests; by default over the network.
        write: Writes the receipts of a delivery, each a line of JSON; by default to stdout.

    Raises:
        SettingsError: Telemetry is configured but its extra is not installed, or trusted certificates cannot be read.
    """

    def __init__(
        self,
        source: Callable[[], Settings],
        now: Callable[[], datetime] = utc_now,
        observer: Observer | None = None,
        transport: Sender | None = None,
        write: Callable[[Sequence[bytes]], None] = receipt.write,
    ) -> None:
        self._source = source
        self.observer = observer or configured_observer()
        if transport is None and source().endpoint_of(source().oms_project_id).startswith("https:"):
            _prepare_tls()
        self.transport = observed(transport or Transport(), self.observer)
        self.credentials = CredentialProvider(self.transport, now)
        self._lent: AccessKey | None = None
        stores = Stores.of(source(), self._storage_key)
        clock = time.time if now is utc_now else lambda: now().timestamp()
        self.ledger = open_ledger(source().restart_ledger, clock, stores)
        self._resources = Resources(
            self.transport, self.credentials, self.ledger, self.observer, now, self.slots, write, self._lend
        )
        self._in_flight = 0
        self._body_bytes = 0
        self._pipeline = self._build(source())

    @contextmanager
    def slots(self, count: int) -> Iterator[None]:
        """Count `count` requests, the events of one delivery, as in flight within the block.

        Raises:
            Busy: More than MAX_IN_FLIGHT would be in flight. An idle instance takes any delivery.
        """
        if self._in_flight and self._in_flight + count > MAX_IN_FLIGHT:
            raise Busy("busy: too many deliveries at once")
        self._in_flight += count
        try:
            yield
        finally:
            self._in_flight -= count

    @contextmanager
    def bodies(self) -> Iterator[Callable[[int], None]]:
        """Yield a function that reserves memory for each part of a body, by its size. The end of the block frees it.

        The function raises Busy if all bodies together would exceed MAX_BODY_BYTES_IN_FLIGHT.
        """
        held = 0

        def hold(size: int) -> None:
            nonlocal held
            if self._body_bytes + size > MAX_BODY_BYTES_IN_FLIGHT:
                raise Busy("busy: too many bytes at once")
            held += size
            self._body_bytes += size

        try:
            yield hold
        finally:
            self._body_bytes -= held

    def _storage_key(self) -> AccessKey | None:
        """The key for a ledger in OBS: the one in the settings, else the last one that the platform lent."""
        return self._source().access_key() or self._lent

    def _lend(self, key: AccessKey | None) -> None:
        """Keep the agency's key that came with a delivery, if one did: the platform renews it."""
        self._lent = key or self._lent

    def pipeline(self) -> Pipeline:
        """The pipeline for the current settings. A delivery uses the same one from its beginning to its end."""
        settings = self._source()
        if settings is not self._pipeline.settings:
            self._pipeline = self._build(settings)
        return self._pipeline

    def _build(self, settings: Settings) -> Pipeline:
        return Pipeline(settings, self._resources, lambda: self._source() is settings)


def _prepare_tls() -> None:
    """Read the trusted certificates now, which takes 15 ms, so that the first delivery need not wait.

    Raises:
        SettingsError: They cannot be read.
    """
    try:
        tls_context()
    except OSError as error:  # this includes ssl.SSLError
        raise SettingsError([f"SSL_CERT_FILE, SSL_CERT_DIR: {type(error).__name__}: cannot be read"]) from None
