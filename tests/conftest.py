"""The environment of every test: none of the machine's settings, and none of its keys."""

import gc
import os
import pkgutil
import ssl
import sys
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from typing import Any

import hypothesis
import pytest

import child_processes
import restarter
import warm_start
from example import ENVIRONMENT

# A slow example shows that the machine is busy, and nothing about the code.
hypothesis.settings.register_profile("gate", deadline=None)
hypothesis.settings.load_profile("gate")

OURS: tuple[str, ...] = (
    "OMS_",
    "RESTART_",
    "CALLER_",
    "HUAWEICLOUD_",
    "CLOUD_SDK_",
    "IAM_",
    "NOTIFY_",
    "EVENT_TYPES",
    "SECRETS_DIR",
    "LOG_LEVEL",
)
OURS += ("K_SERVICE", "FUNCTION_TARGET", "RUNTIME_")  # by these a platform is known

new_tls_context = ssl.create_default_context
tls_context_of = cache(new_tls_context)


def tls_context(*arguments: Any, **named: Any) -> ssl.SSLContext:
    """What ssl makes; one for all of those that have nothing but a file of roots."""
    return new_tls_context(*arguments, **named) if arguments or named.keys() != {"cafile"} else tls_context_of(**named)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Settings that load; a test changes them before it makes what reads them."""
    # The framework adds a folder to the path each time it loads a function; after hundreds of times imports get slow.
    monkeypatch.setattr(sys, "path", [*sys.path])
    # Each client of httpx reads all roots of TLS, 20 ms of CPU, and the clients of tests speak plain HTTP.
    monkeypatch.setattr(ssl, "create_default_context", tls_context)
    for name in [name for name in os.environ if name.startswith(OURS)]:
        monkeypatch.delenv(name)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


@pytest.fixture
def unmeasured() -> Iterator[None]:
    """Pause coverage, for tests that send thousands of deliveries through code which others measure.

    Measuring more than doubles their CPU. pytest-cov's `no_cover` has no effect under xdist, where two collectors run.
    """
    with nothing_measured():
        yield


@contextmanager
def nothing_measured() -> Iterator[None]:
    tracing = sys.gettrace(), threading.gettrace()
    sys.settrace(None)
    threading.settrace(None)
    try:
        yield
    finally:
        sys.settrace(tracing[0])
        threading.settrace(tracing[1])


def pytest_configure() -> None:
    """Processes that tests start themselves are forked; those that the playground and the demo start are not."""
    child_processes.starter = warm_start.start


def pytest_unconfigure() -> None:
    warm_start.end()


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Measure how the function is imported, but not what tests import besides, which each worker does for seconds."""
    for module in pkgutil.walk_packages(restarter.__path__, "restarter."):
        if module.name != "restarter.__main__":
            import_module(module.name)
    with nothing_measured():
        gc.disable()
        try:
            return (yield)
        finally:
            gc.freeze()  # six thousand tests stay to the end: no collection needs to look at them again
            gc.enable()
