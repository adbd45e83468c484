"""Find literal dates that are near: a test that needs one is right only for a while.

    python tests/dates.py

What a test, a sample or the demo needs of time is relative to now, or lies beyond 2099. Each literal date from 2020 to
2090 is printed with its place, unless a row of ALLOWED gives a reason for it. A row that allows nothing is a fault.
Dates are found as numbers with or without separators, in words, as arguments of `datetime`, as seconds or milliseconds
since 1970, in Base64, and in certificates. Exit status: 1 where there is a fault.
"""

import re
import sys
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatch
from pathlib import Path

from cryptography import x509

ROOT = Path(__file__).parents[1]
FOLDERS = ("tests", "events", "infra/demo", "infra/simulator")
# Folders of tools, and locks: their digits are versions and hashes.
PASSED_OVER = ("*/node_modules/*", "*/__pycache__/*", "*/requirements.txt", "*/package-lock.json", "*.pyc")

YEAR = r"20(?:[2-8]\d|90)"
MONTH = r"(?:0[1-9]|1[0-2])"
DAY = r"(?:0[1-9]|[12]\d|3[01])"
NAME = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*"
WRITTEN = re.compile(
    rf"(?<!\d)(?<!\d\.){YEAR}[-/.]{MONTH}(?:[-/.]{DAY})?(?![\d.])"  # a date, or a month
    rf"|(?<!\d){YEAR}{MONTH}{DAY}(?:(?=T)|\d{{6}}|\d{{9}})?(?!\d)"  # without separators: day, second or millisecond
    rf"|(?<![\d-])\d{{1,2}}[ -]{NAME},?[ -]{YEAR}(?!\d)|{NAME} +\d{{1,2}},?(?: [\d:]{{8}})? {YEAR}(?!\d)"
    rf"|(?:date|datetime)\({YEAR}, ?\d"
)
NUMBER = re.compile(r"(?<![\w.])(\d{10}|\d_\d{3}_\d{3}_\d{3})(_?\d{3})?(?!\w)")
SECONDS = range(1_577_836_800, 3_818_448_000)  # 2020 to 2090, since 1970
BASE64 = re.compile(r"[A-Za-z0-9+/_-]{16,}={0,2}")
CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----")


@dataclass(frozen=True)
class Allowed:
    """Texts that may hold a near date: where, which ones, and why nothing compares them with the time of today."""

    files: str
    text: str
    reason: str


FIRST_TASK = r"photos-photos-20261027211637786_5440?\b"
NAME_NO_TIME = "the name of the world's first task, which the READMEs' calls use; nothing reads a time from it"
ALLOWED = (
    Allowed("*", FIRST_TASK, NAME_NO_TIME),
    Allowed("events/valid/pubsub_push_attempt.http", r'"data": "[^"]+"', NAME_NO_TIME),
    Allowed("events/*", r"draft/2020-12/schema", "the version of JSON Schema"),
    Allowed("tests/README.md", r"\S+", "when something was measured or tried"),
    Allowed("tests/bench/scale.py", r"\(2026-11-25\)", "when the prices were read"),
    Allowed("tests/dates.py", r"(?s).+", "this list"),
    Allowed("tests/signers.py", r"2130706433", "127.0.0.1 as a number"),
    Allowed("tests/unit/samples/*", r".+", "the vendors' documents as they are published"),
    Allowed("tests/unit/*sign*", r"20260102T030405Z", "vectors of the official SDK, judged at the time that they name"),
    Allowed("tests/unit/test_simulator_callers.py", r"20260102T030405Z", "two of them, judged at that time"),
    Allowed("tests/unit/synthetic_smn/*", r"(?s).+", "vectors of SMN, judged within their certificate's own time"),
    Allowed("tests/unit/test_callers.py", r"VECTOR, .+", "a vector of Standard Webhooks, which has to be too old"),
)


@dataclass(frozen=True)
class Found:
    """A near date: where it is written, and what it is."""

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text}"


def near_dates(text: str) -> Iterator[tuple[int, int, str]]:
    """Each near date of the text: where it begins and ends, and what it says."""
    for match in WRITTEN.finditer(text):
        yield match.start(), match.end(), match[0]
    for match in NUMBER.finditer(text):
        if int(match[1]) in SECONDS:
            yield match.start(), match.end(), match[0]
    for match in BASE64.finditer(text):
        for inner in WRITTEN.finditer(_decoded(match[0])):
            yield match.start(), match.end(), f"{inner[0]} in Base64"
    for match in CERTIFICATE.finditer(text):
        for at in _validity(match[0]):
            if 2020 <= at.year <= 2090:
                yield match.start(), match.end(), f"{at:%Y-%m-%d} in a certificate"


def _validity(pem: str) -> Iterator[datetime]:
    """From when and until when a certificate is valid; nothing where it is none."""
    with suppress(ValueError):
        certificate = x509.load_pem_x509_certificate(pem.encode())
        yield from (certificate.not_valid_before_utc, certificate.not_valid_after_utc)


def _decoded(text: str) -> str:
    """What Base64 of either alphabet says; nothing where that is no text."""
    bare = text.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return b64decode(bare + "=" * (-len(bare) % 4)).decode("ascii")
    except (NotBase64, UnicodeDecodeError):
        return ""


def files(root: Path) -> Iterator[tuple[str, str]]:
    """The name and the text of every file that is looked at."""
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            name = path.relative_to(root).as_posix()
            if path.is_file() and not any(fnmatch(f"/{name}", pattern) for pattern in PASSED_OVER):
                yield name, path.read_text("utf-8", errors="replace")


def faults(root: Path = ROOT, allowed: tuple[Allowed, ...] = ALLOWED) -> list[str]:
    """Each near date that no row allows, then each row that allows none."""
    found, used = [], set()
    for name, text in files(root):
        rows = [row for row in allowed if fnmatch(name, row.files)]
        spans = [(row, match.span()) for row in rows for match in re.finditer(row.text, text)]
        for start, end, date in near_dates(text):
            covering = [row for row, (first, last) in spans if first <= start and end <= last]
            used.update(covering)
            if not covering:
                found.append(str(Found(name, text.count("\n", 0, start) + 1, date)))
    return found + [f"ALLOWED: no date is allowed by {row.files} {row.text}" for row in allowed if row not in used]


def main() -> int:
    """Print what there is."""
    found = faults()
    for fault in found:
        sys.stderr.write(f"{fault}\n")
    if found:
        sys.stderr.write(
            "Make it relative to now, let it lie beyond 2099, or give a reason in ALLOWED of tests/dates.py\n"
        )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
