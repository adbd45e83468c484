"""The playground as a person uses it, and every curl of the documents against it.

A curl in a document begins its line in a code block, and the line below it says the status: `# 200`. The whole
convention stands in markdown_curls.py.
"""

import json
import os
import queue
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import httpx
import pytest
from rich.console import Console

from child_processes import Lines, child_environment, started
from example import BEARER, TASK, TASK_NAME
from markdown_curls import PLAYGROUND, Curl, code_blocks, curls_of
from playing import PROGRAM, Playing, lines_until, playing, processes
from ports import Ports, UnusablePort, check_free, read_ports
from processes import TIMEOUT_S, free_port
from receipt_lines import readable

pytestmark = pytest.mark.long
ROOT = Path(__file__).parents[2]
AUTHORIZED = {"Authorization": f"Bearer {BEARER}"}
HOSTILE = "[bold red]x[/] \x1b[31m\x07\u202e\x9b2J :smile:"

# curl with the status on the last line of stderr; all else is as it is without.
WITH_STATUS = """\
curl() { command curl --silent --show-error --max-time 10 "$@" --write-out '%{stderr}\\n%{http_code}\\n'; }
"""


@pytest.fixture(scope="module")
def playground() -> Iterator[Playing]:
    with playing() as one:
        yield one


@pytest.fixture
def fresh(playground: Playing) -> Playing:
    """The world as it was at first, and nothing that is left to read."""
    httpx.post(f"{playground.oms}/_sim/reset")
    while True:
        try:
            playground.stdout.get(timeout=0.3)
        except queue.Empty:
            return playground


def test_it_says_where_both_are_with_which_token_and_how_to_start_again(playground: Playing) -> None:
    lines = playground.welcome.splitlines()
    assert lines[0].split()[:2] == ["page", playground.page]
    assert lines[1].split() == ["function", playground.function]
    assert lines[2].split()[:2] == ["simulator", playground.oms]
    assert f"export CALLER_BEARER_TOKENS={BEARER}" in lines
    assert f"curl -X POST {playground.oms}/_sim/reset" in lines
    assert httpx.get(f"{playground.function}/healthz").json()["status"] == "ok"
    assert httpx.get(f"{playground.oms}/_sim/tasks").status_code == 200


def test_the_ports_are_fixed_unless_others_are_chosen() -> None:
    fixed = read_ports({"PORT": ""})
    chosen = read_ports({"PORT": "1", "OMS_PORT": "65535", "PAGE_PORT": "2"})
    assert (fixed.function, fixed.oms, fixed.page, fixed.page_chosen) == (8080, 9090, 9091, False)
    assert (chosen.function, chosen.oms, chosen.page, chosen.page_chosen) == (1, 65535, 2, True)


def test_the_operators_command_reads_the_ledger_of_the_run_which_goes_with_it(tmp_path: Path) -> None:
    """A task that was restarted once and failed again is out of a budget of one."""
    file = tmp_path / "playground.env"
    with playing(settings=file) as one:
        event = {"task_id": TASK, "intent": "failed", "id": "1"}
        assert httpx.post(one.function, json=event, headers=AUTHORIZED).json()["outcome"] == "started"
        httpx.post(f"{one.oms}/_sim/reset")
        words = shlex.split(file.read_text("utf-8"))
        settings = dict(word.split("=", 1) for word in words if word != "export")
        command = [sys.executable, "-m", "restarter", "failed", "--since", "365d", "--json"]
        environment = child_environment(**settings | {"RESTART_BUDGET": "1/24h"})
        ran = subprocess.run(  # noqa: S603
            command,
            cwd=ROOT / "function",
            env=environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        (row,) = [row for row in map(json.loads, ran.stdout.splitlines()) if row.get("task_id") == str(TASK)]
        ledger = Path(settings["RESTART_LEDGER"].removeprefix("sqlite://"))
        assert (row["reason"], ledger.exists()) == ("budget_exhausted", True)
    assert not ledger.parent.exists()


# -- the calls that documents and the playground tell a person to make

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
DOCUMENTS = sorted(
    path
    for pattern in ("*.md", ".github/**/*.md", "events/**/*.md", "function/**/*.md", "infra/**/*.md", "tests/**/*.md")
    for path in ROOT.glob(pattern)
    if curls_of(path.read_text("utf-8"))
)


def statuses(curls: list[Curl], playground: Playing, home: Path) -> list[int]:
    """What the playground answers to each command, in order, as bash runs it."""
    urls = {"8080": playground.function, "9090": playground.oms}
    environment = child_environment(HOME=str(home), CALLER_BEARER_TOKENS=BEARER)
    answered = []
    for curl in curls:
        script = WITH_STATUS + PLAYGROUND.sub(lambda match: urls[match[1]], curl.command)
        ran = subprocess.run(  # noqa: S603  # what the document tells a person to run
            [shutil.which("bash") or "bash", "-c", script],
            env=environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=True,
        )
        answered.append(int(ran.stderr.splitlines()[-1]))
    return answered


@needs_curl
@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_curl_of_a_document_is_answered_as_the_document_says(
    document: Path, fresh: Playing, tmp_path: Path
) -> None:
    curls = curls_of(document.read_text("utf-8"))
    answered = statuses(curls, fresh, tmp_path)
    wrong = [f"{got}: {curl}" for curl, got in zip(curls, answered, strict=True) if curl.status != got]
    assert wrong == []


SHOWN = re.compile(r"^    # [0-9]{3}: (.+)$", re.MULTILINE)


@needs_curl
def test_readme_says_beside_each_call_what_the_other_window_shows(tmp_path: Path) -> None:
    """On a playground of its own, as a newcomer has it; the Chinese page has the same calls and words."""
    text, chinese = ((ROOT / name).read_text("utf-8") for name in ("README.md", "README.zh-CN.md"))
    assert (curls_of(chinese), SHOWN.findall(chinese)) == (curls_of(text), SHOWN.findall(text))
    curls, said = curls_of(text), SHOWN.findall(text)
    assert len(curls) == len(said) == 5
    with playing(settings=tmp_path / "playground.env") as one:
        assert statuses(curls, one, tmp_path) == [curl.status for curl in curls]
        blank, *lines = [one.stdout.get(timeout=TIMEOUT_S) for _ in (0, *curls)]
        assert statuses(curls[:1], one, tmp_path) == [204]
        assert one.stdout.get(timeout=TIMEOUT_S).split()[1:3] == ["functiongraph_smn", "duplicate"]
    assert "`duplicate`" in text
    assert "`duplicate`" in chinese
    assert blank == "\n"
    for words, line in zip(said, lines, strict=True):
        _, sender, outcome, _, reason = re.split(r" {2,}", line.strip() + "  ")[:5]
        assert words.split(", ") == [one for one in (sender, outcome, reason) if one]


@needs_curl
def test_the_curls_that_the_playground_prints_can_be_pasted(fresh: Playing, tmp_path: Path) -> None:
    paragraphs = fresh.welcome.split("\n\n")
    curls = [Curl(text, 0) for text in paragraphs if text.startswith("curl ")]
    assert [text.count("curl ") for text in paragraphs if "curl " in text] == [1, 1, 1, 1]
    assert statuses(curls, fresh, tmp_path) == [204, 204, 200, 204]
    receipts = [fresh.stdout.get(timeout=TIMEOUT_S).split()[1:3] for _ in range(3)]
    assert receipts == [
        ["functiongraph_smn", "started"],
        ["functiongraph_smn", "refused"],
        ["direct", "already_running"],
    ]


@pytest.mark.parametrize(
    ("block", "found"),
    [
        ("curl http://localhost:8080/\n# 200", [("curl http://localhost:8080/", 200)]),
        ("curl -d '{\n}' \\\n  http://localhost:8080/\n# 400, and why",
         [("curl -d '{\n}' \\\n  http://localhost:8080/", 400)]),
        ("curl http://localhost:9090/x\n#204\n\ncurl -d x http://localhost:8080/\n# 401",
         [("curl http://localhost:9090/x", 204), ("curl -d x http://localhost:8080/", 401)]),
        ("curl -d x https://restarter.example.com/", []),
        ('curl -d x "$URL"', []),
        ("apt-get install curl", []),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["fenced", "indented"])
def test_the_curls_of_a_block_are_found(block: str, found: list[tuple[str, int]], kind: str) -> None:
    indented = "\n".join(f"    {line}" for line in block.split("\n"))
    markdown = (
        f"Text.\n\n```sh\n{block}\n```\n" if kind == "fenced" else f"Text.\n\n{indented}\n\nText with `curl -d`.\n"
    )
    assert [(curl.command, curl.status) for curl in curls_of(markdown)] == found
    assert any(block in code for code in code_blocks(markdown))


@pytest.mark.parametrize(
    ("block", "why"),
    [
        ("curl http://localhost:8080/", "promises no status"),
        ("curl http://localhost:8080/\ncurl http://localhost:8080/\n# 200", "promises no status"),
        ("curl http://localhost:8080/\n\n# 200", "promises no status"),
        ("curl http://localhost:8081/\n# 200", "goes neither to the playground"),
        ("curl https://api.invalid/\n# 200", "goes neither to the playground"),
        ("$ curl http://localhost:8080/\n# 200", "must begin its line"),
        ("sleep 1; curl -d x http://localhost:8080/\n# 200", "must begin its line"),
    ],
)
def test_a_curl_that_could_not_be_tested_is_an_error(block: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        curls_of(f"```\n{block}\n```\n")


# -- receipts


def test_each_receipt_is_one_line_with_time_sender_outcome_task_and_reason(fresh: Playing) -> None:
    call = {"task_id": TASK, "reason": "nightly run"}
    assert httpx.post(fresh.function, json=call, headers=AUTHORIZED).status_code == 200
    line = fresh.stdout.get(timeout=TIMEOUT_S)
    time_, dialect, outcome, task, *reason = line.split()
    assert len(line.removesuffix("\n")) == 80
    assert datetime.strptime(time_, "%H:%M:%S").replace(tzinfo=UTC)
    assert (dialect, outcome, task) == ("direct", "started", str(TASK))
    assert " ".join(reason) == "nightly run"


def test_what_a_caller_wrote_cannot_act_on_the_terminal(fresh: Playing) -> None:
    call = {"task_name": "no-task \x1b]0;title\x07 [red]", "reason": HOSTILE}
    assert httpx.post(fresh.function, json=call, headers=AUTHORIZED).status_code == 404
    line = fresh.stdout.get(timeout=TIMEOUT_S)
    assert line.removesuffix("\n").isprintable()
    assert "no-task \ufffd]0" in line
    assert httpx.post(fresh.function, json={"task_id": TASK, "reason": HOSTILE}, headers=AUTHORIZED).status_code == 200
    assert "[bold red]x[/] \ufffd…" in fresh.stdout.get(timeout=TIMEOUT_S)


def shown(receipt: object, width: int = 200) -> str:
    """A receipt on a terminal with colours, without its time."""
    console = Console(file=StringIO(), force_terminal=True, color_system="standard", soft_wrap=True, highlight=False)
    with console.capture() as capture:
        console.print(readable(json.dumps(receipt), datetime.now(UTC), width))
    return capture.get()


LONG = {
    "dialect": "functiongraph_smn",
    "outcome": "unsupported_media_type",
    "severity": "WARNING",
    "task_name": "列" * 200,
    "reason": "permanent_failure",
    "failure_reason": "TRF.0055",
}


@pytest.mark.parametrize("width", [80, 81, 90, 100, 120, 131, 200, 1000])
def test_a_line_is_as_wide_as_the_terminal_and_never_wraps(width: int) -> None:
    line = readable(json.dumps(LONG), datetime.now(UTC), width)
    assert line.cell_len == width
    assert "permanent_failure" in readable(json.dumps(LONG | {"failure_reason": ""}), datetime.now(UTC), width).plain
    assert ("unsupported_media_type" in line.plain, "TRF.0055" in line.plain) == (width >= 100, width >= 120)
    assert readable(json.dumps(LONG), datetime.now(UTC), 20).cell_len == 80


@pytest.mark.parametrize(
    ("outcome", "severity", "colour"),
    [
        ("started", "INFO", "1;32"),
        ("duplicate", "INFO", "36"),
        ("deferred", "WARNING", "33"),
        ("not_found", "ERROR", "1;31"),
    ],
)
def test_the_outcome_has_its_colour(outcome: str, severity: str, colour: str) -> None:
    assert f"\x1b[{colour}m{outcome} " in shown({"outcome": outcome, "severity": severity, "task_name": TASK_NAME})


@pytest.mark.parametrize("field", ["dialect", "outcome", "task_name", "reason", "failure_reason"])
def test_no_field_of_a_receipt_brings_markup_or_control_characters_to_the_terminal(field: str) -> None:
    plain = shown({"outcome": "ignored"})
    hostile = shown({"outcome": "ignored", field: HOSTILE * 100})
    assert hostile.count("\n") == 1
    assert "[bold red]x[/]" in hostile
    assert hostile.count("\x1b[") <= plain.count("\x1b[") + 2
    assert not {"\x07", "\u202e", "\x9b", "😄"} & set(hostile)


def test_what_is_no_receipt_is_shown_all_the_same() -> None:
    assert readable("no \x1b[31m JSON\n", datetime.now(UTC)).plain == "no \\x1b[31m JSON"
    assert readable("[1]", datetime.now(UTC)).plain == "[1]"


def test_with_json_stdout_has_the_receipts_as_the_function_writes_them() -> None:
    with playing("--json") as one:
        reply = httpx.post(one.function, json={"task_id": TASK, "reason": HOSTILE}, headers=AUTHORIZED)
        line = one.stdout.get(timeout=TIMEOUT_S)
        one.process.send_signal(signal.SIGTERM)
        assert one.process.wait(TIMEOUT_S) == 0
    assert json.loads(line) == reply.json()
    assert line.startswith('{"time":"')
    assert one.stdout.empty()


def test_with_json_control_characters_are_escaped_on_a_terminal() -> None:
    """The JSON means the same."""
    terminal, its_end = os.openpty()
    with os.fdopen(terminal, encoding="utf-8") as reader, playing("--json", stdout=its_end) as one:
        os.close(its_end)
        reply = httpx.post(one.function, json={"task_id": TASK, "reason": HOSTILE}, headers=AUTHORIZED)
        line = reader.readline()
    assert line.removesuffix("\n").isprintable()
    assert json.loads(line) == reply.json()


# -- how it ends


def listens(url: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(url.rpartition(":")[2]))) == 0


def await_end_of(pids: set[int]) -> None:
    """None of them runs any more; the last of them may take a moment to be gone."""
    give_up = time.monotonic() + 5
    while left := {pid: command for pid, _, command in processes() if pid in pids}:
        assert time.monotonic() < give_up, left
        time.sleep(0.05)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The folders that the playground needs, where nobody else writes."""
    for folder in ("function", "infra/demo", "infra/simulator"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])  # SIGTERM ends it with --json, above
def test_a_signal_ends_everything_and_nothing_is_left_behind(number: signal.Signals, copy: Path) -> None:
    """As Ctrl-C does, the signal goes to the whole group of the terminal's foreground."""
    before = sorted(copy.rglob("*"))
    with playing(program=copy / "infra" / "demo" / "playground.py", folder=copy) as one:
        assert httpx.post(one.function, json={"task_id": TASK}, headers=AUTHORIZED).status_code == 200
        pids = one.descendants()
        assert {name for name in ("simulator.py", "main.py") for command in pids.values() if name in command} == {
            "simulator.py",
            "main.py",
        }
        os.killpg(one.process.pid, number)
        assert one.process.wait(TIMEOUT_S) == 0
        assert not listens(one.function)
        assert not listens(one.oms)
        await_end_of(set(pids))
    assert sorted(copy.rglob("*")) == before
    assert one.stderr.empty()


def test_a_signal_while_it_starts_leaves_nothing_either() -> None:
    ports = {"PORT": str(free_port()), "OMS_PORT": str(free_port())}
    with started([sys.executable, str(PROGRAM)], ports) as process:
        one = Playing(process, "", "", "", queue.Queue(), queue.Queue(), "")
        give_up = time.monotonic() + TIMEOUT_S
        while not (pids := one.descendants()):
            assert time.monotonic() < give_up
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        assert process.wait(TIMEOUT_S) == 0
        await_end_of(set(pids))
    assert not any(ports["OMS_PORT"] in command for _, _, command in processes())


@pytest.mark.parametrize(("name", "program"), [("simulator", "simulator.py"), ("function", "main.py")])
def test_when_one_process_dies_the_other_is_ended_and_that_is_an_error(name: str, program: str) -> None:
    with playing() as one:
        pids = one.descendants()
        os.kill(min(pid for pid, command in pids.items() if program in command), signal.SIGKILL)
        assert one.process.wait(TIMEOUT_S) == 1
        assert f"The {name} has ended by itself (exit status -9)" in lines_until(one.stderr, "everything is ended")
        assert not listens(one.function)
        assert not listens(one.oms)
        await_end_of(set(pids))


def refusal(environment: dict[str, str]) -> tuple[int, str]:
    """The exit status and the message of a playground that cannot start."""
    stderr: Lines = queue.Queue()
    with started([sys.executable, str(PROGRAM)], environment, stderr=stderr) as process:
        status = process.wait(TIMEOUT_S)
    return status, "".join(stderr.queue)


@pytest.mark.parametrize("name", ["PORT", "OMS_PORT", "PAGE_PORT"])
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])  # noqa: S104  # somebody else's
def test_a_port_that_is_taken_is_named_in_one_sentence(name: str, host: str) -> None:
    with socket.create_server((host, 0)) as taken:
        port = taken.getsockname()[1]
        ports = {"PORT": str(free_port()), "OMS_PORT": str(free_port())} | {name: str(port)}
        status, message = refusal(ports)
    said = re.fullmatch(rf"Port {port} is taken: choose another with {name}, for example {name}=([0-9]+).\n", message)
    assert status == 1
    assert said
    assert int(said[1]) not in {int(number) for number in ports.values()}


@pytest.mark.parametrize("name", ["PORT", "OMS_PORT", "PAGE_PORT"])
@pytest.mark.parametrize("text", ["0", "65536", "http", "-1", "8080 ", "٨٠", "9" * 5000, "\x1b[31m"])
def test_a_port_that_is_no_port_is_named_in_one_sentence(name: str, text: str) -> None:
    with pytest.raises(UnusablePort, match=f"^{name} must be a number from 1 to 65535.$"):
        read_ports({name: text})


def test_both_ports_must_differ() -> None:
    assert refusal({"PORT": "9090"}) == (1, "PORT and OMS_PORT are both 9090: give them different ones.\n")
    assert refusal({"PAGE_PORT": "8080"}) == (1, "PORT and PAGE_PORT are both 8080: give them different ones.\n")


def test_a_page_whose_port_nobody_chose_takes_a_free_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ports = Ports(free_port(), free_port(), port, page_chosen=False)
        check_free(ports)
        with pytest.raises(UnusablePort, match="choose another with PAGE_PORT"):
            check_free(Ports(ports.function, ports.oms, port))
