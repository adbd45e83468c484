"""Log records, which are not receipts, as lines of JSON on stderr."""

import logging
import sys

from pydantic_core import to_json


class StderrFormatter(logging.Formatter):
    """Formats log records as lines of JSON with `severity` and `message`."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line; an exception becomes its own member."""
        line = {"severity": record.levelname, "message": record.getMessage()}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return to_json(line).decode()


def configure_logging(level: str) -> None:
    """Send log records of at least `level` to stderr. Receipts go to stdout at any level."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(StderrFormatter())
    logging.getLogger("restarter").handlers = [handler]
    logging.getLogger("restarter").setLevel(level)
