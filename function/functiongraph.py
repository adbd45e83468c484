"""The other door: FunctionGraph's built-in Python runtime, which calls `initializer` once and `handler` for each event.

https://support.huaweicloud.com/intl/en-us/devg-functiongraph/functiongraph_02_0420.html
"""

import asyncio
import json
import os
import threading
from typing import Any

from pydantic import SecretStr

from restarter import receipt
from restarter.dialects import functiongraph_apig
from restarter.errors import TooLarge
from restarter.model import AccessKey, Delivery
from restarter.pipeline import Lasting
from restarter.reply import Reply
from restarter.rotation import Rotation
from restarter.settings import FunctionGraphSettings

# Seconds kept back from what the platform leaves, to hand the answer over.
MARGIN = 0.3
# The same as at the other door.
LONGEST_BODY = 512 * 1024


class NotDone(Exception):  # it is what happened
    """The event was not dealt with; FunctionGraph retries it or hands it to the destination for failures."""


class Runtime:
    """One event loop in a thread of its own and one pipeline on it, for all calls of the instance."""

    def __init__(self) -> None:
        rotation = Rotation(FunctionGraphSettings)
        self._lasting = Lasting(rotation.current)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="restarter", daemon=True)
        self._thread.start()
        receipt.open_log(rotation.current().log_level)
        rotation.warn()

    def answer(self, event: Any, context: Any) -> Reply:
        """The reply to one event, within the time that the platform leaves."""
        seconds = context.getRemainingTimeInMilliSeconds() / 1000 - MARGIN
        delivery = Delivery("POST", "/invoke", {}, json.dumps(event).encode())
        pipeline = self._lasting.pipeline()
        visit = pipeline.visit(seconds, _agency_key(context))
        if len(delivery.body) > LONGEST_BODY:
            return pipeline.turn_away(TooLarge(f"body: over {LONGEST_BODY} bytes"), visit, {})
        return asyncio.run_coroutine_threadsafe(pipeline.answer(delivery, visit), self._loop).result()

    def close(self) -> None:
        """End the thread, for tests; the platform ends the process."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


_lock = threading.Lock()
_runtime: Runtime | None = None


def initializer(context: Any) -> None:
    """Build everything before the first event; a fault in the settings stops the instance and names itself."""
    global _runtime  # noqa: PLW0603  # the platform keeps the module, and nothing else, between calls
    with _lock:
        if _runtime is None:
            _take_user_data(context)
            _runtime = Runtime()


def handler(event: Any, context: Any) -> Any:
    """Deal with one event: APIG's gets the response that it wants, any other its receipt; else NotDone is raised."""
    if _runtime is None:  # the function is configured without an initializer
        initializer(context)
    assert _runtime is not None  # noqa: S101  # for mypy
    reply = _runtime.answer(event, context)
    if isinstance(event, dict) and {"httpMethod", "requestContext", "body"} <= event.keys():
        unopened = reply.status != 200  # what even the pipeline could not read as an APIG event
        body = functiongraph_apig.wrap(reply.status, reply.headers, reply.body) if unopened else reply.body
        return json.loads(body)
    if reply.status in (422, 503):
        raise NotDone("; ".join(str(one["message"]) for one in reply.receipts))
    receipts = [dict(one) for one in reply.receipts]
    return receipts[0] if len(receipts) == 1 else receipts


def _take_user_data(context: Any) -> None:
    """Settings are the function's user data, plain and encrypted, and not all of it is in the environment."""
    for field_name, field in FunctionGraphSettings.model_fields.items():
        for name in getattr(field.validation_alias, "choices", [field_name.upper()]):
            value = context.getUserData(name)
            if value and not os.environ.get(name):  # an empty one counts as not set
                os.environ[name] = value


def _agency_key(context: Any) -> AccessKey | None:
    """The temporary key of the function's agency, if it has one."""
    parts = context.getSecurityAccessKey(), context.getSecuritySecretKey(), context.getSecurityToken()
    if not all(parts):
        return None
    ak, sk, token = (SecretStr(part) for part in parts)
    return AccessKey(ak, sk, token)
