"""Of the network only the wire to OMS is faked, by pytest-httpx; it fails on a second or unexpected request."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from functions_framework.aio import create_asgi_app
from pytest_httpx import HTTPXMock

from example import ENVIRONMENT
from function_client import Function
from httpx_transport import HttpxTransport
from restarter.ledger import sqlite_file
from simulated import Simulated


@pytest.fixture(autouse=True)
def closed_ledgers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close the files of ledgers: nothing ends the applications of tests, and Python 3.13 warns of an open one."""
    connections: list[sqlite3.Connection] = []

    def opened(path: Path) -> sqlite3.Connection:
        connections.append(sqlite_file.opened(path))
        return connections[-1]

    monkeypatch.setattr("restarter.ledger.sqlite.opened", opened)
    yield
    for connection in connections:
        connection.close()


@pytest.fixture
def make_function(environment: pytest.MonkeyPatch, httpx_mock: HTTPXMock) -> Callable[..., Function]:
    """Start the function with changed settings; None takes one away."""

    def make(**settings: str | None) -> Function:
        for name, value in settings.items():
            environment.delenv(name, raising=False) if value is None else environment.setenv(name, value)
        environment.setattr("restarter.http.transport.connections", HttpxTransport)
        return Function(create_asgi_app("restart", "function/main.py", "http"))

    return make


@pytest.fixture(scope="module")
def start_once() -> Iterator[Callable[..., Any]]:
    """Start the function for many attempts that leave nothing behind: to start it takes longer than to refuse them."""

    def start(**settings: str) -> Any:
        with pytest.MonkeyPatch.context() as environment:
            for name, value in {**ENVIRONMENT, **settings}.items():
                environment.setenv(name, value)
            return create_asgi_app("restart", "function/main.py", "http")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("restarter.http.transport.connections", HttpxTransport)
        yield start


@pytest.fixture
def function(make_function: Callable[..., Function]) -> Function:
    """The function with the settings of `example`."""
    return make_function()


@pytest.fixture
def make_simulated(environment: pytest.MonkeyPatch, httpx_mock: HTTPXMock) -> Callable[..., Simulated]:
    environment.setattr("restarter.http.transport.connections", HttpxTransport)
    return lambda **changes: Simulated(httpx_mock, **changes)
