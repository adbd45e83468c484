"""Build the sdist and the wheel: the same bytes from the same sources.

    python infra/package/dist.py [--output build]

They hold the package `restarter` with the operator's command; the platforms' entry points are in the zip and the image.
"""

import argparse
import gzip
import io
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[2]
PARTS = ("pyproject.toml", "README.md", "LICENSE")
EPOCH = 315532800  # 1980, the earliest time that a wheel can hold, in seconds since 1970
MB = 1e6
BUILD = "import sys; from setuptools import build_meta; getattr(build_meta, 'build_' + sys.argv[1])(sys.argv[2])"


def sources(folder: Path) -> None:
    """What the sdist is made of, in a folder of its own: building leaves files beside it."""
    shutil.copytree(
        ROOT / "function" / "restarter", folder / "function" / "restarter", ignore=shutil.ignore_patterns("__pycache__")
    )
    for name in PARTS:
        shutil.copy(ROOT / name, folder)


def build(kind: str, source: Path, folder: Path) -> Path:
    """The sdist or the wheel of a folder, as setuptools makes it."""
    folder.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {"SOURCE_DATE_EPOCH": str(EPOCH)}
    command = [sys.executable, "-W", "ignore", "-c", BUILD, kind, str(folder)]
    subprocess.run(command, cwd=source, env=environment, check=True, stdout=subprocess.DEVNULL)  # noqa: S603
    (made,) = folder.glob("*.tar.gz" if kind == "sdist" else "*.whl")
    return made


def repack(sdist: Path, target: Path) -> None:
    """The same archive with one time, one owner and sorted names."""
    packed = io.BytesIO()
    with tarfile.open(sdist) as old, tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as new:
        for member in sorted(old.getmembers(), key=lambda one: one.name):
            content = old.extractfile(member)
            plain = tarfile.TarInfo(member.name)
            plain.type, plain.size, plain.mtime = member.type, member.size, EPOCH
            plain.mode = 0o755 if member.isdir() else 0o644
            new.addfile(plain, content)
    target.write_bytes(gzip.compress(packed.getvalue(), mtime=EPOCH))


def main() -> None:
    """Both, into one folder."""
    parser = argparse.ArgumentParser(description="Build the sdist and the wheel.")
    parser.add_argument("--output", type=Path, default=ROOT / "build", help="the folder for both files")
    output: Path = parser.parse_args().output.absolute()
    output.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        sources(folder / "source")
        sdist, wheel = (build(kind, folder / "source", folder / kind) for kind in ("sdist", "wheel"))
        repack(sdist, output / sdist.name)
        shutil.copy(wheel, output)
    for made in (sdist, wheel):
        print(f"{output / made.name}: {(output / made.name).stat().st_size / MB:.1f} MB")


if __name__ == "__main__":
    main()
