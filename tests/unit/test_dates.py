"""The check of `make check` that names each literal date which is near, and no other number."""

from base64 import b64encode
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import dates
from findings import Allowed
from signers import certificate, rsa_key

THEN = datetime(2000 + 26, 11, 24, tzinfo=UTC)


def year(text: str) -> str:
    """The text with a near year in place of YYYY; here no near date may be written down either."""
    return text.replace("YYYY", str(2000 + 26))


def faults(folder: Path, text: str, *allowed: Allowed) -> list[str]:
    """What the check says of a repository with this text in one test."""
    (folder / "tests").mkdir(exist_ok=True)
    (folder / "tests" / "test_it.py").write_text(text, "utf-8")
    return dates.faults(folder, allowed)


@pytest.mark.parametrize(
    "text",
    [
        '"timestamp": "YYYY-11-25T10:00:00Z"',
        "on YYYY/11/25",
        "in YYYY-11",
        "photos-photos-YYYY1028093012001_101",
        "YYYY1124T120000Z",
        "YYYY1124",
        "YYYY1124120000",
        "Wed, 25 Nov YYYY 03:00:00 GMT",
        "Nov 25 03:00:00 YYYY GMT",
        "November 25, YYYY",
        "datetime(YYYY, 11, 24, tzinfo=UTC)",
        "date(YYYY, 11, 24)",
        str(int(THEN.timestamp())),
        str(int(THEN.timestamp()) * 1000),
        f"{int(THEN.timestamp()):_}",
        '{"data": "' + b64encode(year('{"task_name": "photos-YYYY1028093012001_1"}').encode()).decode() + '"}',
        certificate(rsa_key("smn"), valid_from=THEN, valid_to=THEN + timedelta(days=1)).decode(),
    ],
)
def test_a_near_date_is_named_with_its_place(text: str, tmp_path: Path) -> None:
    fault, *_ = faults(tmp_path, f"\n\n{year(text)}\n")
    assert fault.startswith("tests/test_it.py:3: ")


@pytest.mark.parametrize(
    "text",
    [
        "2126-11-25T10:00:00Z, 21261028093012001_101, datetime(2126, 11, 24)",
        "2016-10-26, 20191231, December 31, 2019, datetime(2019, 12, 31)",
        "the year 2026, 2026 tasks, 2026-130, 2026.4.1.2",
        "version 3.2026.10.18, id 191297407830872, message 2070443601311550",
        "1577836799, 3818448000, 3818448000000, 17000000001, a17000000002",
        "2c0689c860ad4728a497ffffc0844383",
        "-----BEGIN CERTIFICATE-----\nbm9uZQ==\n-----END CERTIFICATE-----",
    ],
)
def test_no_other_number_is_taken_for_one(text: str, tmp_path: Path) -> None:
    assert faults(tmp_path, text) == []


def test_a_row_allows_what_it_covers_in_its_files_alone(tmp_path: Path) -> None:
    text, row = year("YYYY-11-25\nYYYY-11-26\n"), Allowed("tests/*.py", year("YYYY-11-25"), "a vector")
    assert faults(tmp_path, text, row) == [year("tests/test_it.py:2: YYYY-11-26")]
    elsewhere = Allowed("events/*", row.text, row.reason)
    assert len(faults(tmp_path, text, elsewhere)) == 3


def test_a_row_that_allows_nothing_is_a_fault(tmp_path: Path) -> None:
    row = Allowed("tests/*", "a date of before", "it has gone")
    assert faults(tmp_path, "no date\n", row) == ["ALLOWED: nothing is allowed by tests/* a date of before"]


def test_locks_and_the_packages_of_node_are_passed_over(tmp_path: Path) -> None:
    for name in ("requirements.txt", "node/node_modules/one/index.js", "node/package-lock.json"):
        (tmp_path / "tests" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tests" / name).write_text(year("YYYY-11-25"), "utf-8")
    assert dates.faults(tmp_path, ()) == []
