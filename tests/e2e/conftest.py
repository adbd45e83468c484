"""The processes that most files start, one of each for a file: the simulator, the function before it, a Valkey."""

from collections.abc import Iterator

import pytest

from processes import EXAMPLE, Running, function, simulator
from redis_server import RedisServer


@pytest.fixture(scope="module")
def oms() -> Iterator[Running]:
    with simulator() as running:
        yield running


@pytest.fixture(scope="module")
def public(oms: Running, request: pytest.FixtureRequest) -> Iterator[Running]:
    """The function with the settings of the demo, and with the file's own, which it names SETTINGS."""
    with function(EXAMPLE | getattr(request.module, "SETTINGS", {}) | {"OMS_ENDPOINT": oms.url}) as running:
        yield running


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
def fresh_world(oms: Running, public: Running) -> None:
    """OMS as at first, and no receipt of the test before."""
    oms.control("POST", "/_sim/reset")
    while not public.lines.empty():
        public.lines.get_nowait()
