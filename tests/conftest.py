"""The environment of every test: none of the machine's settings, and none of its keys."""

import os
import sys

import hypothesis
import pytest

from example import ENVIRONMENT

# A machine that is busy makes an example slow, and says nothing about the code.
hypothesis.settings.register_profile("gate", deadline=None)
hypothesis.settings.load_profile("gate")

OURS: tuple[str, ...] = (
    "OMS_",
    "RESTART_",
    "CALLER_",
    "HUAWEICLOUD_",
    "CLOUD_SDK_",
    "IAM_",
    "EVENT_TYPES",
    "SECRETS_DIR",
    "LOG_LEVEL",
)
OURS += ("K_SERVICE", "FUNCTION_TARGET", "RUNTIME_")  # by these a platform is known


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Settings that load; a test changes them before it makes what reads them."""
    # The framework adds a folder to the path each time it loads a function; after hundreds of times imports get slow.
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in [name for name in os.environ if name.startswith(OURS)]:
        monkeypatch.delenv(name)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    return monkeypatch
