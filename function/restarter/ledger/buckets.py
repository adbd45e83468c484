"""Opens ledgers in object stores, each over connections of its own."""

from collections.abc import Callable
from datetime import UTC, datetime

from restarter.http.transport import Transport
from restarter.ledger import Ledger, Stores
from restarter.settings.bucket_address import BucketAddress


def open_bucket(address: BucketAddress, clock: Callable[[], float], stores: Stores) -> Ledger:
    """The ledger in a bucket. `clock`: seconds since 1970."""
    transport = Transport()
    if address.scheme == "gs":
        from restarter.ledger.gcs import GcsLedger  # noqa: PLC0415  # one of the two is enough
        from restarter.ledger.gcs_store import GcsStore  # noqa: PLC0415  # the same

        return GcsLedger(GcsStore(address, stores, transport, clock))
    from restarter.ledger.obs import ObsLedger  # noqa: PLC0415  # the same
    from restarter.ledger.obs_store import ObsStore  # noqa: PLC0415  # the same

    now = lambda: datetime.fromtimestamp(clock(), UTC)  # noqa: E731  # the same clock
    return ObsLedger(ObsStore(address, stores, transport, now))
