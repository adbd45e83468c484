"""The controls over HTTP, under /_sim. No I/O here."""

from collections.abc import Callable

from oms_simulator.controls import Controls
from oms_simulator.documents import InvalidDocument
from oms_simulator.messages import JSON, Answer, Request, decode, encode, found

PREFIX = "/_sim/"

SETTERS: dict[tuple[str, str], Callable[[Controls, object], None]] = {
    ("PUT", "tasks"): Controls.set_tasks,
    ("POST", "tasks"): Controls.add_tasks,
    ("POST", "generate"): Controls.generate,
    ("POST", "fail"): Controls.fail,
    ("PUT", "smn"): Controls.set_smn,
    ("PUT", "groups"): Controls.set_groups,
    ("POST", "groups"): Controls.add_groups,
    ("PUT", "listing"): Controls.set_listing,
    ("PUT", "objects"): Controls.set_objects,
    ("PUT", "rules"): Controls.set_rules,
    ("PUT", "throttle"): Controls.set_throttle,
    ("PUT", "auth"): Controls.set_auth,
    ("POST", "clock"): Controls.set_clock,
}
READERS: dict[tuple[str, str], Callable[[Controls], object]] = {
    ("GET", "tasks"): Controls.tasks,
    ("GET", "starts"): Controls.all_starts,
    ("GET", "runs"): Controls.runs,
    ("GET", "groups"): Controls.groups,
    ("GET", "objects"): Controls.objects,
    ("GET", "smn"): Controls.smn,
    ("GET", "notices"): Controls.notices,
    ("GET", "calls"): Controls.calls,
}
RESETTERS: dict[tuple[str, str], Callable[[Controls], None]] = {
    ("DELETE", "calls"): Controls.clear_calls,
    ("POST", "reset"): Controls.reset,
}


def control(controls: Controls, request: Request) -> Answer:
    """Answer a call under /_sim."""
    key = (request.method, request.path.removeprefix(PREFIX))
    if key in READERS:
        return found(READERS[key](controls))
    if key in RESETTERS:
        RESETTERS[key](controls)
        return Answer(204)
    if key in SETTERS:
        return _set(controls, SETTERS[key], request.body)
    return _wrong(404, "path", "is not a control")


def _set(controls: Controls, setter: Callable[[Controls, object], None], body: bytes) -> Answer:
    try:
        setter(controls, decode(body))
    except InvalidDocument as invalid:
        return _wrong(400, invalid.field, invalid.problem)
    except ValueError:
        return _wrong(400, "body", "is not JSON")
    return Answer(204)


def _wrong(status: int, field: str, problem: str) -> Answer:
    return Answer(status, encode({"field": field, "error": f"{field}: {problem}"}), (JSON,))
