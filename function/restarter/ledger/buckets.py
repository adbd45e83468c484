"""Opens ledgers in object stores, each with its own connections."""

from collections.abc import Callable
from datetime import UTC, datetime

from restarter.http.transport import Transport
from restarter.ledger import Ledger, Stores
from restarter.ledger.bucket_ledger import BucketLedger
from restarter.settings.bucket_address import BucketAddress


def open_bucket(address: BucketAddress, clock: Callable[[], float], stores: Stores) -> Ledger:
    """The ledger in a bucket. `clock`: seconds since 1970."""
    if address.scheme == "gs":
        from restarter.ledger.gcs_store import GcsStore  # noqa: PLC0415  # one of the two is enough

        store = GcsStore(address, stores, Transport(), clock)
        return BucketLedger(store, store.create)
    from restarter.ledger.obs_store import ObsStore  # noqa: PLC0415  # the same

    return BucketLedger(ObsStore(address, stores, Transport(), lambda: datetime.fromtimestamp(clock(), UTC)))
