"""A ledger in the simulator's object store, for the suite of ledgers and for the processes that race in it."""

import time

from pydantic import SecretStr

from restarter.ledger import Ledger, Stores, obs_store, open_ledger
from restarter.model.delivery import AccessKey
from restarter.settings.ledger_address import parse_ledger_address
from simulator_calls import AK, SK

PATIENCE_S = 20.0
ADDRESS = "obs://example-ledger/some/prefix"


def open_obs(url: str) -> Ledger:
    """A ledger of its own in the simulator at `url`. It waits for as long as a slow machine takes."""
    obs_store.TIMEOUT_S = PATIENCE_S
    return open_ledger(parse_ledger_address(ADDRESS), time.time, Stores(key=example_key, obs_endpoint=url))


def example_key() -> AccessKey:
    """The key that the simulator knows."""
    return AccessKey(SecretStr(AK), SecretStr(SK))
