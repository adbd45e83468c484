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
from datetime import datetime
from pathlib import Path

from cryptography import x509

import findings
from findings import ROOT, Allowed, Found, report, texts

FOLDERS = ("tests", "events", "infra/demo", "infra/simulator")

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


def near_dates(text: str) -> Iterator[Found]:
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


def faults(root: Path = ROOT, allowed: tuple[Allowed, ...] = ALLOWED) -> list[str]:
    """Each near date that no row allows, then each row that allows none."""
    return findings.faults(
        texts((root / folder for folder in FOLDERS), root), lambda _, text: near_dates(text), allowed
    )


if __name__ == "__main__":
    advice = "Make it relative to now, let it lie beyond 2099, or give a reason in ALLOWED of tests/dates.py"
    sys.exit(report(faults(), advice))
