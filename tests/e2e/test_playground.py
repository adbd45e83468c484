"""The playground as a person uses it, and every curl of the documents against it.

A curl in a document begins its line in a code block, and the line below it says the status: `# 200`. The whole
convention stands in markdown_curls.py.
"""

import json
import os
import queue
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import httpx
import pytest
from rich.console import Console

from child_processes import Lines, child_environment, started
from example import BEARER, TASK, TASK_NAME
from markdown_curls import PLAYGROUND, Curl, code_blocks, curls_of
from ports import UnusablePort, read_ports
from processes import TIMEOUT_S, free_port
from receipt_lines import readable

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "infra" / "demo" / "playground.py"
LAST_OF_WELCOME = "Ctrl-C ends both processes."
AUTHORIZED = {"Authorization": f"Bearer {BEARER}"}
HOSTILE = "[bold red]x[/] \x1b[31m\x07\u202e\x9b2J :smile:"

# curl with the status on the last line of stderr; all else is as it is without.
WITH_STATUS = """\
curl() { command curl --silent --show-error --max-time 10 "$@" --write-out '%{stderr}\\n%{http_code}\\n'; }
"""


@dataclass(frozen=True)
class Playing:
    """A playground on free ports; what it wrote until it was ready is `welcome`."""

    process: subprocess.Popen[str]
    function: str
    oms: str
    stdout: Lines
    stderr: Lines
    welcome: str

    def descendants(self) -> dict[int, str]:
        """The command line of every process that it has started, by process id."""
        parents = {pid: parent for pid, parent, _ in processes()}
        found = {self.process.pid}
        while more := {pid for pid, parent in parents.items() if parent in found} - found:
            found |= more
        return {pid: command for pid, _, command in processes() if pid in found - {self.process.pid}}


def processes() -> Iterator[tuple[int, int, str]]:
    """Process id, parent and command line of all that run now; one that has ended and waits for its parent does not."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, parent = (folder / "stat").read_text("utf-8").rpartition(") ")[2].split()[:2]
            command = (folder / "cmdline").read_text("utf-8").replace("\0", " ")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if state != "Z":
            yield int(folder.name), int(parent), command


def lines_until(lines: Lines, text: str) -> str:
    """What was written, up to the line with that text."""
    written, give_up = "", time.monotonic() + TIMEOUT_S
    while text not in written:
        written += lines.get(timeout=max(0.0, give_up - time.monotonic()))
    return written


def end_with(process: "subprocess.Popen[str]", children: dict[int, str]) -> None:
    """End it and, where it fails to do so, its children: a red test must not leave what it started."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(TIMEOUT_S)
    for pid, _, command in processes():
        if children.get(pid) == command:
            os.kill(pid, signal.SIGKILL)


@contextmanager
def playing(
    *arguments: str, program: Path = PROGRAM, folder: Path | None = None, stdout: int | None = None
) -> Iterator[Playing]:
    ports = {"PORT": str(free_port()), "OMS_PORT": str(free_port())}
    lines: Lines = queue.Queue()
    errors: Lines = queue.Queue()
    command = [sys.executable, str(program), *arguments]
    target = lines if stdout is None else stdout
    home = {"HOME": str(folder), "TMPDIR": str(folder)} if folder else {}
    with started(command, ports | home, folder=folder, stdout=target, stderr=errors) as process:
        welcome = lines_until(errors if "--json" in arguments else lines, LAST_OF_WELCOME)
        function, oms = (f"http://localhost:{port}" for port in ports.values())
        one = Playing(process, function, oms, lines, errors, welcome)
        children = one.descendants()
        try:
            yield one
        finally:
            end_with(process, children)


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
    assert lines[0].split() == ["function", playground.function]
    assert lines[1].split()[:2] == ["simulator", playground.oms]
    assert f"export CALLER_BEARER_TOKENS={BEARER}" in lines
    assert f"curl -X POST {playground.oms}/_sim/reset" in lines
    assert httpx.get(f"{playground.function}/healthz").json()["status"] == "ok"
    assert httpx.get(f"{playground.oms}/_sim/tasks").status_code == 200


def test_the_ports_are_fixed_unless_others_are_chosen() -> None:
    fixed, chosen = read_ports({"PORT": ""}), read_ports({"PORT": "1", "OMS_PORT": "65535"})
    assert (fixed.function, fixed.oms) == (8080, 9090)
    assert (chosen.function, chosen.oms) == (1, 65535)


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


def test_readme_has_curls() -> None:
    assert ROOT / "README.md" in DOCUMENTS


@needs_curl
def test_the_curls_that_the_playground_prints_can_be_pasted(fresh: Playing, tmp_path: Path) -> None:
    paragraphs = fresh.welcome.split("\n\n")
    curls = [Curl(text, 0) for text in paragraphs if text.startswith("curl ")]
    assert [text.count("curl ") for text in paragraphs if "curl " in text] == [1, 1, 1, 1]
    assert statuses(curls, fresh, tmp_path) == [200, 204, 204, 204]
    receipts = [fresh.stdout.get(timeout=TIMEOUT_S).split()[1:3] for _ in range(3)]
    assert receipts == [
        ["direct", "started"],
        ["cloudevent", "already_running"],
        ["functiongraph_smn", "already_running"],
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


def test_each_receipt_is_one_line_with_time_sender_outcome_task_reason_and_milliseconds(fresh: Playing) -> None:
    call = {"task_id": TASK, "reason": "nightly run"}
    assert httpx.post(fresh.function, json=call, headers=AUTHORIZED).status_code == 200
    time_, dialect, outcome, task, *reason, milliseconds, unit = fresh.stdout.get(timeout=TIMEOUT_S).split()
    assert datetime.strptime(time_, "%H:%M:%S").replace(tzinfo=UTC)
    assert (dialect, outcome, task, reason) == ("direct", "started", str(TASK), ["nightly", "run"])
    assert int(milliseconds) < 5000
    assert unit == "ms"


def test_what_a_caller_wrote_cannot_act_on_the_terminal(fresh: Playing) -> None:
    call = {"task_name": "no-such-task \x1b]0;title\x07 [red]", "reason": HOSTILE}
    assert httpx.post(fresh.function, json=call, headers=AUTHORIZED).status_code == 404
    line = fresh.stdout.get(timeout=TIMEOUT_S)
    assert line.removesuffix("\n").isprintable()
    assert "no-such-task \ufffd]0" in line
    assert httpx.post(fresh.function, json={"task_id": TASK, "reason": HOSTILE}, headers=AUTHORIZED).status_code == 200
    assert "[bold red]x[/] \ufffd[31m\ufffd\ufffd\ufffd2J :smile:" in fresh.stdout.get(timeout=TIMEOUT_S)


def shown(receipt: object) -> str:
    """A receipt on a terminal with colours, without its time."""
    console = Console(file=StringIO(), force_terminal=True, color_system="standard", soft_wrap=True, highlight=False)
    with console.capture() as capture:
        console.print(readable(json.dumps(receipt), datetime.now(UTC)))
    return capture.get()


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


@pytest.mark.parametrize("field", ["dialect", "outcome", "task_name", "reason", "duration_ms"])
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


def test_with_json_on_a_terminal_control_characters_are_escaped_and_the_json_is_the_same() -> None:
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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
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
        one = Playing(process, "", "", queue.Queue(), queue.Queue(), "")
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


@pytest.mark.parametrize("name", ["PORT", "OMS_PORT"])
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])  # noqa: S104  # somebody else's
def test_a_port_that_is_taken_is_named_in_one_sentence(name: str, host: str) -> None:
    with socket.create_server((host, 0)) as taken:
        port = taken.getsockname()[1]
        ports = {"PORT": str(free_port()), "OMS_PORT": str(free_port())} | {name: str(port)}
        status, message = refusal(ports)
    assert (status, message) == (
        1,
        f"Port {port} is taken: choose another with {name}, for example {name}={port + 1}.\n",
    )


@pytest.mark.parametrize("name", ["PORT", "OMS_PORT"])
@pytest.mark.parametrize("text", ["0", "65536", "http", "-1", "8080 ", "٨٠", "9" * 5000, "\x1b[31m"])
def test_a_port_that_is_no_port_is_named_in_one_sentence(name: str, text: str) -> None:
    with pytest.raises(UnusablePort, match=f"^{name} must be a number from 1 to 65535.$"):
        read_ports({name: text})


def test_both_ports_must_differ() -> None:
    assert refusal({"PORT": "9090"}) == (1, "PORT and OMS_PORT are both 9090: give them different ones.\n")
