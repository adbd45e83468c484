"""Every secret setting is a canary, and everything that leaves the function is searched for each of them."""

import json
import re
import secrets
import socket
import threading
import time
import traceback
from base64 import b64decode, b64encode, urlsafe_b64encode
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import httpx
import pytest
from click.testing import CliRunner
from pydantic import SecretStr

from example import PROJECT, TASK, shown
from processes import EXAMPLE, FUNCTION, TIMEOUT_S, Running, failed_start, function, run_python, simulator
from redis_server import RedisServer
from restarter.app import Application
from restarter.cli.command import cli
from restarter.model.task import Start
from restarter.oms import iam, start_task
from restarter.settings.errors import SettingsError
from restarter.settings.model import Settings, load
from samples import EVENTS, Sample, fill, read_all
from signing_keys import SigningKeys, signing_keys

pytestmark = pytest.mark.usefixtures("unmeasured")
ROOT = Path(__file__).parents[2]
STORAGE = ("SRC_AK", "SRC_SK", "SRC_SECURITY_TOKEN", "DST_AK", "DST_SK", "DST_SECURITY_TOKEN")

# -- canaries and the hunt for them


def canary() -> str:
    """A key like no other, with what JSON and URLs write in another way."""
    return f'{secrets.token_hex(12)}"/+%&\\{secrets.token_hex(4)}'


def encodings(text: str) -> dict[str, bytes]:
    """How a secret may look where it does not belong; in base64 it depends on what stands before it."""
    raw = text.encode()
    looks = {"plain": raw, "json": json.dumps(text)[1:-1].encode(), "repr": repr(text)[1:-1].encode()}
    looks |= {"url": quote(text, safe="").encode(), "path": quote(text).encode(), "hex": raw.hex().encode()}
    for offset in range(3):
        skipped, tail = (0, 2, 3)[offset], -(len(raw) + offset) % 3
        for name, encode in (("base64", b64encode), ("base64url", urlsafe_b64encode)):
            encoded = encode(bytes(offset) + raw).rstrip(b"=")
            looks[f"{name}+{offset}"] = encoded[skipped : len(encoded) - (1 if tail else 0)]
    return looks


@dataclass(frozen=True)
class Found:
    """A canary where it does not belong."""

    name: str
    encoding: str
    where: str


def hunt(canaries: Mapping[str, str], places: Mapping[str, bytes]) -> set[Found]:
    """Every canary in every place, in every encoding; letters of hex and of %XX may be of either case."""
    lowered = {where: (text, text.lower()) for where, text in places.items()}
    return {
        Found(name, encoding, where)
        for name, secret in canaries.items()
        for encoding, look in encodings(secret).items()
        for where, (text, lower) in lowered.items()
        if look in text or (encoding in ("hex", "url", "path") and look.lower() in lower)
    }


@pytest.mark.parametrize("before", ["", "a", "ab", "abc"])
def test_the_hunt_finds_a_canary_however_it_is_written(before: str) -> None:
    secret = canary()
    text = before + secret + "after"
    raw = text.encode()
    for written in (raw, raw.hex().upper().encode(), b64encode(raw), urlsafe_b64encode(raw)):
        assert hunt({"KEY": secret}, {"log": written})
    for spelled in (json.dumps(text), repr(text), quote(text), quote_plus(text).lower()):
        assert hunt({"KEY": secret}, {"log": spelled.encode()})
    assert hunt({"KEY": secret}, {"log": b64encode(canary().encode())}) == set()


# -- the function with nothing but canaries


@dataclass(frozen=True)
class Secrets:
    """The settings, and each secret in them by the name of its setting."""

    settings: Mapping[str, str]
    canaries: Mapping[str, str]


def storage(prefix: str) -> Secrets:
    """Every storage field of one set of keys."""
    keys = {prefix + name: canary() for name in (*STORAGE, "SOURCE_CDN_AUTHENTICATION_KEY")}
    azure, google = canary().replace("+", "="), canary()
    shaped = {
        prefix + "CONNECTION_STRING": f"AccountName=account;AccountKey={azure}",
        prefix + "JSON_AUTH_FILE": json.dumps({"type": "service_account", "private_key": google}),
    }
    inner = {prefix + "CONNECTION_STRING": azure, prefix + "JSON_AUTH_FILE": google}
    return Secrets(keys | shaped, keys | inner)


def all_secrets(keys: SigningKeys, redis: str) -> Secrets:
    """Every secret setting but the storage fields; the senders' keys are those that sign the samples."""
    names = ("HUAWEICLOUD_SDK_SK", "HUAWEICLOUD_SDK_SECURITY_TOKEN", "OMS_AUTH_TOKEN", "IAM_PASSWORD")
    own = {name: canary() for name in names} | {"HUAWEICLOUD_SDK_AK": secrets.token_hex(12)}
    webhook = keys.settings["CALLER_WEBHOOK_SECRETS"]
    caller, example = secrets.token_hex(16), EXAMPLE["CALLER_BEARER_TOKENS"]
    settings = own | {
        **keys.settings,
        "CALLER_BEARER_TOKENS": f"{example},{caller}",
        "RESTART_LEDGER": redis,
        "IAM_USER": "user",
        "IAM_DOMAIN": "domain",
    }
    password = redis.partition(":@")[2] or redis.partition("://:")[2].partition("@")[0]
    canaries = own | {"CALLER_BEARER_TOKENS[0]": example, "CALLER_BEARER_TOKENS[1]": caller, "RESTART_LEDGER": password}
    canaries |= {"CALLER_WEBHOOK_SECRETS": webhook.removeprefix("whsec_")}
    canaries |= {"the key in CALLER_WEBHOOK_SECRETS": b64decode(webhook.removeprefix("whsec_")).hex()}
    default, profile = storage("OMS_"), storage("OMS_PROFILES__AWS__")
    return Secrets(
        {**settings, **default.settings, **profile.settings},
        {**canaries, **default.canaries, **profile.canaries},
    )


@dataclass(frozen=True)
class Launched:
    """A process whose every word is kept."""

    url: str
    files: Mapping[str, Path]

    def said(self) -> dict[str, bytes]:
        return {name: file.read_bytes() for name, file in self.files.items()}


@contextmanager
def launched(
    name: str, settings: Mapping[str, str], folder: Path, source: Path = FUNCTION / "main.py"
) -> Iterator[Launched]:
    """The function as a platform starts it, with stdout and stderr in files."""
    files = {f"{name} {stream}": folder / f"{name}.{stream}" for stream in ("stdout", "stderr")}
    with ExitStack() as stack:
        stdout, stderr = (stack.enter_context(file.open("wb")) for file in files.values())
        running = stack.enter_context(function(settings, source=source, stdout=stdout, stderr=stderr))
        yield Launched(running.url, files)


class Iam(BaseHTTPRequestHandler):
    """A login that always works, and whose token is a canary."""

    token = ""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(201)
        self.send_header("X-Subject-Token", self.token)
        self.end_headers()
        expires_at = (datetime.now(UTC) + timedelta(hours=24)).isoformat()
        self.wfile.write(json.dumps({"token": {"expires_at": expires_at}, "echo": self.token}).encode())

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing."""


@contextmanager
def iam_server(token: str) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("IamOfToken", (Iam,), {"token": token}))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def tell(redis: RedisServer, *lines: str) -> None:
    """Commands for the server, each on a line."""
    address = redis.address.removeprefix("redis://").partition("/")[0].rpartition("@")[2]
    host, _, port = address.partition(":")
    with socket.create_connection((host, int(port)), TIMEOUT_S) as connection:
        for line in lines:
            connection.sendall(f"{line}\r\n".encode())
            assert connection.recv(64).startswith(b"+OK")


@dataclass(frozen=True)
class Scene:
    """Everything that a function of canaries stands among."""

    secret: Secrets
    keys: SigningKeys
    oms: Running
    redis: RedisServer
    settings: Mapping[str, str]


# -- what OMS does, and what is delivered

UNEXPECTED: tuple[tuple[dict[str, Any], float], ...] = (
    ({"reset_before": "rst"}, 0.1),
    ({"reset_after": "fin"}, 0.1),
    ({"hang": "after"}, 0.04),
    ({"hang": "before"}, 0.04),
    ({"answer": "huge"}, 0.03),
    ({"answer": "redirect"}, 0.1),
    ({"answer": "bad_gateway"}, 0.15),
    ({"answer": "html"}, 0.15),
    ({"answer": "gzip"}, 0.15),
    ({"answer": "throttled"}, 0.2),
    ({"answer": "broken"}, 0.25),
)


def echoing(canaries: Mapping[str, str]) -> dict[str, Any]:
    """An OMS that says back all that it was told, in the places where an answer has room."""
    told = "|".join(canaries.values())
    body = {"error_code": "APIGW.0301", "error_msg": f"verify aksk signature fail, canonicalRequest:{told}", "x": told}
    headers = {"location": f"http://127.0.0.1:9/?{quote(told)}", "set-cookie": f"c={quote(told)}", "x-request-id": told}
    return {"answer": {"status": 401, "body": body, "headers": headers}}


def worlds(secret: Secrets, token: str) -> Iterator[tuple[str, dict[str, Any], list[dict[str, Any]]]]:
    """How OMS is: its auth and its rules."""
    ak, sk = secret.settings["HUAWEICLOUD_SDK_AK"], secret.settings["HUAWEICLOUD_SDK_SK"]
    good = {"keys": {ak: sk}, "tokens": [token], "max_failures": 1_000_000}
    rules = [{"action": what, "probability": chance, "seed": n} for n, (what, chance) in enumerate(UNEXPECTED)]
    yield "well", good, []
    yield "does not know the key", good | {"keys": {ak: "another-sk"}, "tokens": []}, []
    yield "broken in every way", good, rules
    yield "echoing", good, [{"action": echoing(secret.canaries), "probability": 0.5, "seed": 99}]


def hostile(canaries: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Deliveries with our own secrets in every place where somebody may have put them by mistake."""
    bearer = {"Authorization": f"Bearer {canaries['CALLER_BEARER_TOKENS[1]']}", "Content-Type": "application/json"}
    key, token = canaries["OMS_DST_SK"], canaries["CALLER_BEARER_TOKENS[1]"]
    good: dict[str, Any] = {"task_id": TASK, "credentials": "aws"}
    bodies: list[Any] = [{"dst_sk": key}, good | {"dst_sk": key}, good | {key: 1}, good | {"a": {"srcSk": key}}]
    bodies += [{"task_id": key}, good | {"credentials": key}, good | {"project_id": key}, good | {"task_status": [key]}]
    bodies += [
        [key],
        key,
        {"task_id": TASK, "migrate_failed_object": key},
        {"record": [{"smn": {"message": {key: 1}}}]},
    ]
    yield from ({"headers": bearer, "content": json.dumps(body).encode()} for body in bodies)
    document = json.dumps(good).encode()
    yield {"headers": bearer, "content": document}
    yield {"headers": bearer, "content": b"{" + key.encode()}
    yield {"headers": bearer, "content": b"\xff" + key.encode()}
    yield {"headers": bearer, "content": document, "url": f"?access_token={quote(token)}"}
    yield {"headers": bearer, "content": document, "url": f"/{quote(key, safe='')}"}
    yield {"headers": {**bearer, "Content-Type": key}, "content": document}
    yield {"headers": {**bearer, "Content-Encoding": key}, "content": document}
    yield {"headers": {**bearer, "Authorization": f"Basic {token}"}, "content": document}
    yield {"headers": {**bearer, "Authorization": f"Bearer {token}x"}, "content": document}
    yield {"headers": {**bearer, "Authorization": token}, "content": document}
    yield {"headers": {**bearer, "traceparent": token, "ce-specversion": key, "ce-type": key}, "content": document}
    yield {
        "headers": {**bearer, "webhook-id": "m", "webhook-signature": key, "webhook-timestamp": "1"},
        "content": b"{}",
    }
    names = ("Access-Key", "Secret-Key", "Token")
    lent = {f"X-CFF-Security-{name}": canaries["HUAWEICLOUD_SDK_SECURITY_TOKEN"] for name in names}
    yield {"headers": bearer | lent, "content": document}
    yield {"headers": bearer, "content": b"x" * 600_000}
    yield {"headers": bearer, "method": key.partition('"')[0].upper()[:20], "content": document}
    yield {"headers": bearer, "method": "OPTIONS", "content": b""}


@dataclass
class Posted:
    """What went in, counted, and what came back, kept."""

    number: int = 0
    replies: bytes = b""
    statuses: tuple[int, ...] = ()
    proofs: tuple[bytes, ...] = ()
    """Tokens and signatures of senders, which are no business of a log either."""

    def send(self, client: httpx.Client, url: str, delivery: Mapping[str, Any]) -> None:
        method = delivery.get("method", "POST")
        reply = client.request(
            method, url + delivery.get("url", "/"), headers=delivery["headers"], content=delivery["content"]
        )
        self.number += 1
        self.statuses += (reply.status_code,)
        head = b"\n".join(name + b": " + value for name, value in reply.headers.raw)
        self.replies += head + b"\n\n" + reply.content + b"\n"

    def play(self, sample: Sample, url: str, client: httpx.Client) -> None:
        signature = re.search(r'"signature": "([^"]{40,})"', sample.body)
        headers = [sample.headers.get(name, "") for name in ("Authorization", "webhook-signature")]
        proofs = (*(text.removeprefix("Bearer ") for text in headers), *(signature.groups() if signature else ()))
        self.proofs += tuple(text.encode() for text in proofs if len(text) > 20)
        self.send(
            client,
            url,
            {
                "method": sample.method,
                "url": sample.path,
                "headers": {name.encode(): value.encode() for name, value in sample.headers.items()},
                "content": sample.body.encode(),
            },
        )


def once(sample: Sample, world: str) -> Sample:
    """The sample of an event that no other world has seen, as far as its sender does not sign its id."""
    signed = "{{sign" in sample.body or any("{{sign" in value for value in sample.headers.values())
    if signed:
        return sample
    headers = {
        name: f"{value}-{world}" if name.lower() in ("ce-id", "idempotency-key") else value
        for name, value in sample.headers.items()
    }
    body = re.sub(r'("(?:id|messageId|message_id)": ")([^"]+)"', rf'\g<1>\g<2>-{world.replace(" ", "-")}"', sample.body)
    return replace(sample, headers=headers, body=body)


def play_all(scene: Scene, token: str, public: str, platform: str, share: int) -> Posted:
    """Every hostile delivery in every world, and every sample; then a start for each thing that OMS may do to it.

    `share`: one sample in so many where OMS is not well.
    """
    posted = Posted()
    tasks = json.loads((ROOT / "infra" / "simulator" / "world.json").read_text("utf-8"))["tasks"]
    samples = list(read_all())
    with httpx.Client(timeout=TIMEOUT_S) as client:
        for world, auth, rules in worlds(scene.secret, token):
            scene.oms.control("PUT", "/_sim/auth", auth)
            scene.oms.control("PUT", "/_sim/rules", rules)
            for number, sample in enumerate(samples[:: 1 if world == "well" else share]):
                if number % 10 == 0:
                    scene.oms.control("PUT", "/_sim/tasks", tasks)
                sent = fill(once(sample, world), scene.keys)
                posted.play(sent, platform if sample.by_platform else public, client)
            for delivery in hostile(scene.secret.canaries):
                scene.oms.control("PUT", "/_sim/tasks", tasks)
                posted.send(client, public, delivery)
                posted.send(client, platform, delivery)
        headers = {"Authorization": f"Bearer {scene.secret.canaries['CALLER_BEARER_TOKENS[1]']}"}
        direct = {"headers": headers, "content": json.dumps({"task_id": TASK, "credentials": "aws"}).encode()}
        for action, _ in (*UNEXPECTED, (echoing(scene.secret.canaries), 1)):
            scene.oms.control("PUT", "/_sim/tasks", tasks)
            scene.oms.control("PUT", "/_sim/rules", [{"operation": "start", "action": action}])
            posted.send(client, public, direct)
            posted.send(client, platform, direct)
    return posted


def without_bodies(calls: list[dict[str, Any]]) -> bytes:
    """What OMS saw, without the bodies of starts, where keys belong; the simulator masks the proofs of who calls."""
    assert [call for call in calls if call["operation"] != "start" and call["body"] is not None] == []
    return json.dumps([call | {"body": None} for call in calls]).encode()


# -- the tests

EXTRAS = {
    "LOG_LEVEL": "DEBUG",
    "OMS_TIMEOUT": "0.3",
    "OMS_COOLDOWN": "0",
    "OMS_PROJECTS": '{"00000000000000000000000000000001": "cn-north-1"}',
    "RESTART_BUDGET": "1000/24h",
    "RESTART_BACKOFF": "0",
}


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    with ExitStack() as stack:
        keys, oms = stack.enter_context(signing_keys()), stack.enter_context(simulator())
        redis = stack.enter_context(RedisServer())
        password = secrets.token_hex(12)
        tell(redis, f"CONFIG SET requirepass {password}")
        secret = all_secrets(keys, redis.address.replace("redis://", f"redis://:{password}@"))
        settings = {**EXAMPLE, **EXTRAS, **secret.settings, "OMS_ENDPOINT": oms.url}
        yield Scene(secret, keys, oms, redis, settings)


def platform_of(scene: Scene, iam_url: str) -> dict[str, str]:
    """The same by a login, behind a platform that authenticates callers."""
    unsigned = {
        name: value
        for name, value in scene.settings.items()
        if not name.startswith(("HUAWEICLOUD_", "CALLER_", "OMS_AUTH"))
    }
    return unsigned | {"CALLER_TRUST_PLATFORM": "true", "IAM_ENDPOINT": iam_url}


@pytest.mark.parametrize("share", [3, pytest.param(1, marks=pytest.mark.long)])
def test_no_secret_leaves_the_function_but_to_oms(share: int, scene: Scene, tmp_path: Path) -> None:
    """More than 600 deliveries: every sample and hostile ones, at an OMS that is well, refuses, breaks and echoes."""
    token = canary()
    canaries = {**scene.secret.canaries, "a token of IAM": token}
    folder = tmp_path / "secrets"
    folder.mkdir()
    with iam_server(token) as iam_url, ExitStack() as stack:
        public = stack.enter_context(launched("public", {**scene.settings, "SECRETS_DIR": str(folder)}, tmp_path))
        platform = stack.enter_context(launched("platform", platform_of(scene, iam_url), tmp_path))
        posted = play_all(scene, token, public.url, platform.url, share)
        (folder / "OMS_DST_SK").write_text(canaries["OMS_DST_SK"] + " " + canaries["OMS_SRC_SK"])
        scene.redis.stop()
        with httpx.Client(timeout=TIMEOUT_S) as client:
            for sample in list(read_all())[::10]:
                posted.play(fill(once(sample, "without a ledger"), scene.keys), public.url, client)
        scene.redis.start()
        calls = scene.oms.control("GET", "/_sim/calls")
    assert posted.number > 600
    assert 500 not in posted.statuses
    places = {**public.said(), **platform.said(), "replies": posted.replies, "heard by OMS": without_bodies(calls)}
    assert hunt(canaries, places) == set()
    assert [(where, proof) for where, text in places.items() for proof in set(posted.proofs) if proof in text] == []
    assert not_met(places) == set()
    assert b"OMS_DST_SK: must be printable" in places["public stderr"]
    bodies = [call["body"] for call in calls if call["operation"] == "start"]
    carried = "\n".join(str(value) for body in bodies for value in body.values()).encode()
    storage_keys = {name: text for name, text in canaries.items() if name.startswith("OMS_") and "AUTH_T" not in name}
    assert {found.name for found in hunt(storage_keys, {"starts": carried})} == {*storage_keys}


def not_met(places: Mapping[str, bytes]) -> set[str]:
    """Outcomes and reasons that no receipt has: what was not there could hold no secret."""
    receipts = [json.loads(line) for name in ("public", "platform") for line in places[f"{name} stdout"].splitlines()]
    met = {receipt["outcome"] for receipt in receipts} | {receipt.get("reason") for receipt in receipts}
    kinds = {"started", "rejected", "unavailable", "unconfirmed", "malformed", "unauthenticated", "ignored"}
    reasons = {"credentials", "token_refused", "timeout", "connection_lost", "redirect", "throttled", "ledger"}
    return (kinds | reasons) - met


def test_neither_command_of_the_operator_shows_a_secret(scene: Scene, tmp_path: Path) -> None:
    ak = scene.settings["HUAWEICLOUD_SDK_AK"]
    event, task = str(EVENTS / "valid" / "direct_by_id.http"), tmp_path / "task.json"
    task.write_text(json.dumps(shown()))
    places = {}
    for name, key, arguments in [
        ("check, well", scene.settings["HUAWEICLOUD_SDK_SK"], ["check"]),
        ("check, refused", "another-sk", ["check"]),
        ("explain", "", ["explain", event, "--task", str(task)]),
    ]:
        scene.oms.control("PUT", "/_sim/auth", {"keys": {ak: key}})
        ended = run_python(["-m", "restarter", *arguments], scene.settings)
        places[name] = (ended.stdout + ended.stderr).encode()
    assert b"FAILED oms: project" in places["check, refused"]
    assert b"APIGW.0301" in places["check, refused"]
    assert b'"dst_sk": "***"' in places["explain"]
    assert hunt(scene.secret.canaries, places) == set()


@pytest.fixture
def canaries_here(scene: Scene, environment: pytest.MonkeyPatch) -> Mapping[str, str]:
    """The canaries, which are in the environment of the test itself, too."""
    for name, value in scene.settings.items():
        environment.setenv(name, value)
    return scene.secret.canaries


def test_no_explanation_of_a_sample_shows_a_secret(canaries_here: Mapping[str, str]) -> None:
    runner = CliRunner()
    said = [runner.invoke(cli, ["explain", str(file)]) for file in sorted(EVENTS.glob("*/*.http"))]
    assert {result.exit_code for result in said} == {0}
    assert hunt(canaries_here, {"explain": "\n".join(result.output for result in said).encode()}) == set()


def reprs(thing: Any, depth: int = 6) -> Iterator[str]:
    """What somebody may print of an object and of all that it is made of, as far as that is ours."""
    yield repr(thing)
    yield str(thing)
    if depth == 0:
        return
    if isinstance(thing, dict | list | tuple):
        for item in thing.items() if isinstance(thing, dict) else thing:
            yield from reprs(item, depth - 1)
    elif type(thing).__module__.startswith("restarter"):
        slots = [name for kind in type(thing).__mro__ for name in getattr(kind, "__slots__", ())]
        for name in {*getattr(thing, "__dict__", {}), *slots}:
            yield from reprs(getattr(thing, name, None), depth - 1)


def test_nothing_that_is_made_of_the_settings_shows_a_secret_when_it_is_printed(
    canaries_here: Mapping[str, str],
) -> None:
    settings = load()
    application = Application(lambda: settings)
    pipeline = application.pipeline()
    profile = settings.profiles()["aws"]
    decision = Start(str(TASK), migrate_failed_object=True)
    body = start_task.start_body(decision, profile)
    start = start_task.build("https://oms.example.com", PROJECT, decision, body)
    granted = iam.IamToken(SecretStr(canaries_here["OMS_AUTH_TOKEN"]), datetime.now(UTC))
    made: dict[str, Any] = {
        "settings": settings,
        "dump": settings.model_dump(),
        "schema": settings.model_json_schema(),
        "json": settings.model_dump_json(fallback=repr),
        "profiles": settings.profiles(),
        "context": pipeline.begin(),
        "start": repr(start),
        "login": repr(iam.build_login(settings, PROJECT)),
        "granted": repr(granted),
    }
    places = {name: "\n".join(reprs(thing)).encode() for name, thing in made.items()}
    places["application"] = "\n".join(text for thing in (application, pipeline) for text in shallow(thing)).encode()
    assert hunt(canaries_here, places) == set()


def shallow(thing: Any) -> Iterator[str]:
    """The object and what it holds, printed; deeper down are calls and clients, which are no values."""
    yield repr(thing)
    for held in vars(thing).values():
        yield repr(held)
        yield from (repr(inner) for inner in getattr(held, "__dict__", {}).values())


def broken(settings: Mapping[str, str], by: str) -> dict[str, str]:
    """Every secret twice, with something between."""
    return {name: value + by + value for name, value in settings.items() if name in SECRET_NAMES or "PROFILES" in name}


@pytest.mark.parametrize("by", [" ", "\n\n", "x" * 20_000], ids=["blank", "newlines", "long"])
def test_no_fault_of_a_setting_shows_what_was_set(
    by: str, canaries_here: Mapping[str, str], scene: Scene, environment: pytest.MonkeyPatch
) -> None:
    """Also not in a traceback with all of its causes."""
    for name, value in broken(scene.settings, by).items():
        environment.setenv(name, value)
    environment.setenv("OMS_TIMEOUT", canaries_here["OMS_DST_SK"])
    with pytest.raises(SettingsError) as error:
        load()
    assert len(error.value.messages) > 10
    text = "".join(traceback.format_exception(error.value)) + repr(error.value) + "".join(error.value.messages)
    assert hunt(canaries_here, {"faults": text.encode()}) == set()


def test_a_process_that_cannot_start_does_not_say_what_was_set(scene: Scene) -> None:
    ended = failed_start({**scene.settings, **broken(scene.settings, " ")})
    assert ended.returncode == 1
    assert ended.stderr.count("must be printable") > 10
    assert hunt(scene.secret.canaries, {"said": (ended.stdout + ended.stderr).encode()}) == set()


SECRET_NAMES = [
    name.upper()
    for name, field in Settings.model_fields.items()
    if "Secret" in str(field.annotation) or name == "restart_ledger"  # of Redis: a password
]

LEAKY = """
import logging, sys
from base64 import b64encode

sys.path.insert(0, {function!r})

import functions_framework.aio
from starlette.responses import Response

import main

LOG = logging.getLogger("restarter")


@functions_framework.aio.http
async def restart(request):
    settings = main.settings.current()
    key = settings.oms_dst_sk.get_secret_value()
    match request.scope[main.worker.ASKED][1]:
        case "/log":
            LOG.debug("body %s", {{"dst_sk": b64encode(b"{{" + key.encode() + b"}}").decode()}})
        case "/reply":
            return Response(status_code=400, headers={{"X-Detail": key.encode().hex()}})
        case "/body":
            return Response(settings.iam_password.get_secret_value())
        case "/exception":
            raise ValueError(settings.oms_profiles["aws"].src_sk.get_secret_value())
    return await main.restart(request)
"""


def test_a_leak_in_a_log_line_a_reply_or_an_exception_is_found(scene: Scene, tmp_path: Path) -> None:
    source = tmp_path / "leaky.py"
    source.write_text(LEAKY.format(function=str(FUNCTION)), "utf-8")
    leaks = {}
    with launched("leaky", scene.settings, tmp_path, source) as leaky, httpx.Client(timeout=TIMEOUT_S) as client:
        for path in ("/clean", "/log", "/reply", "/body", "/exception"):
            posted = Posted()
            before = leaky.said()
            posted.send(client, leaky.url, {"url": path, "headers": {}, "content": b"{}"})
            time.sleep(0.1)
            new = {name: text[len(before[name]) :] for name, text in leaky.said().items()}
            leaks[path] = hunt(scene.secret.canaries, {**new, "replies": posted.replies})
    assert {path: {(found.name, found.where) for found in leak} for path, leak in leaks.items()} == {
        "/clean": set(),
        "/log": {("OMS_DST_SK", "leaky stderr")},
        "/reply": {("OMS_DST_SK", "replies")},
        "/body": {("IAM_PASSWORD", "replies")},
        "/exception": {("OMS_PROFILES__AWS__SRC_SK", "leaky stderr")},
    }
