"""The function as a platform starts it, in front of the simulator: processes, sockets, and every sample of events/."""

import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import child_processes
import demo
from example import TASK, TASK_NAME
from processes import EXAMPLE, FUNCTION, TIMEOUT_S, Running, failed_start, function
from samples import EVENTS, FOLDERS

EMPTY = FUNCTION.parent / "tests" / "bench" / "empty_function" / "main.py"
ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.usefixtures("fresh_world")
BEARER = {"Authorization": f"Bearer {EXAMPLE['CALLER_BEARER_TOKENS']}"}


@pytest.fixture(scope="module", autouse=True)
def by_exec() -> Iterator[None]:
    """Start every process of this file as platforms do; other files fork most of theirs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(child_processes, "starter", subprocess.Popen)
        yield


def test_every_sample_does_what_its_folder_says() -> None:
    played = list(demo.play_all())
    assert len(played) == len(list(EVENTS.glob("*/*.http"))) > 140
    assert {row.sample.folder for row in played} == set(FOLDERS)
    assert [f"{row.sample.name}: {row.outcome}" for row in played if not row.as_expected] == []


def test_a_direct_call_is_one_look_and_one_start(oms: Running, public: Running) -> None:
    reply = httpx.post(public.url, json={"task_id": TASK}, headers=BEARER)
    assert reply.status_code == 200
    assert reply.json() == public.receipt()
    assert oms.operations() == ["show", "start"]
    start = oms.control("GET", "/_sim/calls")[1]
    assert start["path"] == f"/v2/{EXAMPLE['OMS_PROJECT_ID']}/tasks/{TASK}/start"
    assert start["body"] == {
        "src_ak": "src_ak",
        "src_sk": "src_sk",
        "dst_ak": "dst_ak",
        "dst_sk": "dst_sk",
        "migrate_failed_object": True,
    }


def test_a_notice_with_only_a_name_is_one_list_one_look_and_one_start(oms: Running, public: Running) -> None:
    message = f"Migration task {TASK_NAME} failed."
    record = {"record": [{"smn": {"message": message, "message_id": "m-1", "topic_urn": "topicUrn"}}]}
    assert httpx.post(f"{public.url}/invoke", json=record, headers=BEARER).status_code == 204
    assert public.receipt()["task_id"] == str(TASK)
    assert oms.operations() == ["list", "show", "start"]


def test_what_runs_already_is_not_started_again(oms: Running, public: Running) -> None:
    for status in (200, 200):
        assert httpx.post(public.url, json={"task_id": TASK}, headers=BEARER).status_code == status
    assert [public.receipt()["outcome"] for _ in range(2)] == ["started", "already_running"]
    assert oms.operations() == ["show", "start", "show"]


@pytest.mark.parametrize(
    ("action", "outcome", "starts", "looks"),
    [
        ({"reset_after": "rst"}, "started", 1, 2),
        ({"reset_before": "rst"}, "unconfirmed", 0, 2),
        ({"hang": "after"}, "started", 1, 2),
        ({"hang": "before"}, "unconfirmed", 0, 2),
        ({"answer": "throttled"}, "unavailable", 0, 1),
        ({"answer": "redirect"}, "rejected", 0, 1),
        ({"answer": {"status": 504, "commit": True}}, "started", 1, 2),
    ],
)
def test_a_start_is_sent_once_whatever_becomes_of_its_answer(
    action: dict[str, str], outcome: str, starts: int, looks: int, oms: Running, public: Running
) -> None:
    oms.control("PUT", "/_sim/rules", [{"operation": "start", "action": action}])
    httpx.post(public.url, json={"task_id": TASK}, headers=BEARER, timeout=10)
    receipt = public.receipt()
    assert receipt["outcome"] == outcome
    assert receipt["duration_ms"] < 4600
    assert oms.operations() == ["show", "start", "show"][: looks + 1]
    (task,) = [task for task in oms.control("GET", "/_sim/tasks") if task["id"] == TASK]
    assert task["starts"] == starts


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b" " * 1_000_000, {}, 413),
        (b"{", {}, 400),
        (b"\xff", {}, 400),
        (b"[" * 200_000, {}, 400),
        (b'{"task_id": true}', {}, 400),
        (b'{"task_id": "../../../v2"}', {}, 400),
        (b'{"task_id": 12345678901234567}', {}, 400),
        (b'{"task_id": 1, "dst_sk": "x"}', {}, 400),
        (b"x", {"Content-Type": "text/plain"}, 415),
        (b'{"task_id": 1}', {"Authorization": "Bearer nobody"}, 401),
    ],
)
def test_garbage_gets_its_4xx_and_oms_hears_nothing(
    body: bytes, headers: dict[str, str], status: int, oms: Running, public: Running
) -> None:
    reply = httpx.post(public.url, content=body, headers=BEARER | {"Content-Type": "application/json"} | headers)
    assert reply.status_code == status
    assert reply.headers["content-type"] == "application/problem+json"
    assert public.receipt()["severity"] == "WARNING"
    assert oms.operations() == []


def test_a_token_of_iam_is_taken_by_oms_too(oms: Running) -> None:
    unsigned = {name: value for name, value in EXAMPLE.items() if not name.startswith("HUAWEICLOUD_")}
    with function(unsigned | {"OMS_ENDPOINT": oms.url, "OMS_AUTH_TOKEN": "example-token"}) as running:
        assert httpx.post(running.url, json={"task_id": TASK}, headers=BEARER).status_code == 200


def test_a_program_without_an_authentication_method_does_not_start() -> None:
    settings = {name: value for name, value in EXAMPLE.items() if not name.startswith("CALLER_")}
    ended = failed_start(settings, ROOT)
    assert ended.returncode == 1
    assert "CALLER_BEARER_TOKENS: no authentication method is configured" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_without_certificates_to_trust_a_program_does_not_start_and_says_so() -> None:
    settings = EXAMPLE | {"OMS_ENDPOINT": "https://oms.cn-north-4.myhuaweicloud.com", "SSL_CERT_FILE": "/not/there.pem"}
    ended = failed_start(settings)
    assert ended.returncode == 1
    assert "SSL_CERT_FILE, SSL_CERT_DIR: FileNotFoundError: cannot be read" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_delivery_in_flight_is_answered_before_the_process_ends(oms: Running) -> None:
    oms.control("PUT", "/_sim/rules", [{"operation": "show", "action": {"delay": 0.7}}])
    replies: list[int] = []
    with function(EXAMPLE | {"OMS_ENDPOINT": oms.url}) as running:

        def deliver() -> None:
            replies.append(httpx.post(running.url, json={"task_id": TASK}, headers=BEARER).status_code)

        delivery = threading.Thread(target=deliver)
        delivery.start()
        while oms.operations() != ["show"]:
            time.sleep(0.01)
        running.process.send_signal(signal.SIGTERM)
        delivery.join()
    assert replies == [200]


def test_the_deployed_folder_needs_nothing_outside_it() -> None:
    assert FUNCTION == ROOT / "function"
    assert {path.name for path in FUNCTION.iterdir() if path.name != "__pycache__"} >= {"main.py", "requirements.txt"}


@pytest.mark.parametrize(("source", "opened"), [(FUNCTION / "main.py", False), (EMPTY, True)], ids=["ours", "another"])
def test_gunicorn_opens_no_socket_for_its_own_commands(source: Path, opened: bool, tmp_path: Path) -> None:  # noqa: FBT001
    """It would lie in the home folder, or in the runtime folder, under one name for every function of a machine."""
    home = {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}
    log = tmp_path / "log"
    with log.open("wb") as stderr:
        settings = EXAMPLE | home | {"GUNICORN_LOG_LEVEL": "debug"}
        with function(settings, source=source, stderr=stderr) as running:
            assert httpx.get(f"{running.url}/healthz").status_code < 300
            give_up = time.monotonic() + TIMEOUT_S
            while opened and not (tmp_path / "gunicorn.ctl").exists():
                assert time.monotonic() < give_up
                time.sleep(0.01)
    assert ("Control socket disabled" in log.read_text("utf-8")) != opened
    assert [path for path in tmp_path.rglob("*") if path != log] == []
