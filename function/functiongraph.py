"""The entry point of FunctionGraph's built-in Python runtime: `initializer` is called once, `handler` for each event.

https://support.huaweicloud.com/intl/en-us/devg-functiongraph/functiongraph_02_0420.html
"""

import os
import sys
from pathlib import Path


def check_python(folder: Path, here: str) -> None:
    """Check that the package in `folder`, which has compiled parts, was built for the Python `here`, such as 312.

    Raises:
        ImportError: It was built for another version.
    """
    made_for = [path.name.split("-")[1] for path in folder.glob("pydantic_core/*.cpython-*.so")]
    if made_for and here not in made_for:
        made, found = (f"Python 3.{digits[1:]}" for digits in (made_for[0], here))
        raise ImportError(f"this package is made for {made}: choose that runtime, or build it for {found} (--python)")


check_python(Path(__file__).parent, f"{sys.version_info.major}{sys.version_info.minor}")

# Keeps pydantic from searching installed packages for plugins. It reads this at import, before user data is known.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

import asyncio
import json
import threading
from collections.abc import Mapping
from typing import Any

from restarter.app import Application
from restarter.model.delivery import AccessKey, Delivery
from restarter.model.errors import DeliveryError, Malformed, check_body_size
from restarter.reporting.reply import Reply
from restarter.serving import apig
from restarter.settings.functiongraph import FunctionGraphSettings
from restarter.settings.reload import SettingsReloader
from restarter.telemetry.log import configure_logging

# Seconds of the platform's time limit that are reserved for returning the result.
MARGIN_S = 0.3


class EventNotHandled(Exception):  # the name says what happened
    """The event was not handled; FunctionGraph redelivers it or sends it to the failure destination."""


class Runtime:
    """Runs one application on one event loop, in its own thread, for all events of the instance."""

    def __init__(self) -> None:
        settings = SettingsReloader(FunctionGraphSettings)
        self._application = Application(settings.current)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="restarter", daemon=True)
        self._thread.start()
        configure_logging(settings.current().log_level)
        settings.warn()

    def handle(self, event: Any, context: Any) -> Reply:
        """Handle one event within the time that the platform leaves."""
        seconds = context.getRemainingTimeInMilliSeconds() / 1000 - MARGIN_S
        pipeline = self._application.pipeline()
        ours = pipeline.begin(seconds, _platform_key(context))
        try:
            delivery = Delivery("POST", "/invoke", {}, _body(event))
        except DeliveryError as error:
            return pipeline.error_reply(error, ours, None)
        return asyncio.run_coroutine_threadsafe(pipeline.handle(delivery, ours), self._loop).result()

    def close(self) -> None:
        """Stop the thread. Only tests need this: the platform ends the whole process."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


_lock = threading.Lock()
_runtime: Runtime | None = None


def initializer(context: Any) -> None:
    """Build everything before the first event.

    Raises:
        SettingsError: A setting is missing or wrong; the instance does not start.
    """
    global _runtime  # noqa: PLW0603  # the platform keeps the module, and nothing else, between calls
    with _lock:
        if _runtime is None:
            _take_user_data(context)
            _runtime = Runtime()


def handler(event: Any, context: Any) -> Any:
    """Handle one event. Returns a response object for an APIG event, else the receipt, or a list if there are several.

    Raises:
        EventNotHandled: The reply would be 400, 413, 422 or 503.
    """
    if _runtime is None:  # the function is configured without an initializer
        initializer(context)
    assert _runtime is not None  # noqa: S101  # for mypy
    reply = _runtime.handle(event, context)
    if apig.is_event(event):
        # The pipeline wraps the inner reply in a 200; another status means that it did not read the event.
        return json.loads((reply if reply.status == 200 else apig.response(reply)).body)
    if reply.status in (400, 413, 422, 503):
        raise EventNotHandled("; ".join(map(_in_words, reply.receipts)))
    receipts = [dict(one) for one in reply.receipts]
    return receipts[0] if len(receipts) == 1 else receipts


def _in_words(receipt: Mapping[str, Any]) -> str:
    """The message of a receipt, followed by its reason unless the message contains it already."""
    message, reason = str(receipt["message"]), str(receipt.get("reason", ""))
    return message if reason in message else f"{message} ({reason})"


def _body(event: Any) -> bytes:
    """The event as JSON, as the HTTP entry point would receive it. The pipeline checks its nesting.

    Raises:
        Malformed: It cannot be encoded as JSON, or its nesting exceeds Python's recursion limit.
        ContentTooLarge: It is over the limit.
    """
    try:
        body = json.dumps(event).encode()
    except (TypeError, ValueError, RecursionError):
        raise Malformed("event: not JSON") from None
    check_body_size(len(body))
    return body


def _take_user_data(context: Any) -> None:
    """Copy settings from the function's user data, plain and encrypted, to the environment, which may lack some."""
    for field_name, field in FunctionGraphSettings.model_fields.items():
        for name in getattr(field.validation_alias, "choices", [field_name.upper()]):
            value = context.getUserData(name)
            if value and not os.environ.get(name):  # an empty variable counts as not set
                os.environ[name] = value


def _platform_key(context: Any) -> AccessKey | None:
    """The temporary key of the function's agency, if it has one."""
    return AccessKey.from_platform(
        context.getSecurityAccessKey(), context.getSecuritySecretKey(), context.getSecurityToken()
    )
