"""A sink for dead letters: one line of JSON at ERROR for each, with what names the event and its task, and no more.

The rest of an event may hold what must not be logged; events with secrets in them are refused, and so end here.
"""

import json
import os
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ADVICE = "Find the receipt with this event's id: it says what to do. Then send the event again"
NAMES = ("id", "source", "type", "time", "knativeerrordest", "knativeerrorcode")
MAX_BODY_BYTES = 512 * 1024


def line(headers: Mapping[str, str], body: bytes) -> dict[str, str]:
    """What is said of one event."""
    said = {"severity": "ERROR", "message": "An event could not be dealt with", "outcome": "dead_letter"}
    said["advice"] = ADVICE
    said |= {name: headers[f"ce-{name}"] for name in NAMES if headers.get(f"ce-{name}")}
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return said
    task = data if isinstance(data, dict) else {}
    return said | {name: str(task[name])[:1024] for name in ("task_id", "task_name", "group_id") if name in task}


class Sink(BaseHTTPRequestHandler):
    """Takes every POST."""

    def do_POST(self) -> None:
        length = min(int(self.headers.get("Content-Length") or 0), MAX_BODY_BYTES)
        headers = {name.lower(): value for name, value in self.headers.items()}
        print(json.dumps(line(headers, self.rfile.read(length))), flush=True)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """No access log: the line above is enough."""


if __name__ == "__main__":
    ThreadingHTTPServer(("", int(os.environ["PORT"])), Sink).serve_forever()
