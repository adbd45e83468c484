"""The package for FunctionGraph, the wheel and the sdist, made and run: alone, and in a clean interpreter."""

import json
import os
import platform
import shutil
import subprocess
import sys
import venv
import zipfile
from importlib.resources import files
from pathlib import Path
from sysconfig import get_path
from typing import Any

import jsonschema_rs
import pytest

from child_processes import child_environment
from child_processes import run as run_alone
from processes import EXAMPLE, Running, simulator
from restarter import __version__

pytestmark = pytest.mark.long
ROOT = Path(__file__).parents[2]
TASK, NAME = "191297407830872", "photos-photos-20261027211637786_544"
FOUR = ("OMS_PROJECT_ID", "HUAWEICLOUD_SDK_AK", "HUAWEICLOUD_SDK_SK")  # and the address of OMS
SETTINGS = {name: value for name, value in EXAMPLE.items() if not name.startswith("CALLER_")}

# What FunctionGraph does: settings are user data, and not in the environment.
RUN = """
import json, sys
folder, user_data, event = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])
sys.path.insert(0, folder)
import functiongraph

class Context:
    def __getattr__(self, name):
        return {"getRemainingTimeInMilliSeconds": lambda: 10_000, "getUserData": user_data.get}.get(name, lambda: None)

functiongraph.initializer(Context())
answer = functiongraph.handler(event, Context())
elsewhere = sorted(
    name for name, module in sys.modules.items()
    if getattr(module, "__file__", None) and "site-packages" in module.__file__
)
plugins = __import__("os").environ["PYDANTIC_DISABLE_PLUGINS"]
print(json.dumps({"answer": answer, "elsewhere": elsewhere, "cached": functiongraph.__cached__, "plugins": plugins}))
"""


def target() -> tuple[str, str]:
    """FunctionGraph's Python, if it is at hand; else the one that runs this. The version, and the executable."""
    code = "import sys; print('%d.%d' % sys.version_info[:2], sys.executable)"
    for candidate in filter(None, (shutil.which("python3.12"), sys.executable)):
        ran = subprocess.run([candidate, "-c", code], capture_output=True, text=True, check=False)  # noqa: S603
        version, _, executable = ran.stdout.strip().partition(" ")
        if version:
            return version, executable
    raise AssertionError("no Python runs here")


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the wheel and the sdist."""
    return distribute(tmp_path_factory.mktemp("dist"))


def distribute(output: Path) -> Path:
    command = [sys.executable, str(ROOT / "infra" / "package" / "dist.py"), "--output", str(output)]
    subprocess.run(command, check=True)  # noqa: S603
    return output


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the package and its bill, for an interpreter that can run it here."""
    return build(tmp_path_factory.mktemp("build"))


def build(output: Path, python: str | None = None, path: str = os.environ["PATH"]) -> Path:
    here = f"{platform.machine()}-manylinux2014" if sys.platform == "linux" else f"{platform.machine()}-apple-darwin"
    command = [sys.executable, str(ROOT / "infra" / "package" / "build.py"), "--python", python or target()[0]]
    command += ["--platform", here, "--output", str(output)]
    subprocess.run(command, check=True, env=os.environ | {"PATH": path})  # noqa: S603
    return output


def run(folder: Path, user_data: dict[str, str], event: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What the handler did, and the receipts that it wrote before; nothing of this machine's Python is on the path."""
    command = [target()[1], "-I", "-S", "-c", RUN, str(folder), json.dumps(user_data), json.dumps(event)]
    ran = subprocess.run(  # noqa: S603
        command, capture_output=True, text=True, env=child_environment(), cwd="/", check=True, timeout=60
    )
    *receipts, said = [json.loads(line) for line in ran.stdout.splitlines()]
    return said, receipts


def notice(message: str) -> dict[str, Any]:
    """What FunctionGraph's SMN trigger hands over."""
    urn = f"urn:smn:cn-north-4:{EXAMPLE['OMS_PROJECT_ID']}:oms-task-restarter-failed"
    return {
        "record": [{"smn": {"topic_urn": urn, "message_id": "a51671f77d4a479cacb09e2cd591a983", "message": message}}]
    }


def starts(oms: Running) -> list[dict[str, Any]]:
    return [call for call in oms.control("GET", "/_sim/calls") if call["operation"] == "start"]


def test_a_notice_that_carries_only_the_name_of_a_task_starts_it(built: Path, tmp_path: Path) -> None:
    """The template's text as infra/huawei makes it, and nothing but the package."""
    with zipfile.ZipFile(built / "oms-task-restarter.zip") as archive:
        archive.extractall(tmp_path)
    with simulator() as oms:
        message = json.dumps({"task_name": NAME, "task_status": "FAILED"})
        said, receipts = run(tmp_path, SETTINGS | {"OMS_ENDPOINT": oms.url}, notice(message))
        assert [call["task_id"] for call in starts(oms)] == [TASK]
    assert said["answer"]["outcome"] == "started"
    assert [receipt["task_id"] for receipt in receipts] == [TASK]
    assert said["elsewhere"] == []
    assert Path(said["cached"]).is_relative_to(tmp_path)
    assert said["plugins"] == "__all__"


def test_the_package_on_another_python_says_which_one_it_wants(tmp_path: Path) -> None:
    """Parts of it are compiled; FunctionGraph has a runtime for each Python."""
    here, other = target()[0], "3.13" if target()[0] == "3.12" else "3.12"
    # Nowhere to look for another Python: compiling takes seconds, and bytecode changes nothing here.
    with zipfile.ZipFile(build(tmp_path / "build", other, path="") / "oms-task-restarter.zip") as archive:
        archive.extractall(tmp_path / "unpacked")
    command = [target()[1], "-I", "-S", "-c", RUN, str(tmp_path / "unpacked"), "{}", "{}"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/", timeout=60)  # noqa: S603
    assert ran.returncode == 1
    assert ran.stderr.splitlines()[-1] == (
        f"ImportError: this package is made for Python {other}: "
        f"choose that runtime, or build it for Python {here} (--python)"
    )


def test_the_package_holds_what_is_deployed_and_nothing_of_this_machine(built: Path) -> None:
    with zipfile.ZipFile(built / "oms-task-restarter.zip") as archive:
        names = archive.namelist()
        flags = {archive.read(name)[4:8] for name in names if name.endswith(".pyc")}
        text = b"".join(archive.read(name) for name in names if name.endswith((".py", "METADATA", ".txt")))
    assert names == sorted(names, key=lambda name: Path(name).parts)
    assert {"functiongraph.py", "main.py", "restarter/pipeline.py"} <= set(names)
    assert [name for name in names if name.split("/")[0] in {"tests", "infra", "events", "bin"}] == []
    ours = {path.relative_to(ROOT / "function").as_posix() for path in (ROOT / "function").rglob("*.py")}
    assert {name for name in names if name.startswith("restarter/") and name.endswith(".py")} <= ours
    bytecode = {name for name in names if name.endswith(".pyc")}
    assert len(bytecode) == len([name for name in names if name.endswith(".py")])
    # Bytes 4 to 8 are flags: 1 is a pyc by hash, and without 2 its source is not looked at (PEP 552).
    assert flags == {b"\x01\x00\x00\x00"}
    assert f"__pycache__/functiongraph.cpython-{target()[0].replace('.', '')}.pyc" in bytecode
    for place in (str(ROOT), f"{Path.home()}/"):
        assert place.encode() not in text


def test_the_package_is_the_same_when_it_is_made_again(built: Path, tmp_path: Path) -> None:
    again = build(tmp_path)
    for name in ("oms-task-restarter.zip", "sbom.cdx.json"):
        assert (again / name).read_bytes() == (built / name).read_bytes()


@pytest.mark.parametrize("kind", ["whl", "tar.gz"])
def test_wheel_and_sdist_alone_have_the_command(kind: str, distributions: Path, tmp_path: Path) -> None:
    """Installed into an environment that has only its dependencies, and run with four settings."""
    (distribution,) = distributions.glob(f"oms_task_restarter-*.{kind}")
    venv.create(tmp_path / "venv", symlinks=True)
    python = tmp_path / "venv" / "bin" / "python"
    (site,) = (tmp_path / "venv" / "lib").glob("python3*/site-packages")
    (site / "dependencies.pth").write_text(get_path("purelib"))  # a line of it is a folder: its own .pth are not read
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--python", str(python), "install"]
    alone = ["--no-deps", "--no-index", "--no-build-isolation", "--ignore-installed", str(distribution)]
    subprocess.run([*pip, *alone], check=True)  # noqa: S603
    command = str(tmp_path / "venv" / "bin" / "oms-task-restarter")
    with simulator() as oms:
        settings = {"OMS_ENDPOINT": oms.url} | {name: EXAMPLE[name] for name in FOUR}
        ran, version = run_alone([command, "failed"], settings), run_alone([command, "--version"], {})
    assert (ran.returncode, ran.stdout.startswith("TRF.0001: ")) == (1, True)
    assert version.stdout.strip() == f"oms-task-restarter, version {__version__}"


def test_wheel_and_sdist_are_the_same_when_they_are_made_again(distributions: Path, tmp_path: Path) -> None:
    made, again = sorted(distributions.iterdir()), sorted(distribute(tmp_path).iterdir())
    assert [path.name for path in made] == [path.name for path in again]
    assert [path.read_bytes() for path in made] == [path.read_bytes() for path in again]
    assert len(made) == 2


def test_the_bill_is_valid_and_names_every_part_once(built: Path) -> None:
    schemas = files("cyclonedx.schema._res")
    read = {path.name: json.loads(path.read_text("utf-8")) for path in schemas.iterdir() if path.name.endswith(".json")}
    others = [(f"http://cyclonedx.org/schema/{name}", one) for name, one in read.items() if not name.startswith("bom-")]
    registry = jsonschema_rs.Registry(others)
    bill = json.loads((built / "sbom.cdx.json").read_text("utf-8"))
    jsonschema_rs.validator_for(read["bom-1.6.SNAPSHOT.schema.json"], registry=registry).validate(bill)
    with zipfile.ZipFile(built / "oms-task-restarter.zip") as archive:
        parts = {name.split("/")[0] for name in archive.namelist() if ".dist-info/" in name}
    listed = [f"{one['name']}-{one['version']}".lower().replace("-", "_") for one in bill["components"]]
    assert sorted(listed) == sorted(part.removesuffix(".dist-info").lower().replace("-", "_") for part in parts)
    assert len(listed) == len(set(listed)) > 30
