"""At most nine calls of ours are open between the entry point and httpx, so that a reader can follow a delivery."""

import sys
from pathlib import Path

import httpx
from pytest_httpx import HTTPXMock

from example import TASK, shown
from function_client import START, Function

FUNCTION = Path(__file__).parents[2] / "function"
MAX_DEPTH = 9


def open_calls() -> list[str]:
    """The calls of ours that are open now, the outermost first."""
    names, frame = [], sys._getframe()  # noqa: SLF001  # the stack is what this test is about
    while frame.f_back is not None:
        frame = frame.f_back
        if FUNCTION in Path(frame.f_code.co_filename).resolve().parents:
            names.append(frame.f_code.co_name)
    names.reverse()
    return names[names.index("restart") :]  # main.restart: what is above it passes the request on


def test_a_failed_event_is_at_most_nine_calls_deep(function: Function, httpx_mock: HTTPXMock) -> None:
    depths: list[list[str]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        depths.append(open_calls())
        return httpx.Response(200, json=shown()) if request.method == "GET" else httpx.Response(200)

    httpx_mock.add_callback(answer, is_reusable=True)
    event = {"specversion": "1.0", "type": "oms.task.failed", "source": "/oms", "id": "1", "data": {"task_id": TASK}}
    reply = function.post(json=event, headers={"Content-Type": "application/cloudevents+json"})
    assert (reply.status_code, str(httpx_mock.get_requests()[-1].url)) == (204, START)
    assert len(depths) == 2
    assert depths[1][:2] == ["restart", "handle"]  # the first gives every request to the second
    assert max(map(len, depths)) <= MAX_DEPTH, depths
