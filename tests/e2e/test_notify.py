"""People are told: real receivers of HTTP and mail, and the message as a person reads it."""

import asyncio
import email
import email.policy
import json
import logging
import queue
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import util
from operator import itemgetter
from typing import Any

import httpx
import pytest
from aiosmtpd.controller import Controller
from click.testing import CliRunner
from pydantic import SecretStr

from example import BEARER, ENVIRONMENT, settings
from processes import EXAMPLE, Running, function, simulator
from restarter.cli.command import cli
from restarter.ledger import LedgerError
from restarter.ledger.memory import MemoryLedger
from restarter.model.delivery import DeliveryContext
from restarter.reporting import notify
from restarter.reporting.notify import Notifier
from restarter.reporting.outcomes import Severity
from restarter.reporting.redaction import Mask
from restarter.settings.errors import SettingsError
from restarter.settings.model import load

TOKEN = "a-token-in-the-path"
WARMING = range(1, 20)
FAILED = {"outcome": "refused", "reason": "permanent_failure", "project_id": "p", "failure_reason": "TRF.0052"}


class Receiver(ThreadingHTTPServer):
    """Keeps what is sent to it."""

    request_queue_size = 64

    def __init__(self, delay_s: float = 0.0) -> None:
        super().__init__(("127.0.0.1", 0), Kept)
        self.delay_s = delay_s
        self.messages: queue.Queue[dict[str, Any]] = queue.Queue()
        self.url = f"json://user:a-password@127.0.0.1:{self.server_port}/{TOKEN}"


class Kept(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:  # the name that http.server asks for
        self.server.messages.put(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        time.sleep(self.server.delay_s)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_arguments: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module", autouse=True)
def imported() -> None:
    """Measured for coverage, the first import alone takes longer than a message may."""
    asyncio.run(notify.send([SecretStr("nonsense://")], "", ""))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def receipt(task: str, **changes: Any) -> dict[str, Any]:
    told = {"message": f"Refused to start task {task}: TRF.0052", "advice": f"Check the policies, then start {task}"}
    return FAILED | told | {"severity": Severity.ERROR, "task_id": task} | changes


def context(seconds: float = 4.5) -> DeliveryContext:
    now = time.monotonic()
    return DeliveryContext(datetime.now(UTC), now, now + seconds)


def notifier(url: str, ledger: Any = None, **changes: Any) -> Notifier:
    return Notifier(settings(notify_urls=url, **changes), ledger or MemoryLedger(time.time))


def deliver(url: str, event_id: int, task: int) -> None:
    headers = {"Authorization": f"Bearer {BEARER}", "ce-id": str(event_id), "ce-source": "/oms"}
    headers |= {"ce-specversion": "1.0", "ce-type": "oms.task.failed"}
    httpx.post(url, json={"task_id": task}, headers=headers, timeout=20)


def warm_up(running: Running, receiver: Receiver) -> None:
    """Until the first message has come: before it the process imports Apprise, which takes long on a busy machine."""
    for task in WARMING:
        deliver(running.url, task, task)
        running.receipt()
        with suppress(queue.Empty):
            receiver.messages.get(timeout=5)  # a message takes 2 s at most, or is given up
            return


@pytest.mark.usefixtures("unmeasured")
@pytest.mark.parametrize(
    ("code", "events", "said"),
    [("TRF.0051", 2, "OMS_DST_AK and OMS_DST_SK"), ("TRF.0052", 1, "The same for {more} more: ")],
    ids=["one expired key, and the budget used up", "one cause that only a person can cure"],
)
def test_fifty_tasks_that_fail_at_once_are_one_message(code: str, events: int, said: str, receiver: Receiver) -> None:
    """Or a few, on a machine that is so busy that they take seconds."""
    failed = {"status": 4, "started_ago": 60, "error_reason": {"error_code": code, "error_msg": "no"}}
    failed |= {"after_start": 4, "after_seconds": 0.05}
    with simulator() as oms:
        warming = [{"id": task, "status": 4, "error_reason": {"error_code": "TRF.0052"}} for task in WARMING]
        oms.control("PUT", "/_sim/tasks", warming + [failed | {"id": 100 + number} for number in range(50)])
        changes = {"OMS_ENDPOINT": oms.url, "NOTIFY_URLS": receiver.url, "RESTART_BUDGET": "1/24h"}
        with function(EXAMPLE | changes) as running, ThreadPoolExecutor(50) as pool:
            warm_up(running, receiver)
            for event in range(events):
                list(pool.map(lambda number: deliver(running.url, 100 * event + number, 100 + number), range(50)))  # noqa: B023
                time.sleep(0.2)
            receipts = [running.receipt() for _ in range(50 * events)]
    told = [(int(one["title"].partition("(")[2][:-1]), one) for one in receiver.messages.queue]
    errors = [receipt["message"] for receipt in receipts if receipt["severity"] == "ERROR"]
    assert sum(number for number, _ in told) == len(errors)
    assert 1 <= len(told) <= 4
    number, most = max(told, key=itemgetter(0))
    first, to_do, *_ = most["message"].splitlines()
    assert first in errors
    assert to_do.startswith("To do: ")
    assert said.format(more=number - 1) in most["message"]
    assert most["title"].startswith("OMS migration: a person is needed (")


def test_each_task_and_reason_is_told_once_also_by_another_instance(receiver: Receiver) -> None:
    ledger = MemoryLedger(time.time)

    async def run() -> None:
        for instance in (notifier(receiver.url, ledger), notifier(receiver.url, ledger)):
            await instance.tell([receipt("7"), receipt("8", severity=Severity.WARNING)], context())
        await instance.tell([receipt("7", reason="budget_exhausted")], context())

    asyncio.run(run())
    titles = [receiver.messages.get_nowait()["message"].splitlines() for _ in range(2)]
    assert titles == [["Refused to start task 7: TRF.0052", "To do: Check the policies, then start 7"]] * 2
    assert receiver.messages.empty()


def test_without_an_answer_of_the_ledger_a_person_is_told(receiver: Receiver) -> None:
    class Away(MemoryLedger):
        async def mark(self, name: str, owner: str, window_s: float) -> bool:
            raise LedgerError("TimeoutError")

    asyncio.run(notifier(receiver.url, Away(time.time)).tell([receipt("7")], context()))
    assert receiver.messages.get_nowait()["title"] == "OMS migration: a person is needed (1)"


def test_after_ten_messages_in_a_minute_the_rest_waits(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(notify, "QUIET_S", 0)
    one = notifier(receiver.url)

    async def run() -> None:
        for number in range(12):
            await one.tell([receipt(str(number))], context())
        monkeypatch.setattr(notify, "MINUTE_S", 0)
        await one.tell([receipt("12")], context())

    asyncio.run(run())
    titles = [receiver.messages.get_nowait()["title"] for _ in range(11)]
    assert titles[-2:] == ["OMS migration: a person is needed (1)", "OMS migration: a person is needed (3)"]
    assert receiver.messages.empty()
    assert caplog.messages == ["NOTIFY_URLS: 10 messages in a minute; the rest waits for the next one"] * 2


def test_a_paragraph_for_each_cause_and_twenty_names_of_it() -> None:
    alike = [receipt(str(number)) for number in range(30)]
    malformed = receipt("", task_id=None, outcome="malformed", reason="body: not JSON", message="m", advice="a")
    title, text = notify.message([malformed, *alike], "zh-cn")
    second, first = [part.splitlines() for part in reversed(text.split("\n\n"))]
    assert title == "OMS 迁移：需要人工处理（31）"
    assert first[1:] == [
        "处理：Check the policies, then start 0",
        f"另有 29 个相同：{', '.join(str(number) for number in range(1, 21))} …",
    ]
    assert second == ["m", "处理：a"]


def test_a_failure_to_tell_is_logged_without_an_address(receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    """The other addresses are told all the same."""
    caplog.set_level(logging.DEBUG)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        urls = f"json://127.0.0.1:{closed.getsockname()[1]}/{TOKEN},{receiver.url},nonsense://{TOKEN}"
        asyncio.run(notifier(urls).tell([receipt("7")], context()))
    assert receiver.messages.get_nowait()
    said = [record.getMessage() for record in caplog.records if record.name.startswith("restarter")]
    assert said == [f"NOTIFY_URLS: address {number} of 3 did not take the message" for number in (1, 3)]
    assert TOKEN not in caplog.text
    assert "a-password" not in caplog.text


def test_a_slow_receiver_does_not_keep_the_sender_waiting(receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    receiver.delay_s = 1.5

    async def run() -> float:
        began = time.monotonic()
        await notifier(receiver.url).tell([receipt("7")], context(0.9))
        return time.monotonic() - began

    assert asyncio.run(run()) < 1.2
    assert caplog.messages == ["NOTIFY_URLS: not every address took the message in time"]


def test_mail_as_a_person_reads_it() -> None:
    class Handler:
        mails: queue.Queue[bytes] = queue.Queue()

        async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802  # its name
            self.mails.put(envelope.content)
            return "250 OK"

    controller = Controller(Handler(), hostname="127.0.0.1", port=0)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        controller.port = free.getsockname()[1]
    controller.start()
    try:
        url = f"mailto://127.0.0.1:{controller.port}?from=oms@example.org&to=night@example.org"
        asyncio.run(notifier(url).tell([receipt("7", message="Refused: <b>bold</b> & *stars*")], context()))
    finally:
        controller.stop()
    mail = email.message_from_bytes(Handler.mails.get_nowait(), policy=email.policy.default)
    assert (mail["subject"], mail["to"]) == ("OMS migration: a person is needed (1)", "night@example.org")
    part = mail.get_body(("html", "plain"))
    assert part is not None
    text = part.get_content()
    assert "&lt;b&gt;bold&lt;/b&gt;" in text or ("<b>bold</b>" in text and part.get_content_type() == "text/plain")
    assert "To do: Check the policies, then start 7" in text.replace("&nbsp;", " ")


def test_check_notify_sends_a_test_message(receiver: Receiver, environment: pytest.MonkeyPatch) -> None:
    def check() -> tuple[int, list[str]]:
        result = CliRunner().invoke(cli, ["check", "--notify"])
        assert TOKEN not in result.output
        return result.exit_code, [line for line in result.output.splitlines() if " notify: " in line]

    with simulator() as oms:
        environment.setenv("OMS_ENDPOINT", oms.url)
        status, lines = check()
        assert (status, lines[0].split(".")[0]) == (1, "FAILED notify: NOTIFY_URLS is not set")
        environment.setenv("NOTIFY_URLS", receiver.url)
        assert check() == (0, ["ok     notify: address 1 (json): took a test message"])
        environment.setenv("NOTIFY_URLS", f"{receiver.url}, nonsense://{TOKEN}")
        status, lines = check()
    assert (status, lines[1].split(".")[0]) == (1, "FAILED notify: address 2 (nonsense): did not take a test message")
    message = receiver.messages.get_nowait()
    assert (message["title"], message["message"]) == ("OMS migration: a test", "This is where people are told.")


@pytest.mark.parametrize(
    ("value", "found", "said"),
    [
        ("not-an-address", True, "must be addresses of Apprise, like mailto://… or json://…"),
        (f"json://{TOKEN}", False, "needs the package apprise: install the extra notify"),
    ],
)
def test_a_fault_names_the_setting_and_not_its_value(
    value: str, *, found: bool, said: str, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("NOTIFY_URLS", value)
    environment.setattr("restarter.settings.types.find_spec", util.find_spec if found else lambda _: None)
    with pytest.raises(SettingsError) as error:
        load()
    assert [message.split(": ", 1) for message in error.value.messages] == [["NOTIFY_URLS", said]]


def test_each_part_of_an_address_is_masked() -> None:
    url = "slack://bot-user-1@T0000000A/B0000000%2FB/a-token-of-24-characters?to=%23channel-1"
    mask = Mask(settings(notify_urls=url))
    for secret in (
        "bot-user-1",
        "T0000000A",
        "B0000000%2FB",
        "B0000000/B",
        "a-token-of-24-characters",
        "#channel-1",
        url,
    ):
        assert mask.text(f"x {secret} y") == "x *** y"
    assert mask.text(ENVIRONMENT["OMS_REGION"]) == ENVIRONMENT["OMS_REGION"]
