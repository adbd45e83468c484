"""Other people's software as senders, over loopback at the real function: SDKs that sign and encode in their own way.

The CloudEvents SDK for Python is in test_dialects.py; the official SDK of OMS drives the simulator in
unit/test_simulator_sdk.py. The table of all senders is in tests/README.md.
"""

import asyncio
import json
import os
import shutil
import subprocess
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import httpx
import pytest
import requests
import urllib3
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from google.auth import crypt, jwt
from google.pubsub_v1.types import PubsubMessage
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.utils.http_utils import sanitize_for_serialization
from huaweicloudsdkeg import v1 as eventgrid
from huaweicloudsdkfunctiongraph import v2 as functiongraph
from standardwebhooks.webhooks import Webhook

from child_processes import child_environment, started
from example import PROJECT, TASK
from processes import EXAMPLE, TIMEOUT_S, Running, free_port, function
from signers import AUDIENCE, EMAIL, KEY_ID, WEBHOOK_SECRET, key_set, rsa_key

# The official SDKs have no types.
EVENTGRID: Any = eventgrid
FUNCTIONGRAPH: Any = functiongraph
BEARER = {"Authorization": f"Bearer {EXAMPLE['CALLER_BEARER_TOKENS']}"}
NEXT_SECRET = "whsec_" + b64encode(b"the next secret, while rotating").decode()
REQUEST = {"task_id": TASK}
NODE = Path(__file__).parent / "node"
node = shutil.which("node")
pytestmark = pytest.mark.usefixtures("fresh_world")


@pytest.fixture(scope="module")
def public(oms: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A function with each authentication method, which lets each event start the same task once more."""
    keys = tmp_path_factory.mktemp("keys") / "keys.json"
    keys.write_text(json.dumps(key_set(rsa_key("google"))))
    callers = {
        "CALLER_WEBHOOK_SECRETS": f"{WEBHOOK_SECRET},{NEXT_SECRET}",
        "CALLER_OIDC_AUDIENCE": AUDIENCE,
        "CALLER_OIDC_EMAILS": EMAIL,
        "CALLER_OIDC_KEYS": str(keys),
    }
    unbounded = {"RESTART_BUDGET": "9999/24h", "RESTART_BACKOFF": "0"}
    with function(EXAMPLE | unbounded | callers | {"OMS_ENDPOINT": oms.url}) as running:
        yield running


# Standard Webhooks, signed by its own library

EVENT = {"specversion": "1.0", "type": "oms.task.failed", "source": "/webhook", "data": REQUEST}
ENVELOPE = {"type": "oms.task.failed", "data": REQUEST}


def signed(secret: str, document: Any, prefix: str = "webhook") -> tuple[str, dict[str, str]]:
    """The body and the headers as the library signs them now; an envelope gets its time."""
    identity, now = str(uuid4()), datetime.now(UTC)
    body = json.dumps(document | {"timestamp": now.isoformat()} if document.keys() == ENVELOPE.keys() else document)
    signature = Webhook(secret).sign(identity, now, body)
    facts = {"id": identity, "timestamp": str(int(now.timestamp())), "signature": signature}
    return body, {f"{prefix}-{name}": value for name, value in facts.items()}


@pytest.mark.parametrize("prefix", ["webhook", "svix"])
@pytest.mark.parametrize("secret", [WEBHOOK_SECRET, NEXT_SECRET], ids=["old secret", "new secret"])
@pytest.mark.parametrize(
    ("document", "status", "dialect"),
    [
        pytest.param(REQUEST, 200, "direct", id="bare request"),
        pytest.param(EVENT, 204, "cloudevent", id="structured CloudEvent"),
        pytest.param(ENVELOPE, 204, "webhook", id="envelope"),
    ],
)
def test_what_standardwebhooks_signs_starts_the_task(
    document: Any, status: int, dialect: str, secret: str, prefix: str, oms: Running, public: Running
) -> None:
    body, headers = signed(secret, document | {"id": str(uuid4())} if "specversion" in document else document, prefix)
    assert httpx.post(public.url, content=body, headers=headers).status_code == status
    receipt = public.receipt()
    assert (receipt["outcome"], receipt["dialect"]) == ("started", dialect)
    assert oms.operations() == ["show", "start"]


def test_while_a_secret_is_rotated_a_sender_may_sign_with_both(public: Running) -> None:
    """The signatures stand in one header; one that the function knows is enough, and none of them is not."""
    body, headers = signed(WEBHOOK_SECRET, REQUEST)
    stranger = "whsec_" + b64encode(b"a secret that nobody configured").decode()
    other = signed(stranger, REQUEST)[1]["webhook-signature"]
    both = headers | {"webhook-signature": f"{other} {headers['webhook-signature']}"}
    assert httpx.post(public.url, content=body, headers=both).status_code == 200
    assert public.receipt()["outcome"] == "started"
    alone = headers | {"webhook-signature": other}
    assert httpx.post(public.url, content=body, headers=alone).status_code == 401
    assert public.receipt()["outcome"] == "unauthenticated"


# Google


def google_token(key: str = "google", **changes: Any) -> str:
    """An ID token that google-auth signs as Google signs one for a service account."""
    pem = rsa_key(key).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    now = int(datetime.now(UTC).timestamp())
    claims = {"iss": "https://accounts.google.com", "aud": AUDIENCE, "email": EMAIL, "email_verified": True}
    signer = crypt.RSASigner.from_string(pem, KEY_ID)
    encoded: bytes = jwt.encode(signer, claims | {"sub": "1", "iat": now, "exp": now + 3600} | changes)
    return encoded.decode()


def push(**changes: Any) -> dict[str, Any]:
    """A push of a message that is written by Pub/Sub's own type, with each field that it has."""
    message = PubsubMessage(
        data=json.dumps(REQUEST).encode(),
        message_id=str(uuid4()),
        publish_time=datetime.now(UTC),
        attributes={"origin": "sdk"},
        ordering_key="k",
    )
    written = json.loads(PubsubMessage.to_json(message, preserving_proto_field_name=False))
    return {"message": written, "subscription": "projects/example/subscriptions/oms-failed"} | changes


@pytest.mark.parametrize("changes", [{}, {"deliveryAttempt": 2}])
def test_a_message_of_pubsub_with_a_token_of_google_auth_starts_the_task(
    changes: dict[str, Any], oms: Running, public: Running
) -> None:
    document = push(**changes)
    headers = {"Authorization": f"Bearer {google_token()}"}
    assert httpx.post(public.url, json=document, headers=headers).status_code == 204
    receipt = public.receipt()
    assert (receipt["outcome"], receipt["dialect"]) == ("started", "pubsub")
    assert receipt["event_id"] == document["message"]["messageId"]
    assert oms.operations() == ["show", "start"]


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(lambda: google_token("stranger"), id="another key"),
        pytest.param(lambda: google_token(aud="https://elsewhere.example"), id="another audience"),
        pytest.param(lambda: google_token(email="other@example.com"), id="another account"),
        pytest.param(lambda: google_token(exp=int(datetime.now(UTC).timestamp()) - 60), id="expired"),
    ],
)
def test_a_token_of_google_auth_for_something_else_does_not_get_in(token: Any, oms: Running, public: Running) -> None:
    headers = {"Authorization": f"Bearer {token()}"}
    assert httpx.post(public.url, json=push(), headers=headers).status_code == 401
    assert public.receipt()["outcome"] == "unauthenticated"
    assert oms.operations() == []


# Huawei Cloud


@pytest.mark.parametrize("data", [REQUEST, json.dumps(REQUEST)], ids=["object", "string of JSON"])
@pytest.mark.parametrize("path", ["/", "/invoke"])
def test_an_event_of_the_model_of_eventgrid_starts_the_task(
    path: str, data: Any, oms: Running, public: Running
) -> None:
    """The SDK sends `data` as an object; its documents allow a string, too."""
    made = EVENTGRID.CloudEvents(
        id=str(uuid4()),
        source="oms-watch",
        specversion="1.0",
        type="oms.task.failed",
        datacontenttype="application/json",
        data=data,
        time=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        subject="tasks",
    )
    (document,) = sanitize_for_serialization(EVENTGRID.PutEventsReq(events=[made]))["events"]
    assert httpx.post(public.url + path, json=document, headers=BEARER).status_code == 204
    receipt = public.receipt()
    assert (receipt["outcome"], receipt["dialect"], receipt["event_id"]) == ("started", "cloudevent", made.id)
    assert oms.operations() == ["show", "start"]


def test_a_timer_of_the_model_of_functiongraph_starts_the_task(oms: Running, public: Running) -> None:
    """The trigger is the SDK's; the event around its `user_event` is the platform's, which has no model."""
    data = FUNCTIONGRAPH.TriggerEventDataRequestBody(
        name="Timer_001", schedule_type="Rate", schedule="15m", user_event=json.dumps(REQUEST)
    )
    body = FUNCTIONGRAPH.CreateFunctionTriggerRequestBody(trigger_type_code="TIMER", event_data=data)
    trigger = sanitize_for_serialization(body)
    event = {
        "version": "v1.0",
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "trigger_type": trigger["trigger_type_code"],
        "trigger_name": trigger["event_data"]["name"],
        "user_event": trigger["event_data"]["user_event"],
    }
    assert httpx.post(f"{public.url}/invoke", json=event, headers=BEARER).status_code == 204
    receipt = public.receipt()
    assert (receipt["outcome"], receipt["dialect"]) == ("started", "functiongraph_timer")
    assert oms.operations() == ["show", "start"]


def test_whoever_invokes_the_function_by_the_sdk_of_functiongraph_reads_the_receipt(
    oms: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gateway of FunctionGraph checks the SDK's signature; here it is left out, so the platform is trusted."""
    monkeypatch.setenv("HOME", str(tmp_path))  # the SDK keeps a file there
    credentials: Any = BasicCredentials("AKEXAMPLE0000000001", "SKEXAMPLE00000000000000000000000000000001", PROJECT)
    trusted = EXAMPLE | {"CALLER_BEARER_TOKENS": "", "CALLER_TRUST_PLATFORM": "true", "OMS_ENDPOINT": oms.url}
    urn = f"urn:fss:cn-north-4:{PROJECT}:function:default:restart:latest"
    with function(trusted) as platform:
        builder = FUNCTIONGRAPH.FunctionGraphClient.new_builder().with_credentials(credentials)
        client = builder.with_endpoint(platform.url).build()
        client.invoke_function(FUNCTIONGRAPH.InvokeFunctionRequest(function_urn=urn, body=REQUEST))
        receipt = platform.receipt()
    assert (receipt["outcome"], receipt["dialect"], receipt["intent"]) == ("started", "direct", "requested")
    assert oms.operations() == ["show", "start"]


# Libraries of HTTP: a good call, a wrong one and a good one on one connection


def by_httpx(url: str, body: bytes) -> int:
    return httpx.post(url, content=body, headers=BEARER).status_code


def by_requests(url: str, body: bytes) -> int:
    return requests.post(url, data=body, headers=BEARER, timeout=5).status_code


def by_urllib3(url: str, body: bytes) -> int:
    return urllib3.request("POST", url, body=body, headers=BEARER, retries=False, timeout=5).status


def by_requests_chunked(url: str, body: bytes) -> int:
    return requests.post(url, data=iter([body[:3], body[3:]]), headers=BEARER, timeout=5).status_code


def by_aiohttp(url: str, body: bytes) -> int:
    """It calls bytes application/octet-stream, which gets 415, unless it is told what they are."""
    headers = BEARER | {"Content-Type": "application/json"}

    async def post() -> int:
        async with aiohttp.ClientSession() as session, session.post(url, data=body, headers=headers) as reply:
            return reply.status

    return asyncio.run(post())


@pytest.mark.parametrize("send", [by_httpx, by_requests, by_requests_chunked, by_urllib3, by_aiohttp])
def test_a_library_of_http_sends_direct_calls(send: Any, oms: Running, public: Running) -> None:
    """Most libraries are not told the content's type, and send none."""
    assert send(public.url, json.dumps(REQUEST).encode()) == 200
    assert public.receipt()["outcome"] == "started"
    assert send(public.url, b"{") == 400
    assert public.receipt()["outcome"] == "malformed"
    assert oms.operations() == ["show", "start"]


def test_a_connection_survives_errors(public: Running) -> None:
    """urllib3, which carries requests and the official SDKs, counts what it opened and what it sent."""
    pool = urllib3.connection_from_url(public.url)
    for body, status in ((b"{", 400), (json.dumps(REQUEST).encode(), 200), (b'{"task_id": "x"}', 400)):
        assert pool.request("POST", "/", body=body, headers=BEARER, retries=False, timeout=5).status == status
        public.receipt()
    assert (pool.num_connections, pool.num_requests) == (1, 3)
    pool.close()


# Alertmanager

ALERTMANAGER = """
route: {{receiver: oms-restart, group_wait: 50ms, group_interval: 200ms, repeat_interval: 200ms}}
receivers:
  - name: oms-restart
    webhook_configs:
      - {{url: {url}/, send_resolved: true, http_config: {{authorization: {{credentials: {token}}}}}}}
"""
alertmanager = shutil.which("alertmanager") or shutil.which("prometheus-alertmanager")


@contextmanager
def alerting(folder: Path, public: Running) -> Iterator[str]:
    """The address of an Alertmanager with the function as its only receiver, and its default body."""
    file, port = folder / "alertmanager.yml", free_port()
    file.write_text(ALERTMANAGER.format(url=public.url, token=EXAMPLE["CALLER_BEARER_TOKENS"]))
    options = [f"--config.file={file}", f"--storage.path={folder}", f"--web.listen-address=127.0.0.1:{port}"]
    command = [str(alertmanager), *options, "--cluster.listen-address=", "--log.level=error"]
    with started(command, {}) as process:
        url, give_up = f"http://127.0.0.1:{port}", time.monotonic() + TIMEOUT_S
        while True:
            try:
                httpx.get(f"{url}/-/ready").raise_for_status()
                break
            except httpx.HTTPError:
                assert process.poll() is None
                assert time.monotonic() < give_up
                time.sleep(0.02)
        yield url


@pytest.mark.skipif(alertmanager is None, reason="no alertmanager here")
def test_each_alert_of_alertmanager_starts_its_task_once(oms: Running, public: Running, tmp_path: Path) -> None:
    """Two tasks and something else share one group. It notifies again while they fire, and when they are over."""
    labels = [{"task_id": str(TASK)}, {"task_id": str(TASK + 1)}, {"instance": "node-1"}]
    alerts = [{"labels": {"alertname": "OmsTaskFailed"} | one, "annotations": {"number": "1.0"}} for one in labels]
    with alerting(tmp_path, public) as url:
        httpx.post(f"{url}/api/v2/alerts", json=alerts).raise_for_status()
        found = [public.receipt() for _ in range(6)]
        now = datetime.now(UTC).isoformat()
        httpx.post(f"{url}/api/v2/alerts", json=[one | {"endsAt": now} for one in alerts]).raise_for_status()
        while public.receipt()["reason"] != "alert_resolved":
            pass
    assert {receipt["dialect"] for receipt in found} == {"alertmanager"}
    facts = [(receipt["outcome"], receipt.get("reason"), receipt.get("task_id")) for receipt in found]
    other = ("ignored", "alert_without_task", None)
    first, again = sorted(facts[:3], key=str), sorted(facts[3:], key=str)
    assert first == [other, ("started", None, str(TASK)), ("started", None, str(TASK + 1))]
    assert again == [("duplicate", None, str(TASK)), ("duplicate", None, str(TASK + 1)), other]
    assert oms.operations().count("start") == 2


# JavaScript


def modules() -> Path | None:
    """Where the packages of node/package.json are: in the folder itself, or where NODE_PATH says."""
    places = [NODE / "node_modules", *map(Path, filter(None, os.environ.get("NODE_PATH", "").split(os.pathsep)))]
    return next((place for place in places if (place / "cloudevents").is_dir()), None)


@pytest.mark.skipif(node is None, reason="no node here")
@pytest.mark.skipif(modules() is None, reason="no packages of tests/e2e/node here: npm ci, or NODE_PATH")
def test_senders_in_javascript_get_what_python_gets(oms: Running, public: Running) -> None:
    arguments = [public.url, EXAMPLE["CALLER_BEARER_TOKENS"], WEBHOOK_SECRET, str(TASK)]
    environment = child_environment(NODE_PATH=str(modules()))
    done = subprocess.run(  # noqa: S603
        [str(node), str(NODE / "senders.js"), *arguments], env=environment, capture_output=True, timeout=20, check=True
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    found = {line["name"]: (line["status"], line["body"], public.receipt()["outcome"]) for line in lines}
    assert found["cloudevents: binary"] == (204, False, "started")
    event, call = (204, False, "already_running"), (200, True, "already_running")
    del found["cloudevents: binary"]
    assert found == {
        "cloudevents: structured": event,
        "cloudevents: structured, Chinese": event,
        "cloudevents: structured, bytes": event,
        "cloudevents: batch": event,
        "cloudevents: another type": (204, False, "ignored"),
        "cloudevents: emitter": event,
        "standardwebhooks: bare request": call,
        "standardwebhooks: structured CloudEvent": event,
        "standardwebhooks: envelope": event,
        "standardwebhooks: svix names": call,
        "standardwebhooks: another secret": (401, True, "unauthenticated"),
        "fetch: direct": call,
        "fetch: not JSON": (400, True, "malformed"),
        "fetch: direct again": call,
        "fetch: no token": (401, True, "unauthenticated"),
    }
