"""The operator's command: every line a check, an exit status, never a start, and no secret in what it prints."""

import json
import re
import runpy
import signal
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from pytest_httpx import HTTPXMock
from redis import Redis

from example import BEARER, ENVIRONMENT, PROJECT, TASK, TASK_NAME, shown
from function_client import SHOW, TASKS
from httpx_transport import HttpxTransport
from processes import run_python
from redis_server import RedisServer
from restarter.callers.google_oidc import KEYS_URL
from restarter.cli.check import NO_GROUP, NO_TASK, NO_TASK_ID
from restarter.cli.check_ledger import SHARE_IT, WRITE_IT
from restarter.cli.command import cli
from restarter.ledger import Claim, Claimed, EventKey
from restarter.ledger.memory import MemoryLedger
from restarter.model.outcome import Reason
from restarter.reporting.reasons import REASONS
from signers import TOPIC, certificate, rsa_key, sign_smn, smn_message

EVENTS = Path(__file__).parents[2] / "events"
SEARCH = httpx.URL(TASKS, params={"limit": "50", "offset": "0", "task_name": NO_TASK})
SHOW_GROUP = TASKS.replace("tasks", f"taskgroups/{NO_GROUP}")
NO_SUCH_GROUP: dict[str, Any] = {"status_code": 400, "json": {"error_code": "OMS.1009"}}
REQUIRED = "required, because OMS keeps no keys and each start sends them"
SECRETS = [value for name, value in ENVIRONMENT.items() if name.endswith(("SDK_SK", "TOKENS"))]


def run(*arguments: str) -> tuple[int, str]:
    """The exit status and what was printed."""
    result = CliRunner().invoke(cli, list(arguments))
    assert not [secret for secret in SECRETS if secret in result.output]
    return result.exit_code, result.output


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch, httpx_mock: HTTPXMock) -> HTTPXMock:
    monkeypatch.setattr("restarter.http.transport.connections", HttpxTransport)
    return httpx_mock


def test_all_is_well(network: HTTPXMock) -> None:
    network.add_response(method="GET", url=SEARCH, json={"tasks": [], "count": 0})
    network.add_response(method="GET", url=SHOW_GROUP, **NO_SUCH_GROUP)
    status, output = run("check")
    assert status == 0
    assert output.splitlines() == [
        f"ok     settings: project {PROJECT}, 1 set(s) of storage credentials",
        "ok     callers: bearer",
        f"ok     oms: project {PROJECT} at https://oms.cn-north-4.myhuaweicloud.com: answers",
        f"ok     task groups: project {PROJECT}: can be read (oms:taskgroup:get)",
        "ok     ledger: memory answers",
    ]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"status_code": 404}, "can be read (oms:taskgroup:get)"),
        ({"status_code": 200, "json": {"status": 6}}, "can be read (oms:taskgroup:get)"),
        (
            {"status_code": 403, "json": {"error_code": "OMS.0206", "error_msg": "sk"}},
            "not permitted; without oms:taskgroup:get and oms:taskgroup:update failed task groups are not retried",
        ),
        ({"status_code": 503}, "not known whether they can be read: oms_error"),
    ],
)
def test_the_right_to_task_groups_is_told(answer: dict[str, Any], said: str, network: HTTPXMock) -> None:
    """A project may have none."""
    network.add_response(method="GET", url=SEARCH, json={"tasks": [], "count": 0})
    network.add_response(method="GET", url=SHOW_GROUP, **answer)
    status, output = run("check")
    assert status == 0
    assert f"ok     task groups: project {PROJECT}: {said}" in output


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"status_code": 401, "json": {"error_code": "APIGW.0301", "error_msg": "sk"}}, "APIGW.0301"),
        ({"status_code": 503}, "oms_error"),
        ({"status_code": 403}, "credentials"),
        ({"status_code": 200, "text": "<html>"}, "unreadable_answer"),
    ],
)
def test_keys_that_oms_refuses_are_a_failed_check(answer: dict[str, Any], said: str, network: HTTPXMock) -> None:
    network.add_response(url=SEARCH, **answer)
    status, output = run("check")
    assert status == 1
    assert f"FAILED oms: project {PROJECT} at https://oms.cn-north-4.myhuaweicloud.com: {said}" in output


def test_every_project_is_asked_about(network: HTTPXMock, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("OMS_PROJECTS", '{"other": "la-south-2"}')
    network.add_response(url=SEARCH, json={"tasks": []})
    network.add_response(url=SHOW_GROUP, **NO_SUCH_GROUP)
    network.add_exception(httpx.ConnectError("no"))
    status, output = run("check")
    assert status == 1
    assert "FAILED oms: project other at https://oms.la-south-2.myhuaweicloud.com: no_connection" in output


def test_a_ledger_without_a_server_is_a_failed_check(network: HTTPXMock, environment: pytest.MonkeyPatch) -> None:
    """Its password is not shown."""
    environment.setenv("RESTART_LEDGER", "redis://:a-password@127.0.0.1:9/0")
    network.add_response(url=SEARCH, json={"tasks": []})
    network.add_response(url=SHOW_GROUP, **NO_SUCH_GROUP)
    status, output = run("check")
    assert status == 1
    assert "FAILED ledger: redis does not answer: ConnectionError" in output
    assert "a-password" not in output


def test_wrong_settings_are_listed(environment: pytest.MonkeyPatch) -> None:
    """Nobody is asked with them."""
    environment.delenv("OMS_DST_AK")
    environment.setenv("OMS_REGION", "the-moon")
    status, output = run("check")
    to_do = "To do: correct it in the environment, or in the file of that name in SECRETS_DIR"
    assert status == 2
    assert output.startswith(f"FAILED settings: OMS_DST_AK: {REQUIRED}. {to_do}\nFAILED settings: OMS_REGION: unk")
    status, output = run("check", "--json")
    first, second = map(json.loads, output.splitlines())
    assert (status, first["check"], first["ok"], second["ok"]) == (2, "settings", False, False)
    assert first["found"] == f"OMS_DST_AK: {REQUIRED}"


def test_what_only_a_deployment_needs_keeps_nobody_from_asking(
    network: HTTPXMock, environment: pytest.MonkeyPatch
) -> None:
    """Without storage keys and callers OMS is asked all the same; the function would not start, so it is 2."""
    for name in ENVIRONMENT:
        if name.startswith(("OMS_SRC_", "OMS_DST_", "CALLER_")):
            environment.delenv(name)
    network.add_response(method="GET", url=SEARCH, json={"tasks": [], "count": 0})
    network.add_response(method="GET", url=SHOW_GROUP, **NO_SUCH_GROUP)
    status, output = run("check")
    assert status == 2
    no_caller = "no authentication method is configured; set this or another CALLER_ setting"
    assert [line.split(".")[0] for line in output.splitlines()] == [
        f"FAILED settings: CALLER_BEARER_TOKENS: {no_caller}",
        f"FAILED settings: OMS_DST_AK: {REQUIRED}",
        f"FAILED settings: OMS_DST_SK: {REQUIRED}",
        f"ok     settings: project {PROJECT}, 0 set(s) of storage credentials",
        "ok     callers: none",
        f"ok     oms: project {PROJECT} at https://oms",
        f"ok     task groups: project {PROJECT}: can be read (oms:taskgroup:get)",
        "ok     ledger: memory answers",
    ]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("RESTART_BUGDET", "RESTART_BUGDET is not a setting and has no effect; did you mean RESTART_BUDGET?"),
        ("RESTART_LOOK_FIRST", "RESTART_LOOK_FIRST is no longer a setting and has no effect: the function looks at"),
    ],
)
def test_a_misspelt_or_former_name_is_told(
    name: str, said: str, network: HTTPXMock, environment: pytest.MonkeyPatch
) -> None:
    """It is no failed check."""
    environment.setenv(name, "the-value")
    network.add_response(method="GET", url=SEARCH, json={"tasks": [], "count": 0})
    network.add_response(method="GET", url=SHOW_GROUP, **NO_SUCH_GROUP)
    status, output = run("check")
    assert status == 0
    assert f"ok     settings: {said}" in output
    assert " To do: rename or remove it\n" in output
    assert "?." not in output
    assert "the-value" not in output


# What `check --all` asks of OMS: it lists, shows a task and a group, and starts nothing.
SHOW_NO_TASK = f"{TASKS}/{NO_TASK_ID}"
NO_SUCH_TASK: dict[str, Any] = {"status_code": 400, "json": {"error_code": "OMS.1009"}}
RIGHTS = [
    f"ok     oms: project {PROJECT} at https://oms.cn-north-4.myhuaweicloud.com: answers",
    f"ok     right to list tasks: project {PROJECT}: given (oms:task:list)",
    f"ok     right to read a task: project {PROJECT}: given (oms:task:get)",
    f"ok     task groups: project {PROJECT}: can be read (oms:taskgroup:get)",
    f"ok     right to start a task: project {PROJECT}: not tried, for only a start would prove oms:task:update",
]


def add_oms(network: HTTPXMock, *, ahead_s: float | None = None, task: dict[str, Any] = NO_SUCH_TASK) -> None:
    """OMS as a good key finds it; `ahead_s`: how far its clock is ahead."""
    at = None if ahead_s is None else datetime.now(UTC) + timedelta(seconds=ahead_s)
    date = {"Date": format_datetime(at, usegmt=True)} if at else {}
    network.add_response(method="GET", url=SEARCH, json={"tasks": []}, headers=date)
    network.add_response(method="GET", url=SHOW_NO_TASK, **task)
    network.add_response(method="GET", url=SHOW_GROUP, **NO_SUCH_GROUP)


def test_all_is_checked_and_nothing_is_started(network: HTTPXMock, environment: pytest.MonkeyPatch) -> None:
    add_oms(network, ahead_s=0)
    status, output = run("check", "--all")
    assert status == 0
    assert output.splitlines()[2:7] == RIGHTS
    assert re.match(r"ok     clock: [01] s (ahead of|behind) OMS's", output.splitlines()[7])
    assert output.splitlines()[8:] == [
        "ok     ledger: memory answers",
        "ok     ledger: a probe was written, read and removed",
        f"ok     ledger: kept in one instance, and forgotten when that ends. To do: {SHARE_IT}",
        "ok     platform: none is known here: a failed delivery is repeated as its sender does it",
    ]
    assert {request.method for request in network.get_requests()} == {"GET"}


def test_the_same_is_told_to_scripts(network: HTTPXMock) -> None:
    add_oms(network)
    status, output = run("check", "--all", "--json")
    findings = [json.loads(line) for line in output.splitlines()]
    assert status == 0
    assert findings[0] == {
        "kind": "check",
        "check": "settings",
        "ok": True,
        "found": f"project {PROJECT}, 1 set(s) of storage credentials",
    }
    assert all(finding["ok"] for finding in findings)
    assert {"check": "clock", "found": "not compared: no answer of OMS had a Date"}.items() <= findings[7].items()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            {"status_code": 403},
            "FAILED right to read a task: project {}: credentials. To do: Replace the key in HUAWEICLOUD_SDK_AK",
        ),
        ({"status_code": 500}, "FAILED right to read a task: project {}: oms_error. To do: try again later"),
        ({"status_code": 200, "json": shown(id=int(NO_TASK_ID))}, "ok     right to read a task: project {}: given"),
        ({"status_code": 404}, "ok     right to read a task: project {}: given"),
    ],
)
def test_any_answer_about_a_task_proves_the_right(answer: dict[str, Any], said: str, network: HTTPXMock) -> None:
    add_oms(network, task=answer)
    status, output = run("check", "--all")
    assert status == int(said.startswith("FAILED"))
    assert said.format(PROJECT) in output


@pytest.mark.parametrize(
    ("ahead_s", "said"),
    [
        (130, "FAILED clock: 1.. s behind OMS's. To do: set the clock of this machine"),
        (-130, "FAILED clock: 1.. s ahead of OMS's"),
        (-40, "ok     clock: 4. s ahead of OMS's"),
    ],
)
def test_the_clock_is_within_a_minute_of_that_of_oms(ahead_s: float, said: str, network: HTTPXMock) -> None:
    add_oms(network, ahead_s=ahead_s)
    status, output = run("check", "--all")
    assert (status, bool(re.search(said, output))) == (int(said.startswith("FAILED")), True)


@pytest.mark.parametrize("date", ["yesterday", "Mon, 25 Nov 2126 03:00:00 -0000", ""])
def test_a_date_that_is_none_is_no_clock(date: str, network: HTTPXMock) -> None:
    network.add_response(url=SEARCH, json={"tasks": []}, headers={"Date": date})
    network.add_response(url=SHOW_NO_TASK, **NO_SUCH_TASK)
    network.add_response(url=SHOW_GROUP, **NO_SUCH_GROUP)
    assert "ok     clock: not compared" in run("check", "--all")[1]


def test_the_servers_of_certificates_and_keys_are_reached(network: HTTPXMock, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("CALLER_SMN_TOPICS", TOPIC)
    environment.setenv("CALLER_OIDC_AUDIENCE", "https://function")
    environment.setenv("CALLER_OIDC_EMAILS", "a@b.iam.gserviceaccount.com")
    add_oms(network)
    network.add_exception(httpx.ConnectError("no"), url="https://smn.cn-north-4.myhuaweicloud.com/")
    network.add_response(url="https://smn.cn-north-4.myhuaweicloud.eu/", status_code=403)
    network.add_response(url=KEYS_URL, json={"keys": []})
    status, output = run("check", "--all")
    assert status == 0
    assert "ok     SMN's certificates: https://smn.cn-north-4.myhuaweicloud.eu answers\n" in output
    assert f"ok     Google's keys: {KEYS_URL} answers\n" in output


@pytest.mark.parametrize(
    ("answer", "said"), [({"status_code": 503}, "503"), (httpx.ConnectError("no"), "no_connection")]
)
def test_servers_that_do_not_answer_are_failed_checks(
    answer: dict[str, Any] | Exception, said: str, network: HTTPXMock, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("CALLER_SMN_TOPICS", TOPIC)
    environment.setenv("CALLER_SMN_DOMAINS", "myhuaweicloud.com")
    environment.setenv("CALLER_OIDC_AUDIENCE", "https://function")
    environment.setenv("CALLER_OIDC_EMAILS", "a@b.iam.gserviceaccount.com")
    add_oms(network)
    network.add_exception(httpx.ConnectError("no"), url="https://smn.cn-north-4.myhuaweicloud.com/")
    if isinstance(answer, Exception):
        network.add_exception(answer, url=KEYS_URL)
    else:
        network.add_response(url=KEYS_URL, **answer)
    status, output = run("check", "--all")
    assert status == 1
    assert "FAILED SMN's certificates: no server of cn-north-4 in myhuaweicloud.com answers. To do: let the" in output
    assert f"FAILED Google's keys: {KEYS_URL}: {said}. To do: let the function reach it, or give the keys in" in output


def test_pinned_certificates_and_keys_are_fetched_from_nobody(
    network: HTTPXMock, environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "smn.pem").write_bytes(certificate(rsa_key("smn")))
    environment.setenv("CALLER_SMN_TOPICS", TOPIC)
    environment.setenv("CALLER_SMN_CERTIFICATE", str(tmp_path / "smn.pem"))
    add_oms(network)
    assert "SMN's certificates" not in run("check", "--all")[1]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("RUNTIME_PROJECT_ID", "FunctionGraph: an asynchronous call is repeated by its retry settings"),
        ("K_SERVICE", "Cloud Run or Knative: Pub/Sub repeats a delivery until it expires"),
        ("FUNCTION_TARGET", "Cloud Run or Knative: "),
    ],
)
def test_what_the_platform_does_on_failure_is_told(
    name: str, said: str, network: HTTPXMock, environment: pytest.MonkeyPatch
) -> None:
    add_oms(network)
    environment.setenv(name, "x")
    assert f"ok     platform: {said}" in run("check", "--all")[1]


class Forgetful(MemoryLedger):
    """A ledger that takes what is written and does not keep it."""

    async def claim(self, event: EventKey, seconds: float) -> Claimed:
        return Claimed(Claim.OURS, "token")


def test_a_ledger_that_does_not_keep_a_probe_is_a_failed_check(
    network: HTTPXMock, environment: pytest.MonkeyPatch
) -> None:
    environment.setattr("restarter.cli.check_ledger.open_ledger", lambda _address, clock, _stores: Forgetful(clock))
    add_oms(network)
    status, output = run("check", "--all")
    assert (status, "FAILED ledger: a probe was not kept, or not removed. To do: see that" in output) == (1, True)


def test_a_shared_ledger_keeps_no_probe(network: HTTPXMock, environment: pytest.MonkeyPatch) -> None:
    with RedisServer() as server:
        environment.setenv("RESTART_LEDGER", server.address)
        add_oms(network)
        status, output = run("check", "--all")
        with Redis.from_url(server.address) as client:
            assert client.keys() == []
    assert status == 0
    assert "ok     ledger: a probe was written, read and removed\nok     ledger: shared by all instances" in output


def test_a_ledger_in_a_file_is_checked(network: HTTPXMock, environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It is one of the host; a file that cannot be used is a failed check."""
    environment.setenv("RESTART_LEDGER", f"sqlite://{tmp_path}/ledger.db")
    add_oms(network)
    status, output = run("check", "--all")
    assert status == 0
    assert "ok     ledger: a probe was written, read and removed\nok     ledger: shared by the processes" in output
    damaged = bytearray((tmp_path / "ledger.db").read_bytes())
    (tmp_path / "ledger.db").write_bytes(damaged[:4096] + b"\xff" * (len(damaged) - 4096))
    network.add_response(url=SEARCH, json={"tasks": []})
    network.add_response(url=SHOW_GROUP, **NO_SUCH_GROUP)
    status, output = run("check")
    assert status == 1
    assert f"FAILED ledger: sqlite does not answer: SQLITE_CORRUPT. To do: {WRITE_IT}" in output


def test_an_explanation_for_scripts_has_the_same_facts(tmp_path: Path) -> None:
    (tmp_path / "delivery").write_text('{"task_id": 1, "task_status": "SUCCESS"}', "utf-8")
    _, text = run("explain", str(tmp_path / "delivery"))
    _, output = run("explain", "--json", str(tmp_path / "delivery"))
    steps = [json.loads(line) for line in output.splitlines()]
    assert [f"{step['kind']:<10}{step['found']}" for step in steps] == text.splitlines()


@pytest.mark.parametrize("command", ["check", "explain", "failed", "report", ""])
def test_help_fits_a_terminal_and_every_command_has_json(command: str) -> None:
    status, output = run(*filter(None, [command]), "--help")
    assert status == 0
    assert max(map(len, output.splitlines())) <= 80
    assert not command or "--json" in output
    assert "..." not in output.partition("Commands:")[2]


def test_help_imports_nothing_that_is_slow() -> None:
    program = "import sys; from restarter.cli.command import cli; print(*sys.modules)"
    done = run_python(["-c", program], {})
    assert done.returncode == 0
    assert not {"pydantic", "httpx", "restarter.model"} & set(done.stdout.split())


def test_ctrl_c_while_the_command_is_imported_is_130() -> None:
    program = """
import signal, sys
class Interrupt:
    def find_spec(self, name, *_):
        if name == "click":
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Interrupt())
from restarter.__main__ import main
main()
"""
    done = run_python(["-c", program], {})
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def explained(
    tmp_path: Path, delivery: str, task: dict[str, object] | None = None, group: dict[str, object] | None = None
) -> str:
    """What `explain` says of a delivery, with or without a task and its group."""
    (tmp_path / "delivery").write_text(delivery, "utf-8")
    arguments = ["explain", str(tmp_path / "delivery")]
    if task is not None:
        (tmp_path / "task.json").write_text(json.dumps(task), "utf-8")
        arguments += ["--task", str(tmp_path / "task.json")]
    if group is not None:
        (tmp_path / "group.json").write_text(json.dumps(group), "utf-8")
        arguments += ["--group", str(tmp_path / "group.json")]
    status, output = run(*arguments)
    assert status == 0
    return output


def test_a_start_is_explained(tmp_path: Path) -> None:
    """With the call, whose secrets are masked."""
    output = explained(tmp_path, f'{{"task_id": {TASK}}}', shown())
    assert "caller    NOT AUTHENTICATED (no credentials)" in output
    assert f"look      GET {SHOW}" in output
    assert f"task      {TASK}, status 4, NORMAL_TASK, TRF.0001" in output
    assert "decided   start: no rule forbids it" in output
    assert '/start {"src_ak": "***", "src_sk": "***", "dst_ak": "***", "dst_sk": "***", "migrate_failed_obj' in output
    assert output.endswith("reply     200 OK\n")


def test_a_retry_of_a_group_is_explained(tmp_path: Path) -> None:
    """Of a member: with both reads and the one PUT."""
    member = shown(group_type="GROUP_TASK", group_id="g-1")
    group: dict[str, object] = {"status": 5, "error_reason": {"error_code": "TRF.0061"}}
    output = explained(tmp_path, f'{{"task_id": {TASK}}}', member, group)
    assert f"look      GET {SHOW}\n" in output
    assert "/taskgroups/g-1\ngroup     g-1, status 5, TRF.0061\n" in output
    assert "decided   retry the group: no rule forbids it" in output
    assert '/taskgroups/g-1/retry {"src_ak": "***"' in output
    assert "PUT http" in output
    assert output.endswith("outcome   started\nreply     200 OK\n")


def test_a_login_is_explained_too_and_an_error_of_oms_is_read(tmp_path: Path, environment: pytest.MonkeyPatch) -> None:
    for name in ("HUAWEICLOUD_SDK_AK", "HUAWEICLOUD_SDK_SK"):
        environment.delenv(name)
    for name in ("IAM_DOMAIN", "IAM_USER", "IAM_PASSWORD"):
        environment.setenv(name, "example-name")
    assert "outcome   not_found" in explained(tmp_path, f'{{"task_id": {TASK}}}', {"error_code": "OMS.1009"})


def test_a_group_that_is_not_given_is_not_made_up(tmp_path: Path) -> None:
    output = explained(tmp_path, '{"group_id": "g-1"}')
    assert output.endswith(
        "\noutcome   depends on the task group: --look asks OMS, --group FILE takes a saved answer\n"
    )
    healthy = explained(tmp_path, '{"group_id": "g-1"}', None, {"status": 3, "error_reason": None})
    assert "group     g-1, status 3, no reason" in healthy
    assert f"outcome   refused paused_group: {REASONS[Reason.PAUSED_GROUP].sentence.en}" in healthy


def test_advice_is_explained(tmp_path: Path) -> None:
    """Where a person is needed."""
    event = (
        f'{{"specversion": "1.0", "type": "oms.task.failed", "source": "/s", "id": "1", "data": {{"task_id": {TASK}}}}}'
    )
    delivery = f"POST / HTTP/1.1\nContent-Type: application/cloudevents+json\n\n{event}"
    output = explained(tmp_path, delivery, shown(error_reason={"error_code": "TRF.0055"}))
    assert "advice    Make room in the destination bucket, or raise its quota, then start it by hand" in output


@pytest.mark.parametrize(
    ("task", "outcome", "reply"),
    [
        (shown(3), f"refused paused: {REASONS[Reason.PAUSED].sentence.en}", "204 No Content"),
        (shown(2), "already_running: the task is waiting, running or retrying", "204 No Content"),
        (shown(7), f"deferred pausing: {REASONS[Reason.PAUSING].sentence.en}", "503 Service Unavailable"),
        ({"id": "x"}, "unavailable unreadable_answer: OMS's response cannot be read", "503 Service Unavailable"),
    ],
)
def test_the_rule_that_decided_is_said(tmp_path: Path, task: dict[str, object], outcome: str, reply: str) -> None:
    event = {"specversion": "1.0", "type": "oms.task.failed", "source": "/oms", "id": "1", "data": {"task_id": TASK}}
    output = explained(tmp_path, json.dumps(event), task)
    assert output.splitlines()[-2:] == [f"outcome   {outcome}", f"reply     {reply}"]


def test_a_saved_request_is_read_with_its_headers(tmp_path: Path) -> None:
    """And a name is looked up."""
    request = f"""# A note.
POST / HTTP/1.1
Authorization: Bearer {BEARER}
Content-Type: application/json

{{"task_name": "{TASK_NAME}"}}
"""
    output = explained(tmp_path, request)
    assert "caller    authenticated by bearer" in output
    assert f"task_name={TASK_NAME}" in output
    assert output.endswith("\noutcome   depends on the task: --look asks OMS, --task FILE takes a saved answer\n")
    assert "reply" not in output


@pytest.mark.parametrize(
    ("delivery", "said"),
    [
        ("GET /healthz HTTP/1.1\n\n", "answered  200, without being a delivery"),
        ("GET / HTTP/1.1\n\n", "outcome   method_not_allowed"),
        ('{"task_id": true}', "outcome   malformed task_id: must be 1 to 15 digits"),
        ('{"task_id": 1, "task_status": "SUCCESS"}', "outcome   ignored task_succeeded"),
        ('{"record": [{"smn": {}}]}', "outcome   malformed message_id"),
        ('{"httpMethod": "POST", "requestContext": {}, "body": "{\\"task_id\\": 7}"}', "envelope  APIG event"),
    ],
)
def test_what_is_no_request_is_explained_too(tmp_path: Path, delivery: str, said: str) -> None:
    assert said in explained(tmp_path, delivery)


def test_what_stops_an_event_before_a_look_is_said(tmp_path: Path, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("RESTART_ENABLED", "false")
    assert f"outcome   refused disabled: {REASONS[Reason.DISABLED].sentence.en}" in explained(
        tmp_path, '{"task_id": 1}'
    )


def test_a_dry_run_is_explained(tmp_path: Path, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("RESTART_DRY_RUN", "true")
    assert "outcome   would_start" in explained(tmp_path, '{"task_id": 1}', shown(id=1))


def test_a_look_asks_oms_and_starts_nothing(
    network: HTTPXMock, environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With a region, a project and a key, and no other setting."""
    for name in ENVIRONMENT:
        if not name.startswith(("OMS_REGION", "OMS_PROJECT_ID", "HUAWEICLOUD_SDK_")):
            environment.delenv(name)
    network.add_response(method="GET", url=SHOW, json=shown())
    (tmp_path / "delivery").write_text(f'{{"task_id": {TASK}}}', "utf-8")
    status, output = run("explain", "--look", str(tmp_path / "delivery"))
    assert status == 0
    assert f"look      GET {SHOW}\ntask      {TASK}, status 4, NORMAL_TASK, TRF.0001" in output
    assert "outcome   started\nreply     200 OK" in output
    assert [request.method for request in network.get_requests()] == ["GET"]
    (tmp_path / "task").write_text("{}", "utf-8")
    assert run("explain", "--look", "--task", str(tmp_path / "task"), str(tmp_path / "delivery"))[0] == 2


def test_a_look_without_a_key_says_so(network: HTTPXMock, environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("HUAWEICLOUD_SDK_AK", "HUAWEICLOUD_SDK_SK"):
        environment.delenv(name)
    environment.setenv("OMS_AGENCY", "true")
    (tmp_path / "delivery").write_text(f'{{"task_id": {TASK}}}', "utf-8")
    assert "outcome   unavailable no_key_for_oms" in run("explain", "--look", str(tmp_path / "delivery"))[1]


def test_several_deliveries_are_explained_by_name(tmp_path: Path) -> None:
    """Files, a folder's, and standard input; a script finds the name in each object."""
    (tmp_path / "saved").mkdir()
    for name in ("b.json", "a.http", "c.md"):
        (tmp_path / "saved" / name).write_text('{"task_id": 7}', "utf-8")
    (tmp_path / "one").write_text('{"sweep": true}', "utf-8")
    arguments = ["explain", str(tmp_path / "one"), str(tmp_path / "saved"), "-"]
    result = CliRunner().invoke(cli, arguments, input='{"task_id": true}')
    names = [str(tmp_path / "one"), str(tmp_path / "saved" / "a.http"), str(tmp_path / "saved" / "b.json"), "-"]
    assert [line for line in result.output.splitlines() if line in names] == names
    as_json = CliRunner().invoke(cli, [*arguments, "--json"], input='{"task_id": true}')
    found = [json.loads(line) for line in as_json.output.splitlines()]
    assert list(dict.fromkeys(one["file"] for one in found)) == names
    assert "outcome   ignored sweep_off" in result.output
    assert (result.exit_code, as_json.exit_code) == (0, 0)


def test_a_file_without_a_delivery_is_wrong_usage(tmp_path: Path, environment: pytest.MonkeyPatch) -> None:
    """So are settings that do not load."""
    (tmp_path / "file").write_text("hello", "utf-8")
    assert run("explain", str(tmp_path / "file")) == (2, run("explain", str(tmp_path / "file"))[1])
    environment.delenv("OMS_PROJECT_ID")
    status, output = run("explain", str(tmp_path / "file"))
    assert (status, "OMS_PROJECT_ID: required, because every call" in output) == (2, True)


@pytest.mark.parametrize(
    ("sample", "outcome"),
    [
        ("valid/alertmanager_firing", "depends on the task: "),
        ("ignored/alertmanager_resolved", "ignored alert_resolved: "),
        ("invalid/smn_bad_time", "malformed timestamp: not an RFC 3339 time"),
    ],
)
def test_a_sample_of_each_folder_can_be_explained(sample: str, outcome: str) -> None:
    """As a file, in which the times are filled in first. `test_explain.py` explains every sample."""
    status, output = run("explain", str(EVENTS / f"{sample}.http"))
    assert status == 0
    assert output.startswith("delivery  POST /, ")
    assert f"\noutcome   {outcome}" in output


def test_the_program_is_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["restarter", "--version"])
    before = signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(SystemExit) as end:
            runpy.run_module("restarter", run_name="__main__")
    finally:
        signal.signal(signal.SIGINT, before)
    assert end.value.code == 0
    assert callable(runpy.run_module("restarter.__main__", run_name="imported")["main"])
    assert signal.getsignal(signal.SIGINT) is before


def test_a_subscription_is_explained(tmp_path: Path, environment: pytest.MonkeyPatch) -> None:
    """No certificate is fetched for it."""
    pem = tmp_path / "smn.pem"
    pem.write_bytes(certificate(rsa_key("smn")))
    environment.setenv("CALLER_SMN_TOPICS", TOPIC)
    message = json.dumps(sign_smn(smn_message("SubscriptionConfirmation"), rsa_key("smn")))
    assert "NOT AUTHENTICATED (smn: the certificate could not be fetched)" in explained(tmp_path, message)
    environment.setenv("CALLER_SMN_CERTIFICATE", str(pem))
    assert "confirmed by one GET" in explained(tmp_path, message)


def test_help_says_what_each_command_does() -> None:
    status, output = run("--help")
    assert status == 0
    assert "Prove settings and keys, and start nothing." in output
    assert "Say what the function would do with a saved delivery." in output
