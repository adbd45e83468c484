"""Every block of function/README.md that shows the operator's command on the playground, run as it stands.

Such a block begins with `make operator …`; an empty line and the output follow. The list of `failed` is what a
terminal shows. Times and ports are not compared, nor are blanks at the end of a row.
"""

import fcntl
import os
import re
import shutil
import struct
import subprocess
import termios
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from child_processes import TIMEOUT_S, child_environment
from example import BEARER
from playing import ROOT, Playing, playing
from readmes import Document

FUNCTION = Document.read("function/README.md")
WIDTH = 104
TIME = re.compile(r"(?:\d{4}-)?\d\d-\d\d[ T]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|\+00:00)")
PORT = re.compile(r"(?<=http://127\.0\.0\.1:)\d+")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
MAKE = shutil.which("make") or "make"
# What the report in README tells of.
EVENTS = (("1", 191297407830911), ("2", 191297407830909), ("2", 191297407830909), ("3", 191297407830880))


def blocks() -> list[tuple[str, str]]:
    """Command and output of each."""
    found = []
    for block in FUNCTION.code_blocks:
        text = re.sub(r"^ {4}", "", block, flags=re.MULTILINE)
        parts = re.split(r"^(?=make operator )", text, flags=re.MULTILINE)
        found += [part.split("\n\n", 1) for part in parts if part.startswith("make operator ")]
    return [(command, output) for command, output in found]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where a playground that is up has left its settings, and beside them receipts of it."""
    folder = tmp_path_factory.mktemp("playground")
    with playing("--json", settings=folder / "playground.env") as one:
        deliver(one)
        receipts = [one.stdout.get(timeout=TIMEOUT_S) for _ in range(5)]
        (folder / "receipts.log").write_text("".join(receipts), "utf-8")
        httpx.post(f"{one.oms}/_sim/reset")
        yield folder / "playground.env"


def deliver(playground: Playing) -> None:
    """Five events, of which one is malformed."""
    headers = {"Authorization": f"Bearer {BEARER}", "Content-Type": "application/cloudevents+json"}
    for event_id, task in (*EVENTS, ("4", 0.5)):
        event = {"specversion": "1.0", "type": "oms.task.failed", "source": "/oms", "id": event_id}
        httpx.post(playground.function, json=event | {"data": {"task_id": task}}, headers=headers)


def run(command: str, settings: Path, *, terminal: bool) -> str:
    """What bash prints, from the repository's folder."""
    made = command.replace("make ", f"{MAKE} --old-file=.venv/demo ", 1)  # the environment is there
    made = made.replace("receipts.log", str(settings.with_name("receipts.log")))
    if terminal:
        return on_terminal(made, settings)
    environment = child_environment(PLAYGROUND=str(settings))
    ran = subprocess.run(  # noqa: S603  # what README tells a person to run
        ["/bin/bash", "-c", f"{made} 2>&1"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        timeout=TIMEOUT_S,
        check=True,
    )
    return ran.stdout.decode()


def on_terminal(made: str, settings: Path) -> str:
    """The same on a terminal of that width."""
    terminal, its_end = os.openpty()
    fcntl.ioctl(its_end, termios.TIOCSWINSZ, struct.pack("HHHH", 200, WIDTH, 0, 0))
    environment = child_environment(TERM="xterm", PLAYGROUND=str(settings))
    with subprocess.Popen(  # noqa: S603  # what README tells a person to run
        ["/bin/bash", "-c", made], cwd=ROOT, env=environment, stdin=its_end, stdout=its_end, stderr=its_end
    ) as process:
        os.close(its_end)
        output = b""
        try:
            while piece := os.read(terminal, 65536):
                output += piece
        except OSError:  # the other end is closed
            pass
        finally:
            os.close(terminal)
        assert process.wait(TIMEOUT_S) == 0, output.decode()
    return output.decode().replace("\r\n", "\n")


def comparable(text: str) -> list[str]:
    return [
        PORT.sub("<port>", TIME.sub("<time>", COLOUR.sub("", line))).strip()
        for line in text.splitlines()
        if line.strip()
    ]


def test_there_are_such_blocks() -> None:
    assert len(blocks()) >= 3
    assert any("failed" in command for command, _ in blocks())


@pytest.mark.parametrize(("command", "output"), blocks(), ids=[command for command, _ in blocks()])
def test_a_block_prints_what_it_says(command: str, output: str, settings: Path) -> None:
    assert comparable(run(command, settings, terminal="--json" not in command and '"failed' in command)) == comparable(
        output
    )
