"""Log records are lines of JSON, and an exception in one does not break the line."""

import json
import logging
import sys

from restarter.telemetry.log import StderrFormatter


def test_a_record_is_one_line_and_an_exception_is_a_member_of_it() -> None:
    try:
        raise ValueError("first line\nsecond line")
    except ValueError:
        record = logging.LogRecord("restarter", logging.ERROR, "", 0, "it %s", ("failed",), sys.exc_info())
    line = StderrFormatter().format(record)
    assert "\n" not in line
    document = json.loads(line)
    assert (document["severity"], document["message"]) == ("ERROR", "it failed")
    assert "ValueError: first line\nsecond line" in document["exception"]


def test_a_record_without_an_exception_has_two_members() -> None:
    record = logging.LogRecord("restarter", logging.WARNING, "", 0, "well", (), None)
    assert json.loads(StderrFormatter().format(record)) == {"severity": "WARNING", "message": "well"}
