"""Build the zip that FunctionGraph runs, and a bill of what is in it: the same bytes from the same sources.

    python infra/package/build.py [--python 3.12] [--platform x86_64-manylinux2014] [--output build]

function/ lies at the top of the zip, its locked requirements beside it. Bytecode is added where an interpreter of the
target's version is at hand: it saves the first call of an instance the time to make it.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path
from tempfile import TemporaryDirectory

from sbom import bill

ROOT = Path(__file__).parents[2]
FUNCTION = ROOT / "function"
DEPLOYED = ("main.py", "functiongraph.py", "restarter")
NAME = "oms-task-restarter"
# What an installer notes about itself and its machine; it differs from build to build, and nothing reads it.
NOTES = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json", "uv_build.json")
EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip can hold
MB = 1e6
# https://support.huaweicloud.com/intl/en-us/productdesc-functiongraph/functiongraph_01_0150.html, in MB
LIMITS = {"uploaded on the console": 40, "sent with an API call": 50, "from OBS": 300, "unpacked": 1500}


def install(folder: Path, requirements: Path, python: str, platform: str) -> None:
    """Locked wheels for the target. uv and not pip: it reads `; python_version < …` for the target, not for itself."""
    command = [
        *(sys.executable, "-m", "uv", "pip", "install", "--quiet", "--no-config", "--target", str(folder)),
        *("--python-version", python, "--python-platform", platform),
        *("--only-binary", ":all:", "--require-hashes", "--requirement", str(requirements)),
    ]
    subprocess.run(command, check=True)  # noqa: S603


def tidy(folder: Path) -> None:
    """Take out what depends on the machine, and scripts that nobody calls."""
    shutil.rmtree(folder / "bin", ignore_errors=True)
    for path in [*folder.glob("*.dist-info/*"), *folder.glob("*.pth"), *folder.glob(".lock")]:
        if path.name in NOTES or path.suffix == ".pth" or path.name == ".lock":
            path.unlink()


def copy_function(folder: Path) -> None:
    """What is deployed, without what the machine left there."""
    for name in DEPLOYED:
        source = FUNCTION / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)


def interpreter(python: str) -> str | None:
    """An interpreter of that version, if there is one that runs: bytecode is of one version only."""
    code = "import sys; print('%d.%d' % sys.version_info[:2], sys.executable)"
    for candidate in filter(None, (sys.executable, shutil.which(f"python{python}"))):
        ran = subprocess.run([candidate, "-c", code], capture_output=True, text=True, check=False)  # noqa: S603
        found, _, executable = ran.stdout.strip().partition(" ")
        if found == python:
            return executable
    return None


def compile_all(folder: Path, executable: str) -> None:
    """Bytecode that is never compared with its source. One process: several would differ in what they have interned."""
    command = [executable, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]
    environment = {"PATH": os.environ["PATH"], "PYTHONHASHSEED": "0"}
    subprocess.run([*command, "-s", str(folder), str(folder)], check=True, env=environment)  # noqa: S603


def files(folder: Path) -> Iterator[Path]:
    """Every file, in an order that is the same everywhere."""
    yield from sorted((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.parts)


def pack(folder: Path, target: Path) -> None:
    """A zip with sorted names, one time and one mode for all."""
    with zipfile.ZipFile(target, "w") as archive:
        for path in files(folder):
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), EPOCH)
            entry.create_system, entry.external_attr = 3, 0o100644 << 16  # Unix, whatever this is built on
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, path.read_bytes(), compresslevel=6)


def version() -> str:
    """The program's own; read, not imported."""
    text = (FUNCTION / "restarter" / "__init__.py").read_text("utf-8")
    found = re.search(r'^__version__ = "([^"]+)"$', text, re.MULTILINE)
    if found is None:
        raise SystemExit("function/restarter/__init__.py has no __version__")
    return found[1]


def without_bytecode(python: str) -> str:
    """Why there is none, what that costs and what to do. Bytecode of another version would never be read."""
    again = f"install it (python{python} on the PATH) and build again, or take the zip of a release"
    return f"without bytecode, so each start is slower: no Python {python} here; {again}"


def build(arguments: argparse.Namespace) -> None:
    """Zip and bill, and a word about their size."""
    arguments.output.mkdir(parents=True, exist_ok=True)
    target, parts = arguments.output / f"{NAME}.zip", arguments.output / "sbom.cdx.json"
    executable = interpreter(arguments.python)
    with TemporaryDirectory() as temporary:
        folder = Path(temporary) / "package"
        install(folder, arguments.requirements, arguments.python, arguments.platform)
        tidy(folder)
        found: list[Distribution] = sorted(distributions(path=[str(folder)]), key=lambda one: one.name.lower())
        copy_function(folder)
        if executable:
            compile_all(folder, executable)
        unpacked = sum(path.stat().st_size for path in files(folder))
        pack(folder, target)
        parts.write_text(bill(NAME, version(), target, found), "utf-8")
    bytecode = "with bytecode" if executable else without_bytecode(arguments.python)
    print(f"{target}: {target.stat().st_size / MB:.1f} MB, unpacked {unpacked / MB:.1f} MB, {bytecode}")
    print(f"{parts}: {len(json.loads(parts.read_text('utf-8'))['components'])} packages")
    print("FunctionGraph takes, in MB: " + ", ".join(f"{size} {how}" for how, size in LIMITS.items()))


def main() -> None:
    """For FunctionGraph's newest Python, unless told otherwise."""
    parser = argparse.ArgumentParser(description="Build the package for FunctionGraph.")
    parser.add_argument("--python", default="3.12", help="version of the target")
    parser.add_argument("--platform", default="x86_64-manylinux2014", help="platform of the target, as uv names it")
    parser.add_argument("--requirements", type=Path, default=FUNCTION / "requirements.txt", help="a locked file")
    parser.add_argument("--output", type=Path, default=ROOT / "build", help="the folder for both files")
    build(parser.parse_args())


if __name__ == "__main__":
    main()
