"""A process that tests fork is told from one that was started by exec by nothing that a program looks at."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import warm_start
from child_processes import TIMEOUT_S, child_environment

LOOK = """
import json, os, signal, sys, time
print(json.dumps({
    "argv": sys.argv, "path": sys.path[:2], "folder": os.getcwd(),
    # Not what Python sets by itself, and the library that moves the clock.
    "environment": {name: text for name, text in os.environ.items() if name not in ("LC_CTYPE", "FAKETIME_SHARED")},
    "zone": time.tzname, "name": __name__, "file": __file__, "own group": os.getpgid(0) == os.getpid(),
    "open": sorted(os.listdir("/proc/self/fd"))[:3], "term": str(signal.getsignal(signal.SIGTERM)),
    "ours": sorted(name for name in sys.modules if name.partition(".")[0] in ("restarter", "simulator", "main")),
}))
print("told", file=sys.stderr)
sys.exit(int(sys.argv[-1]))
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "look.py"
    path.write_text(LOOK, "utf-8")
    return path


def start(starter: Any, *command: str, folder: Path, **environment: str) -> "subprocess.Popen[str]":
    """The process, with pipes for what it writes."""
    process: subprocess.Popen[str] = starter(
        [sys.executable, *command],
        env=child_environment(**environment),
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=None,
        encoding="utf-8",
        errors="replace",
        process_group=0,
    )
    return process


def seen(starter: Any, *command: str, folder: Path, **environment: str) -> tuple[int, Any]:
    """Its status, and what it saw."""
    with start(starter, *command, folder=folder, **environment) as process:
        assert process.stdout
        text = process.stdout.read()
        return process.wait(TIMEOUT_S), json.loads(text)


@pytest.mark.parametrize("as_module", [False, True])
@pytest.mark.parametrize("status", [0, 3])
def test_it_sees_what_one_started_by_exec_sees(status: int, script: Path, as_module: bool) -> None:  # noqa: FBT001
    command = ["-m", "look"] if as_module else [str(script)]
    settings = {"PYTHONPATH": str(script.parent), "TZ": "Asia/Shanghai", "OMS_REGION": "cn-north-4"}
    forked = seen(warm_start.start, *command, "a b", str(status), folder=script.parent, **settings)
    by_exec = seen(subprocess.Popen, *command, "a b", str(status), folder=script.parent, **settings)
    assert {name: fact for name, fact in forked[1].items() if fact != by_exec[1][name]} == {}
    assert (forked[0], by_exec[0], forked[1]["own group"], forked[1]["ours"]) == (status, status, True, [])


def test_it_is_forked_and_python_s_own_variables_need_exec(script: Path) -> None:
    for variables, kind in (({}, warm_start.Forked), ({"PYTHONOPTIMIZE": "1"}, subprocess.Popen)):
        with start(warm_start.start, str(script), "0", folder=script.parent, **variables) as process:
            assert type(process) is kind
            assert process.wait(TIMEOUT_S) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_signal_that_ends_it_is_its_status(number: signal.Signals, tmp_path: Path) -> None:
    waits = tmp_path / "waits.py"
    waits.write_text("import time; print(1, flush=True); time.sleep(60)", "utf-8")
    with start(warm_start.start, str(waits), folder=tmp_path) as process:
        assert process.stdout
        assert process.stdout.readline() == "1\n"
        assert process.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.01)
        process.send_signal(number)
        began = time.monotonic()
        assert process.wait(TIMEOUT_S) == -number
        assert time.monotonic() - began < TIMEOUT_S
