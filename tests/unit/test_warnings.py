"""Warnings fail the run, but for a development package's notice about the age of Python, which comes with the years."""

import sys
import warnings
from datetime import date, timedelta

import pytest
from google.api_core._python_version_support import PYTHON_VERSION_INFO, VersionInfo, check_python_version

END = date(2126, 1, 1)  # of the Python that runs this, as the package is told


@pytest.mark.parametrize("days", [-1, 7, 8], ids=["shortly before its end", "a week after its end", "later"])
def test_a_packages_notice_about_the_age_of_python_is_shown(days: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not fail the run."""
    monkeypatch.setitem(PYTHON_VERSION_INFO, sys.version_info[:2], VersionInfo("this one", None, END, END))
    with warnings.catch_warnings(record=True) as shown:
        check_python_version("google.api_core", END + timedelta(days))
    assert [warning.category for warning in shown] == [FutureWarning]


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("You are using a non-supported Python version (3.11.7).", UserWarning),
        ("You are using an old version of the protocol.", FutureWarning),
        ("This will change. You are using a Python version that is old.", FutureWarning),
    ],
)
def test_every_other_warning_fails_the_run(message: str, kind: type[Warning]) -> None:
    with pytest.raises(kind):
        warnings.warn(message, kind, stacklevel=1)
