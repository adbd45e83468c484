"""What was asked and answered, for tests to read. Credentials in headers are not kept, body values are."""

from collections import deque
from dataclasses import asdict, dataclass
from typing import Any

from oms_simulator.messages import Request
from oms_simulator.routes import Route
from oms_simulator.storage_keys import read_body

# A benchmark must not fill the memory.
KEPT = 20_000
SECRET_HEADERS = ("authorization", "x-auth-token", "x-security-token", "x-obs-security-token")


@dataclass(slots=True)
class Call:
    """One call. `status` stays None for as long as nothing was answered."""

    n: int
    time: float
    operation: str
    method: str
    path: str
    query: str
    task_id: str | None
    group_id: str | None
    headers: dict[str, str]
    body: dict[str, Any] | None
    status: int | None = None
    error_code: str | None = None
    fault: str | None = None
    accepted: bool = False


class Calls:
    """The last calls, oldest first, numbered from 1."""

    def __init__(self) -> None:
        self._calls: deque[Call] = deque(maxlen=KEPT)
        self._made = 0

    def open(self, request: Request, where: Route, now: float) -> Call:
        self._made += 1
        headers = dict(request.headers)
        for name in SECRET_HEADERS:
            if name in headers:
                headers[name] = "present"
        call = Call(
            n=self._made,
            time=now,
            operation=where.operation,
            method=request.method,
            path=request.path,
            query=request.query,
            task_id=where.text_id,
            group_id=where.group_id,
            headers=headers,
            body=read_body(request.body) if request.body else None,
        )
        self._calls.append(call)
        return call

    def all(self) -> list[dict[str, Any]]:
        return [asdict(call) for call in self._calls]

    def clear(self) -> None:
        self._calls.clear()
        self._made = 0
