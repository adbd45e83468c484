"""The first minute of somebody new: what `make` says alone, and what it says where something is missing."""

import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from sysconfig import get_path

import pytest

from child_processes import child_environment

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
DEMO = "infra/demo/requirements.txt"


def repository(folder: Path) -> Path:
    """Put the Makefile there, and the lock of the demo; there is no .venv."""
    shutil.copy(ROOT / "Makefile", folder)
    (folder / DEMO).parent.mkdir(parents=True)
    shutil.copy(ROOT / DEMO, folder / DEMO)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return repository(tmp_path)


@pytest.fixture(scope="module")
def installable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with a .venv that runs, whose pip is the one that runs here: to install one takes seconds."""
    made = repository(tmp_path_factory.mktemp("installable"))
    venv.create(made / ".venv", symlinks=True)
    (site,) = (made / ".venv" / "lib").glob("python3*/site-packages")
    (site / "pip").symlink_to(Path(get_path("purelib")) / "pip")
    return made


def make(folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run make there, with none of this machine's settings."""
    environment = child_environment(**{"HOME": str(folder), "PIP_CONFIG_FILE": os.devnull, **more})
    command = ["make", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)  # noqa: S603


def python(target: Path, script: str) -> str:
    """A program that stands in for a Python."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(f"#!/bin/sh\n{script}\n", "utf-8")
    target.chmod(0o755)
    return str(target)


def test_make_alone_lists_every_target_and_what_it_does(folder: Path) -> None:
    said = make(folder)
    listed = dict(re.findall(r"^  make ([a-z-]+) +(\S.*)$", said.stdout, re.MULTILINE))
    phony = re.findall(r"^\.PHONY: (.+)$", MAKEFILE, re.MULTILINE)[0].split()
    assert said.returncode == 0
    assert [*listed] == [name for name in phony if name != "anew"]
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        ("exit 127", r"There is no \S+ that runs: install Python 3\.11 or newer, or name one .*"),
        (
            'case "$*" in *"< (3, 11)"*) exit 1;; --version) echo Python 3.10.13;; esac',
            r"\S+ is Python 3\.10\.13: install Python 3\.11 or newer, or name one .*",
        ),
        ('case "$*" in *venv*) exit 1;; esac', r"\S+ has no venv module: install it \(Debian, Ubuntu: apt .*"),
    ],
    ids=["no Python", "too old", "no venv module"],
)
def test_what_is_missing_is_said_in_one_sentence(folder: Path, script: str, sentence: str) -> None:
    said = make(folder, "demo", PYTHON=python(folder / "fake" / "python3", script))
    assert said.returncode != 0
    assert re.fullmatch(rf"{sentence}\nmake: \*\*\* .*\n", said.stderr), said.stderr
    assert not (folder / ".venv").exists()


def test_a_python_that_is_not_here_leads_to_one_that_is_for_the_same_target(folder: Path) -> None:
    python(folder / "programs" / "python3.13", "exit 0")
    python(folder / "programs" / "python3", "exit 1")
    said = make(folder, "package", PYTHON="python3.12.0", PATH=f"{folder / 'programs'}:/usr/bin:/bin")
    assert said.stderr.splitlines()[0] == (
        "There is no python3.12.0 that runs: install Python 3.11 or newer, "
        "or name one that is here: make PYTHON=python3.13 package"
    )


def test_where_no_python_is_here_none_is_named(folder: Path) -> None:
    for name in ("python3", "python3.11", "python3.12", "python3.13"):
        python(folder / "programs" / name, "exit 1")
    said = make(folder, "package", PYTHON="python3", PATH=f"{folder / 'programs'}:/usr/bin:/bin")
    assert said.stderr.splitlines()[0].endswith("install Python 3.11 or newer, and try again")


def test_no_network_is_said_in_one_sentence(installable: Path) -> None:
    shutil.copy(ROOT / DEMO, installable / DEMO)
    unreachable = "http://127.0.0.1:9/"  # the port of discard, where nobody listens
    said = make(installable, "demo", PYTHON=sys.executable, PIP_INDEX_URL=unreachable, PIP_RETRIES="1")
    assert said.returncode != 0
    assert re.fullmatch(r"No network: connect to it, or tell pip of .*\nmake: \*\*\* .*\n", said.stderr), said.stderr


def test_another_fault_of_pip_is_shown_as_pip_says_it(installable: Path) -> None:
    (installable / DEMO).write_text(f"not-there==1 --hash=sha256:{'0' * 64}\n", "utf-8")
    said = make(installable, "demo", PYTHON=sys.executable, PIP_NO_INDEX="1")
    assert said.returncode != 0
    assert "No matching distribution found for not-there==1" in said.stderr
    assert "No network" not in said.stderr


@pytest.mark.parametrize(
    ("asked", "anew"),
    [([], False), (["PYTHON=same"], False), (["PYTHON=other"], True), (["PYTHON=none"], True)],
    ids=["none is named", "the same", "another", "one that is not there"],
)
def test_the_environment_of_another_python_is_made_anew(folder: Path, asked: list[str], *, anew: bool) -> None:
    """Only where somebody names a Python of another version; `make -n` prints what would be done."""
    python(folder / ".venv" / "bin" / "python", "echo 3.12")
    python(folder / "programs" / "same", "echo 3.12")
    python(folder / "programs" / "other", "echo 3.13")
    for stamp in ("pyvenv.cfg", "demo"):
        (folder / ".venv" / stamp).touch()
    said = make(folder, "-n", "demo", *asked, PATH=f"{folder / 'programs'}:{os.environ['PATH']}")
    assert said.returncode == 0
    assert ("-m venv --clear .venv" in said.stdout) == anew
    assert (f"install --no-deps --require-hashes --requirement {DEMO}" in said.stdout) == anew
    assert said.stdout.endswith("infra/demo/demo.py\n")


def test_an_environment_that_does_not_run_is_made_anew(folder: Path) -> None:
    (folder / ".venv").mkdir()
    for stamp in ("pyvenv.cfg", "demo"):
        (folder / ".venv" / stamp).touch()
    assert "-m venv --clear .venv" in make(folder, "-n", "demo").stdout
