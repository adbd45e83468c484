"""The image without Docker: the Dockerfile's own steps in a folder, and the function started from it as user 1003.

The root file system is mounted read-only in a mount namespace, but for /dev/shm. This shows nothing of the base image:
the Python is the one that runs the tests.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from child_processes import child_environment
from processes import EXAMPLE, TIMEOUT_S, free_port, simulator

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "infra" / "image" / "Dockerfile"
FUNCTION = ROOT / "function"
USER = "1003"
# The library that moves the clock (tests/any_day.py) makes a semaphore for a process, which no other user may open, so
# that it is loaded after the user has changed.
CLOCK = ("env", f"LD_PRELOAD={os.environ['LD_PRELOAD']}") if "LD_PRELOAD" in os.environ else ()
INHERITED = {name: value for name, value in child_environment().items() if name != "LD_PRELOAD"}
AS_USER: tuple[str, ...] = (
    "setpriv",
    f"--reuid={USER}",
    f"--regid={USER}",
    "--clear-groups",
    "--no-new-privs",
    "--bounding-set=-all",
)
AS_USER += CLOCK
READ_ONLY = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && mount -o remount,ro,bind / && exec "$@"'
TASK = 191297407830872


def obstacle() -> str | None:
    """Why this machine cannot run it."""
    if sys.platform != "linux" or os.geteuid():
        return "only root on Linux can become user 1003"
    for tool in ("setpriv", "unshare"):
        if not shutil.which(tool):
            return f"{tool} (util-linux) is not here"
    command = [*AS_USER, sys.executable, "-c", ""]
    tried = subprocess.run(command, env=INHERITED, capture_output=True, check=False)  # noqa: S603
    if tried.returncode:
        return f"user 1003 cannot run {sys.executable}"
    command = ["unshare", "--mount", "mount", "-o", "remount,ro,bind", "/"]
    if subprocess.run(command, capture_output=True, check=False).returncode:  # noqa: S603
        return "mount namespaces are not allowed here"
    return None


OBSTACLE = obstacle()
pytestmark = [pytest.mark.long, pytest.mark.skipif(OBSTACLE is not None, reason=OBSTACLE or "")]


@dataclass
class Image:
    """What the Dockerfile made: its root folder, and how it is started."""

    root: Path
    environment: dict[str, str] = field(default_factory=INHERITED.copy)
    command: list[str] = field(default_factory=list)
    health: list[str] = field(default_factory=list)

    def inside(self, text: str) -> str:
        """A text of the Dockerfile with its folders below `root`."""
        return re.sub(r"(?<![\w.$}])/(venv|function|build)\b", rf"{self.root}/\1", text)

    def apply(self, instruction: str, rest: str) -> None:
        """One instruction, as far as it concerns the file system or the start."""
        match instruction:
            case "COPY" if not rest.startswith("--from"):
                self._copy(rest.split())
            case "RUN":
                environment = {
                    "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                    "REQUIREMENTS": "requirements.txt",
                }
                command = ["sh", "-ec", self.inside(rest)]
                subprocess.run(command, env={**os.environ, **environment}, check=True)  # noqa: S603
            case "ENV":
                self.environment |= dict(re.findall(r"(\w+)=(\S+)", self.inside(rest)))
                self.environment["PATH"] = self.environment["PATH"].replace("$PATH", os.environ["PATH"])
            case "CMD":
                self.command = json.loads(rest)
            case "USER":
                assert rest == f"{USER}:{USER}"
            case "HEALTHCHECK":
                self.health = json.loads(rest.partition("CMD ")[2])

    def _copy(self, words: list[str]) -> None:
        """Files of the context, or one of its folders; the context is what Dockerfile.dockerignore lets in."""
        target = Path(self.inside(words[-1]))
        for pattern in words[:-1]:
            for source in sorted(FUNCTION.glob(pattern)):
                if source.is_dir():
                    shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
                else:
                    target.mkdir(parents=True, exist_ok=True)
                    shutil.copy(source, target)


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    """The Dockerfile's steps, in a folder that every user can read and nobody but root can write."""
    with tempfile.TemporaryDirectory() as folder:
        made = Image(Path(folder))
        text = re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", DOCKERFILE.read_text("utf-8"), flags=re.MULTILINE))
        for instruction, rest in re.findall(r"^([A-Z]+) (.*)$", text, re.MULTILINE):
            made.apply(instruction, rest)
        shutil.rmtree(made.root / "build")  # it stays in the first stage
        subprocess.run(["chmod", "-R", "a+rX,go-w", folder], check=True)  # noqa: S603, S607
        yield made


@contextmanager
def started(image: Image, **settings: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The function as the image starts it; its address and process."""
    environment = image.environment | {"PORT": str(free_port()), "HOST": "127.0.0.1", **settings}
    program = str(image.root / "venv" / "bin" / image.command[0])
    command = ["unshare", "--mount", "sh", "-c", READ_ONLY, str(image.root), *AS_USER, program, *image.command[1:]]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, cwd="/") as process:  # noqa: S603
        try:
            await_health(image, environment, process)
            yield f"http://127.0.0.1:{environment['PORT']}", process
        finally:
            process.terminate()
            process.wait(TIMEOUT_S)


def await_health(image: Image, environment: dict[str, str], process: "subprocess.Popen[str]") -> None:
    """The image's own health check, until it is content."""
    give_up = time.monotonic() + TIMEOUT_S
    check = [str(image.root / "venv" / "bin" / image.health[0]), *image.health[1:]]
    while subprocess.run(check, env=environment, capture_output=True, check=False).returncode:  # noqa: S603
        assert process.poll() is None, "the function ended"
        assert time.monotonic() < give_up, "the function is not healthy"


def status_of(process: "subprocess.Popen[str]") -> dict[str, list[str]]:
    text = Path(f"/proc/{process.pid}/status").read_text("utf-8")
    return {name: value.split() for name, _, value in (line.partition(":") for line in text.splitlines())}


def post(url: str, body: dict[str, Any]) -> dict[str, Any]:
    headers = {"Content-Type": "application/json", "Authorization": "Bearer example-caller-token-0001"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)  # noqa: S310  # loopback
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
        receipt: dict[str, Any] = json.load(answer)
    return receipt


def test_the_image_starts_a_task_as_user_1003_on_a_read_only_root(image: Image) -> None:
    with simulator() as oms, started(image, OMS_ENDPOINT=oms.url, **EXAMPLE) as (url, process):
        status = status_of(process)
        assert status["Uid"] == status["Gid"] == [USER] * 4
        assert {status[name][0] for name in ("CapEff", "CapPrm", "CapBnd")} == {"0" * 16}
        mounts = Path(f"/proc/{process.pid}/mounts").read_text("utf-8").splitlines()
        options = {line.split()[1]: line.split()[3].split(",") for line in mounts}
        assert "ro" in options["/"]
        assert "ro" in options[str(image.root)]
        assert post(url, {"task_id": TASK})["outcome"] == "started"
        assert [call["task_id"] for call in oms.control("GET", "/_sim/calls") if call["operation"] == "start"] == [
            str(TASK)
        ]


def test_every_module_of_the_image_is_compiled(image: Image) -> None:
    """Its bytecode is never compared with its source."""
    tag = sys.implementation.cache_tag
    for folder in ("function", "venv/lib"):
        sources = list((image.root / folder).rglob("*.py"))
        assert sources
        bytecode = [path.parent / "__pycache__" / f"{path.stem}.{tag}.pyc" for path in sources]
        assert [path.name for path in bytecode if not path.exists()] == []
        # Bytes 4 to 8 are flags: 1 is a pyc by hash, and without 2 its source is not looked at (PEP 552).
        assert {path.read_bytes()[4:8] for path in bytecode} == {b"\x01\x00\x00\x00"}


def test_the_image_holds_what_it_needs_and_nothing_to_install_more_with(image: Image) -> None:
    assert sorted(path.name for path in (image.root / "function").iterdir() if path.name != "__pycache__") == [
        "functiongraph.py",
        "main.py",
        "restarter",
    ]
    assert [path.name for path in (image.root / "venv" / "bin").glob("pip*")] == []
    assert image.environment["PYDANTIC_DISABLE_PLUGINS"] == "__all__"


def test_an_image_without_settings_says_which_are_missing_and_ends(image: Image) -> None:
    environment = image.environment | {"PORT": str(free_port()), "HOST": "127.0.0.1"}
    program = str(image.root / "venv" / "bin" / image.command[0])
    ran = subprocess.run(  # noqa: S603
        [*AS_USER, program], env=environment, capture_output=True, text=True, check=False, timeout=TIMEOUT_S
    )
    assert ran.returncode != 0
    assert "OMS_PROJECT_ID" in ran.stderr
