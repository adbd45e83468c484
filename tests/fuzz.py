"""Deliveries of every dialect, with every kind of header and byte, through the whole app; OMS is a stand-in.

    python tests/fuzz.py [--seconds 3600] [--seed 1]

As a program it plays rounds of 2,000 deliveries, each round of another seed, until the time is over. It prints each
seed, and ends with an error at the first broken promise, which hypothesis has shrunk by then. The gate plays 600
deliveries, always the same (tests/wire/test_fuzz.py).

Promises: no 500; nothing is asked of OMS without a proof of who calls; no task is started that the delivery does not
name, and none twice for the same event; no step of the event loop takes over 100 ms of its thread; no line or reply is
over 16 KiB; no configured secret is in any of them.
"""

import argparse
import asyncio
import contextlib
import gc
import io
import json
import logging
import os
import random
import re
import sys
import tempfile
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote

import hypothesis
from hypothesis import HealthCheck
from hypothesis import strategies as st

ROOT = Path(__file__).parents[1]
if __name__ == "__main__":
    sys.path[:0] = [str(ROOT / folder) for folder in ("function", "infra/demo", "infra/simulator", "tests")]

from functions_framework.aio import create_asgi_app  # noqa: E402  # run as a program, it finds them only now

import signers  # noqa: E402  # run as a program, it finds them only now
from example import ENVIRONMENT, TASK_NAME, shown, slowness  # noqa: E402  # run as a program, it finds them only now
from restarter.http.call import Answer, Call, NoAnswer  # noqa: E402  # run as a program, it finds them only now
from restarter.model.outcome import Reason  # noqa: E402  # run as a program, it finds them only now

MAX_STALL_S = 0.1
MAX_BYTES = 16 * 1024
ROUND = 2000
BEGAN = datetime.now(UTC).isoformat()
NAMED = 191297407830999  # the id of every task that is asked for by its name
SECRETS = {
    "HUAWEICLOUD_SDK_SK": "Canary-sdk-sk-0123456789abcdef",
    "OMS_SRC_SK": "Canary-src-sk-0123456789abcdef",
    "OMS_DST_SK": "Canary-dst-sk-0123456789abcdef",
    "CALLER_BEARER_TOKENS": "Canary-caller-0123456789abcdef",
    "OMS_PROFILES__AWS__SRC_SK": "Canary-aws-sk-0123456789abcdef",
}
SETTINGS = {
    "OMS_PROFILES__AWS__SRC_AK": "AKIAEXAMPLE",
    "OMS_PROFILES__AWS__DST_AK": "AKEXAMPLE2",
    "OMS_PROFILES__AWS__DST_SK": "Canary-aws-dst-0123456789abcdef",
    "OMS_PROJECTS": '{"00000000000000000000000000000001": "cn-north-1"}',
    "CALLER_WEBHOOK_SECRETS": signers.WEBHOOK_SECRET,
    "CALLER_SMN_TOPICS": signers.TOPIC,
    "CALLER_OIDC_AUDIENCE": signers.AUDIENCE,
    "CALLER_OIDC_EMAILS": signers.EMAIL,
    "EVENT_TYPES_FAILED": "com.example.failed",
    "RESTART_BACKOFF": "0",
}
CANARIES = [*SECRETS.values(), SETTINGS["OMS_PROFILES__AWS__DST_SK"], signers.WEBHOOK_SECRET.removeprefix("whsec_")]


@dataclass(frozen=True, repr=False)
class Raw:
    """One HTTP request as it comes over the wire, and what may come of it."""

    method: str = "POST"
    path: str = "/"
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""
    proven: bool = False
    """A valid proof of who calls is among headers and body, or may be."""
    answers: Mapping[str, Any] = field(default_factory=dict)
    """What OMS answers."""

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # noqa: FBT001  # hypothesis's names
        printer.text(repr(self))

    def __repr__(self) -> str:
        """What a person can read of it."""
        headers = ", ".join(f"{name!r}: {value[:60]!r}" for name, value in self.headers[:12])
        body = f"{self.body[:600]!r} of {len(self.body)} bytes"
        return (
            f"Raw({self.method} {self.path[:40]}, {headers} of {len(self.headers)}, {body}, {str(self.answers)[:200]})"
        )


# -- OMS


class StandIn:
    """The transport: knows every task, and notes what is asked."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.answers: Mapping[str, Any] = {}

    async def send(self, call: Call, headers: Mapping[str, str], seconds: float) -> Answer | NoAnswer:
        """An answer at once, and now and then none."""
        self.calls.append(call)
        await asyncio.sleep(0)
        if call.method != "GET":
            return self._answer(self.answers.get("start", (200, b"")))
        if "show" in self.answers:
            return self._answer(self.answers["show"])
        if "groups" in call.path:
            return Answer(404)
        if call.operation == "ListTasks":
            name = dict(call.query).get("task_name", "")
            return Answer(200, json.dumps({"tasks": [shown(id=NAMED, name=name)]}).encode())
        return Answer(200, json.dumps(shown(id=call.path.rpartition("/")[2]) | self.answers.get("task", {})).encode())

    async def close(self) -> None:
        """There is nothing to close."""

    @staticmethod
    def _answer(given: tuple[int, bytes] | None) -> Answer | NoAnswer:
        if given is None:
            return NoAnswer(sent=True, reason=Reason.TIMEOUT)
        return Answer(*given, request_id=SECRETS["OMS_SRC_SK"])

    def started(self) -> list[str]:
        """The ids in the calls that start something."""
        ids = (re.search(r"/(?:tasks|taskgroups)/([^/]+)/(?:start|retry)$", call.path) for call in self.calls)
        return [found[1] for found in ids if found]


# -- the app and what it says


class Fuzzed:
    """The app on a loop of its own, with a watchdog on the loop."""

    def __init__(self, app: Any, oms: StandIn) -> None:
        self._app, self.oms = app, oms
        self._runner = asyncio.Runner()
        self._stall_s, self.longest_s = 0.0, 0.0
        self.deliveries, self.started = 0, 0
        self.statuses: dict[int, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.close()

    def check(self, raw: Raw) -> list[str]:
        """Deliver, hold every promise against what came out, and give the ids that were started.

        Coverage does not watch meanwhile: it would take more time than what is watched.
        """
        tracer = sys.gettrace()
        sys.settrace(None)
        try:
            return self._check(raw)
        finally:
            sys.settrace(tracer)

    def _check(self, raw: Raw) -> list[str]:
        self.oms.calls, self.oms.answers = [], raw.answers
        out, err = io.StringIO(), io.StringIO()
        self._stall_s = 0.0
        for handler in logging.getLogger("restarter").handlers:
            if isinstance(handler, logging.StreamHandler):
                handler.setStream(err)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status, body = self._runner.run(self._watched(raw))
        self.deliveries += 1
        self.statuses[status] = self.statuses.get(status, 0) + 1
        assert status < 500 or status == 503, (status, err.getvalue())
        started = self.oms.started()  # before the delivery is repeated for its time
        for _ in range(2):  # what a delivery costs it costs again; collecting hypothesis's own garbage does not
            if self._stall_s >= MAX_STALL_S:
                gc.collect()
                self._stall_s = 0.0
                with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                    self._runner.run(self._watched(raw))
        assert self._stall_s < MAX_STALL_S or self._stall_s < MAX_STALL_S * slowness(), (
            f"a stall of {self._stall_s:.3f} s"
        )
        self.longest_s = max(self.longest_s, self._stall_s)
        said = [body, *out.getvalue().encode().splitlines(), *err.getvalue().encode().splitlines()]
        assert "Traceback" not in err.getvalue()
        assert max(map(len, said)) < MAX_BYTES
        for canary in CANARIES:
            assert not [line for line in said if canary.encode() in line], canary
        assert raw.proven or not self.oms.calls
        self.started += len(started)
        if started:
            assert set(started) <= named_in(raw) | {str(NAMED)}
            assert len(started) == len(set(started)) or len(started) <= times_named(raw), started
        for call in self.oms.calls:
            assert call.origin.startswith(("https://oms.cn-north-", "https://console.huaweicloud.com/", "https://smn."))
        return started

    async def _watched(self, raw: Raw) -> tuple[int, bytes]:
        """The reply; meanwhile the watchdog runs in every turn of the loop and sees how long the others took."""

        async def watch() -> None:
            while True:
                began = time.thread_time()  # and not of the wall: a busy machine takes the thread's time away
                await asyncio.sleep(0)
                self._stall_s = max(self._stall_s, time.thread_time() - began)

        watching = asyncio.create_task(watch())
        await asyncio.sleep(0)
        try:
            reply = await self._deliver(raw)
            await asyncio.sleep(0)
            return reply
        finally:
            watching.cancel()

    async def _deliver(self, raw: Raw) -> tuple[int, bytes]:
        said: list[dict[str, Any]] = []
        parts = [raw.body[at : at + 65536] for at in range(0, len(raw.body), 65536)] or [b""]

        async def receive() -> dict[str, Any]:
            if not parts:
                return {"type": "http.disconnect"}
            return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

        async def send(message: dict[str, Any]) -> None:
            said.append(message)

        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": raw.method,
            "scheme": "http",
            "path": unquote(raw.path),
            "raw_path": raw.path.encode("ascii", "replace"),
            "query_string": b"",
            "root_path": "",
            "server": ("127.0.0.1", 8080),
            "client": ("127.0.0.1", 1),
            "headers": [(name.lower(), value) for name, value in raw.headers],
            "state": {},
        }
        await self._app(scope, receive, send)
        return said[0]["status"], b"".join(message.get("body", b"") for message in said[1:])


def texts_in(raw: Raw) -> list[str]:
    """The texts of a delivery, as they were sent."""
    return [raw.body.decode("utf-8", "replace"), *(value.decode("latin-1") for _, value in raw.headers)]


def times_named(raw: Raw) -> int:
    """How often a delivery names a task or a group: each may be an event of its own about the same one."""
    return sum(text.count("task") + text.count("group") for text in _unwrapped(texts_in(raw)))


def named_in(raw: Raw) -> set[str]:
    """Every number and id in the texts of a delivery, however they are wrapped."""
    texts = texts_in(raw)
    found: set[str] = set()
    for text in _unwrapped(texts):
        found |= {number.lstrip("0") or "0" for number in re.findall(r"[0-9]{1,19}", text)}
        found |= set(re.findall(r"[A-Za-z0-9_-]{1,255}", text))
    return found


def _unwrapped(texts: list[str]) -> Iterator[str]:
    """The texts, those in the JSON in them, and those that they are the base64 of."""
    for _ in range(5):
        inner: list[str] = []
        for text in texts:
            yield text
            with contextlib.suppress(ValueError, RecursionError):
                inner += _strings(json.loads(text))
            with contextlib.suppress(ValueError):
                inner.append(b64decode(text, validate=True).decode())
        texts = [text for text in inner if len(text) > 1]


def _strings(document: Any) -> list[str]:
    match document:
        case str():
            return [document]
        case bool() | None:
            return []
        case int():
            with contextlib.suppress(ValueError):
                return [str(document)]
            return []
        case list():
            return [text for one in document for text in _strings(one)]
        case dict():
            return [text for one in document.items() for text in _strings(list(one))]
    return []


@contextlib.contextmanager
def fuzzed() -> Iterator[Fuzzed]:
    """The app with every authentication method, as the framework loads it, and without a network."""
    oms = StandIn()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as undo:
        pem, keys = Path(folder, "smn.pem"), Path(folder, "keys.json")
        pem.write_bytes(signers.certificate(signers.rsa_key("smn")))
        keys.write_text(json.dumps(signers.key_set(signers.rsa_key("google"))))
        pinned = {"CALLER_SMN_CERTIFICATE": str(pem), "CALLER_OIDC_KEYS": str(keys)}
        undo.enter_context(_environment({**ENVIRONMENT, **SETTINGS, **SECRETS, **pinned}))
        with _replaced("restarter.app", "Transport", lambda: oms):
            app = create_asgi_app("restart", str(ROOT / "function" / "main.py"), "http")
        with Fuzzed(app, oms) as running:
            yield running


@contextlib.contextmanager
def _environment(settings: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(settings)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextlib.contextmanager
def _replaced(module: str, name: str, value: Any) -> Iterator[None]:
    owner = __import__(module, fromlist=[name])
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


# -- values that nobody should send

HOSTILE_TEXTS = (
    *("", " ", "\x00", "\r\n", "\x1b[2J", "\u202e", "\ufeff", "\U0001f600" * 400, "x" * 70_000, "ü", "٣", "²", "1e9"),
    *(
        "../../v2",
        "%2e%2e%2f",
        "{{7*7}}",
        "${jndi:ldap://x}",
        "' or 1=1",
        "<script>",
        "null",
        "true",
        "NaN",
        "[]",
        "{}",
    ),
    *("SUCCESS", "迁移成功", TASK_NAME, "oms.task.start", "oms.task.failed", "default", "2126-11-25T10:00:00Z"),
    *("a" * 1000 + "!", "a_" * 500 + "!", "-" * 1000, "A" * 64, "99999999999999999999", "0" * 30 + "1", "'" * 300),
    *CANARIES[:3],
)
HOSTILE: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 10**15, 10**400, 1.5, 1e308, [], {}, [[]], [{}], [None], {"": ""}, {"a": {"b": []}}),
    *({"task_id": 1}, [{"task_id": 1}] * 3, ["x"] * 500, {f"f{number}": number for number in range(500)}),
)
NAMES = (
    *("task_id", "task_name", "group_id", "sweep", "project_id", "task_status", "migrate_failed_object", "credentials"),
    *(
        "reason",
        "intent",
        "id",
        "endpoint",
        "region",
        "src_ak",
        "dst_sk",
        "json_auth_file",
        "x" * 1000 + "!",
        "specversion",
    ),
    *("type", "source", "data", "data_base64", "time", "message", "subscription", "topic_urn", "signature", "record"),
    *(
        "httpMethod",
        "requestContext",
        "body",
        "alerts",
        "version",
        "groupKey",
        "trigger_type",
        "user_event",
        "cts",
        "events",
    ),
)
texts = st.one_of(st.sampled_from(HOSTILE_TEXTS), st.text(max_size=40))
values = st.one_of(
    texts, st.sampled_from(HOSTILE), st.integers(), st.floats(allow_nan=False), st.binary(max_size=20).map(str)
)
ids = st.integers(1, 10**15 - 1)
event_ids = st.one_of(st.text("abcdef0123456789", min_size=8, max_size=12), texts)


@st.composite
def requests(draw: st.DrawFn) -> Any:
    """A RestartRequest: right, nearly right, or nothing like it."""
    document: dict[str, Any] = {"task_id": draw(ids)}
    if draw(st.integers(0, 2)):
        return document
    if draw(st.integers(0, 3)) == 0:
        document = {"task_name": draw(texts)}
    extra = draw(st.dictionaries(st.one_of(st.sampled_from(NAMES), texts), values, max_size=4))
    return draw(st.sampled_from([document | extra, extra, document | {"task_status": "FAILED"}, draw(values)]))


def dumped(document: Any) -> str:
    """As JSON; what Python cannot print so is left out."""
    try:
        return json.dumps(document)
    except ValueError:
        return '{"task_id": 1' + "0" * 5000 + "}"


@st.composite
def events(draw: st.DrawFn) -> dict[str, Any]:
    """A CloudEvent in the JSON format."""
    event = {
        "specversion": "1.0",
        "type": draw(st.sampled_from(["oms.task.failed", "oms.task.start", "com.example.failed", "other"])),
        "source": draw(st.sampled_from(["/oms", "/x"])),
        "id": draw(event_ids),
        "data": draw(requests()),
    }
    changes = draw(st.dictionaries(st.one_of(st.sampled_from([*event, *NAMES]), texts), values, max_size=2))
    return event | (changes if draw(st.integers(0, 2)) == 0 else {})


@st.composite
def bodies(draw: st.DrawFn) -> tuple[dict[str, str], str]:
    """Headers and body of one dialect."""
    kind = draw(st.sampled_from(DIALECTS))
    return draw(kind)


def _base64(document: Any) -> str:
    return b64encode(dumped(document).encode()).decode()


JSON = {"content-type": "application/json"}
direct = requests().map(lambda request: (JSON, dumped(request)))
structured = events().map(lambda event: ({"content-type": "application/cloudevents+json"}, dumped(event)))
bare = events().map(lambda event: (JSON, dumped(event)))
batch = st.lists(st.one_of(events(), values), max_size=6).map(
    lambda several: ({"content-type": "application/cloudevents-batch+json"}, dumped(several))
)
large_batch = st.tuples(events(), st.integers(90, 3000)).map(
    lambda drawn: (
        {"content-type": "application/cloudevents-batch+json"},
        dumped([drawn[0] | {"id": f"{number}"} for number in range(drawn[1])]),
    )
)


@st.composite
def binary(draw: st.DrawFn) -> tuple[dict[str, str], str]:
    """A CloudEvent in headers."""
    event = draw(events())
    return JSON | {f"ce-{name}": str(event[name]) for name in event if name != "data"}, dumped(event.get("data"))


@st.composite
def pubsub(draw: st.DrawFn) -> tuple[dict[str, str], str]:
    """A push of Pub/Sub."""
    message = {"data": draw(st.one_of(requests().map(_base64), values)), "messageId": draw(event_ids)}
    message |= draw(
        st.dictionaries(st.sampled_from(["publishTime", "attributes", "data", "messageId"]), values, max_size=1)
    )
    return JSON, dumped({"message": message, "subscription": draw(texts)})


@st.composite
def smn(draw: st.DrawFn) -> tuple[dict[str, str], str]:
    """A message of SMN, signed, and now and then changed afterwards."""
    kind = draw(st.sampled_from(["Notification"] * 6 + ["SubscriptionConfirmation", "UnsubscribeConfirmation"]))
    message = signers.smn_message(
        kind, message=draw(st.one_of(requests().map(dumped), texts)), message_id=draw(event_ids)
    )
    if draw(st.integers(0, 3)) == 0:
        message |= draw(st.dictionaries(st.sampled_from([*message]), texts, max_size=2))
    try:
        signed = signers.sign_smn(message, signers.rsa_key("smn"))
    except (TypeError, UnicodeEncodeError):
        signed = message
    if draw(st.integers(0, 3)) == 0:
        signed |= draw(st.dictionaries(st.sampled_from([*signed]), values, max_size=2))
    return {}, dumped(signed)


@st.composite
def records(draw: st.DrawFn) -> tuple[dict[str, str], str]:
    """FunctionGraph's SMN trigger."""
    one = st.fixed_dictionaries(
        {
            "message": st.one_of(requests().map(dumped), texts, requests()),
            "message_id": event_ids,
            "topic_urn": st.sampled_from([signers.TOPIC, "topicUrn", "urn:smn:x"]),
        }
    )
    several = draw(st.lists(st.one_of(one.map(lambda smn: {"smn": smn}), values), max_size=4))
    return JSON, dumped({"record": several})


@st.composite
def others(draw: st.DrawFn) -> tuple[dict[str, str], str]:
    """Alertmanager, timers, CTS, OBS and what looks like them."""
    alert = {"status": "firing", "labels": {"task_id": str(draw(ids))}, "fingerprint": draw(event_ids)}
    alert |= {"startsAt": BEGAN}
    document = draw(
        st.sampled_from(
            [
                {"version": "4", "groupKey": "k", "alerts": [alert, draw(values)]},
                {"version": "4", "groupKey": "k", "alerts": draw(values)},
                {"trigger_type": "TIMER", "trigger_name": "t", "version": "v1.0", "user_event": draw(texts)},
                {"trigger_type": "TIMER", "trigger_name": "t", "time": "x", "user_event": dumped(draw(requests()))},
                {"cts": draw(values)},
                {"Records": draw(values)},
                {"data": draw(values)},
            ]
        )
    )
    return JSON, dumped(document)


GARBAGE = (
    "",
    *("[" * 5000, "[" * 150 + "]" * 150, "[" * 250 + "]" * 250, '{"a":' * 250 + "1" + "}" * 250),
    "[" + "1," * 100_000 + "1]",
    '{"' + "a" * 200_000 + '": 1}',
    "{" + ",".join(f'"f{number}": 1' for number in range(20_000)) + "}",
    '{"task_id": 1' + "0" * 100_000 + "}",
    '"' + "\\u0000" * 50_000 + '"',
    "1" * 5000,
    "x" * 600_000,
)
# Bodies that are nothing, or JSON that is hard to read.
garbage = st.one_of(
    st.sampled_from(GARBAGE), texts, st.binary(max_size=200).map(lambda raw: raw.decode("latin-1"))
).map(lambda text: (JSON, text))

DIALECTS: list[st.SearchStrategy[tuple[dict[str, str], str]]] = [
    *(direct, direct, structured, bare, batch, binary(), pubsub(), smn(), records(), others(), garbage),
]

# -- who calls, and which headers come along

HEADER_NAMES = (
    *("authorization", "content-type", "content-encoding", "content-length", "transfer-encoding", "host", "expect"),
    *(
        "idempotency-key",
        "webhook-id",
        "webhook-signature",
        "webhook-timestamp",
        "svix-id",
        "svix-signature",
        "upgrade",
    ),
    *("ce-id", "ce-type", "ce-source", "ce-time", "ce-specversion", "ce-subject", "ce-traceparent", "traceparent"),
    *("x-cff-security-access-key", "x-cff-security-secret-key", "x-cff-security-token", "function-execution-id", "x"),
    *("x-cloud-trace-context", "webhook-request-origin", "webhook-request-rate", "x-forwarded-for", "cookie", "range"),
)
header_values = st.one_of(texts.map(lambda text: text[:2000].encode()), st.binary(max_size=30))
BEARER = (b"authorization", f"Bearer {SECRETS['CALLER_BEARER_TOKENS']}".encode())


def proofs(body: bytes, kind: str) -> list[tuple[bytes, bytes]]:
    """Headers that prove a caller."""
    match kind:
        case "bearer":
            return [BEARER]
        case "webhook" | "svix":
            signed = signers.webhook_headers(body)
            return [(name.replace("webhook", kind).encode(), value.encode()) for name, value in signed.items()]
        case "oidc":
            return [(b"authorization", f"Bearer {ID_TOKENS[0]}".encode())]
        case "wrong":
            return [(b"authorization", b"Bearer nobody")]
    return []


ID_TOKENS = [signers.id_token(signers.rsa_key("google"), exp=int(time.time()) + 40_000)]


@st.composite
def deliveries(draw: st.DrawFn) -> Raw:
    """One request."""
    headers, text = draw(bodies()) if draw(st.integers(0, 150)) else draw(large_batch)
    if draw(st.integers(0, 6)) == 0:
        headers, text = JSON, dumped(enveloped(headers, text, draw))
    body = (
        changed(text.encode("utf-8", "replace"), draw)
        if draw(st.integers(0, 4)) == 0
        else text.encode("utf-8", "replace")
    )
    kind = draw(st.sampled_from(["bearer"] * 5 + ["webhook", "svix", "oidc", "wrong", "none"]))
    lines = [
        *((name.encode(), value.encode("utf-8", "replace")) for name, value in headers.items()),
        *proofs(body, kind),
    ]
    if draw(st.booleans()):
        lines += draw(st.lists(st.tuples(st.sampled_from(HEADER_NAMES).map(str.encode), header_values), max_size=4))
    if draw(st.integers(0, 60)) == 0:
        lines += [(b"x-%d" % number, b"y") for number in range(draw(st.integers(80, 16_000)))]
    return Raw(
        draw(st.sampled_from(["POST"] * 30 + ["GET", "PUT", "OPTIONS", "HEAD", "DELETE"])),
        draw(st.sampled_from(["/", "/", "/invoke", "/healthz", "/init", "/%2e%2e/x", "/" + "a" * 5000])),
        tuple(lines),
        body,
        proven=kind not in ("wrong", "none") or b"signature" in body,
        answers=draw(st.sampled_from(ANSWERS)),
    )


def enveloped(headers: dict[str, str], text: str, draw: Callable[[st.SearchStrategy[Any]], Any]) -> dict[str, Any]:
    """An APIG event around a request."""
    encoded = draw(st.booleans())
    body = b64encode(text.encode("utf-8", "replace")).decode() if encoded else text
    event = {"httpMethod": "POST", "requestContext": {}, "path": "/", "headers": headers, "body": body}
    event["isBase64Encoded"] = encoded
    if draw(st.integers(0, 3)) == 0:
        event |= draw(st.dictionaries(st.sampled_from([*event]), values, max_size=2))
    return event


def changed(body: bytes, draw: Callable[[st.SearchStrategy[Any]], Any]) -> bytes:
    """Bytes cut, put in, or turned round."""
    at = draw(st.integers(0, max(0, min(len(body), 2000) - 1)))
    marks = st.sampled_from([b"\x00", b"\xff\xfe", b"\xed\xa0\x80", b"}", b'"'])
    inserted: bytes = draw(st.one_of(st.binary(max_size=6), marks))
    head, tail = body[:at] + inserted, body[at:]
    return (head, head + tail, head + tail[1:], body * 2)[draw(st.integers(0, 3))]


NAME = "n" * 200_000
ANSWERS: Sequence[Mapping[str, Any]] = (
    *({},) * 20,
    *({"task": {"status": 3}}, {"task": {"status": 2}}, {"task": {"status": 99}}),
    {"task": {"name": SECRETS["OMS_DST_SK"], "error_reason": {"error_code": SECRETS["OMS_SRC_SK"]}}},
    {"task": {"name": NAME, "status": 3}},
    {"task": {"id": 7}},
    {"task": {"id": "²", "status": []}},
    {"task": {"group_id": SECRETS["OMS_SRC_SK"], "group_type": "GROUP_TASK"}},
    {"show": (200, b"[" * 100_000)},
    {"show": (200, b'{"id": 1' + b"0" * 5000 + b"}")},
    {"show": (200, b"\xff\xfe")},
    {"show": (404, b"")},
    {"show": (500, json.dumps({"error_code": SECRETS["OMS_SRC_SK"]}).encode())},
    {"show": None},
    {"start": (400, json.dumps({"error_code": SECRETS["OMS_SRC_SK"], "error_msg": SECRETS["OMS_DST_SK"]}).encode())},
    {"start": (400, b'{"error_code": "OMS.0064"}')},
    {"start": None},
)


def play(running: Fuzzed, number: int = ROUND, seed: int | None = None) -> None:
    """Play so many deliveries and hold every promise; without a seed they are the same each time.

    Raises:
        AssertionError: A promise was broken; hypothesis prints the smallest delivery that breaks it.
    """

    @hypothesis.settings(
        max_examples=number,
        derandomize=seed is None,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @hypothesis.given(deliveries())
    def promises_hold(raw: Raw) -> None:
        first = running.check(raw)
        if first and raw.answers == {} and b'"id"' in raw.body:
            again = running.check(raw)
            assert not again or is_without_id(raw), "the same event started its task twice"

    (hypothesis.seed(seed)(promises_hold) if seed is not None else promises_hold)()


def is_without_id(raw: Raw) -> bool:
    """Whether nothing tells a repetition of the delivery: a direct call has an id in a header only, or in its body."""
    headers = {name.lower() for name, _ in raw.headers}
    is_event = b"specversion" in raw.body or b"messageId" in raw.body or b"message_id" in raw.body
    return not is_event and not headers & {b"idempotency-key", b"webhook-id"}


def main() -> int:
    """Play rounds until the time is over; 1 when a promise was broken."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=3600.0)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    given = parser.parse_args()
    ends, seed = time.monotonic() + given.seconds, given.seed
    with fuzzed() as running:
        while time.monotonic() < ends:
            print(f"seed {seed}:", end=" ", flush=True)  # noqa: T201  # a program for a person
            play(running, ROUND, seed)
            print(  # noqa: T201
                f"{running.deliveries} deliveries, {running.started} starts, statuses {running.statuses},",
                f"longest stall {1000 * running.longest_s:.0f} ms",
            )
            seed += 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
