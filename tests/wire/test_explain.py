"""`explain` says what the function does: for every sample of events/ both end in the same outcomes and status."""

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from pytest_httpx import HTTPXMock

from example import TASK, TASK_NAME, shown
from function_client import Function
from restarter.cli.explain import explain_delivery
from restarter.model.delivery import Delivery
from restarter.settings.model import load
from samples import Sample, fill, read_all
from signing_keys import SigningKeys, signing_keys

pytestmark = pytest.mark.usefixtures("unmeasured")
SAMPLES = list(read_all())
FAILED_GROUP: dict[str, object] = {"status": 5, "task_type": "PREFIX", "error_reason": {"error_code": "TRF.0061"}}
# The task that OMS has, and the group, whether the task is a member of it or the sample names a group. One is started,
# of the other the group is asked, and the receipt has advice. The rules' other rows are those of `unit/test_decide.py`.
WORLDS: dict[str, tuple[dict[str, object], dict[str, object]]] = {
    "failed": (shown(), FAILED_GROUP),
    "member of a group without space": (
        shown(group_id="g-1"),
        FAILED_GROUP | {"error_reason": {"error_code": "TRF.0055"}},
    ),
}


@pytest.fixture(scope="module")
def keys() -> Iterator[SigningKeys]:
    """One set of the senders' keys for all samples."""
    with signing_keys() as made:
        yield made


def answer_with(task: dict[str, object], group: dict[str, object]) -> Callable[[httpx.Request], httpx.Response]:
    """OMS with one task and one group, whatever is asked."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "GET" and "/taskgroups/" in request.url.path:
            return httpx.Response(200, json=group)
        if request.method == "GET" and request.url.path.endswith("/tasks"):
            return httpx.Response(200, json={"tasks": [task]})
        return httpx.Response(200, json=task) if request.method == "GET" else httpx.Response(200)

    return answer


def inner_status(reply: httpx.Response) -> int:
    """The status that the sender sees: of an APIG event it is inside the body."""
    is_json = reply.headers.get("content-type") == "application/json"
    document: dict[str, Any] = reply.json() if is_json and reply.content else {}
    return int(document.get("statusCode", reply.status_code))


# Whatever OMS would answer makes no difference to a sample that never reaches it.
CASES = [(sample, world) for sample in SAMPLES for world in WORLDS if sample.folder == "valid" or world == "failed"]


@pytest.mark.parametrize(
    ("sample", "world"), CASES, ids=[f"{sample.folder}/{sample.name}-{world}" for sample, world in CASES]
)
def test_explain_and_the_function_agree(
    sample: Sample, world: str, keys: SigningKeys, make_function: Callable[..., Function], httpx_mock: HTTPXMock
) -> None:
    trust = {"CALLER_BEARER_TOKENS": None, "CALLER_TRUST_PLATFORM": "true"} if sample.by_platform else keys.settings
    function = make_function(**trust, OMS_PROJECTS='{"00000000000000000000000000000001": "cn-north-1"}')
    task, group = WORLDS[world]
    httpx_mock.add_callback(answer_with(task, group), is_reusable=True, is_optional=True)
    sent = fill(sample, keys)
    octets = {name: value.encode() for name, value in sent.headers.items()}
    reply = function.request(sent.method, sent.path, headers=octets, content=sent.body.encode())
    receipts = function.receipts()
    outcomes = [" ".join(filter(None, [one["outcome"], one.get("reason")])) for one in receipts]

    headers = {name.lower(): value.decode("latin-1") for name, value in octets.items()}
    delivery = Delivery(sent.method, sent.path, headers, sent.body.encode())
    files = json.dumps(task).encode(), json.dumps(group).encode()
    lines = asyncio.run(explain_delivery(delivery, files[0], load(), files[1]))
    refusal = next((text for step, text in lines if step == "caller" and text.startswith("NOT")), None)
    if refusal is not None:
        assert f"the function answers {reply.status_code}" in refusal
        assert all(outcome.startswith("unauthenticated") for outcome in outcomes)
        return
    assert [text.partition(": ")[0] for step, text in lines if step == "outcome"] == [
        outcome.partition(": ")[0] for outcome in outcomes
    ]
    advice = [one["advice"] for one in receipts if "advice" in one]
    assert [text for step, text in lines if step == "advice"] == advice
    assert [int(text.split()[0]) for step, text in lines if step == "reply"] == [inner_status(reply)]


def test_the_name_and_the_id_of_the_task_are_those_of_the_samples() -> None:
    """Otherwise the samples above would be about a task that no answer is about."""
    assert sum(str(TASK) in sample.body or TASK_NAME in sample.body for sample in SAMPLES) > 50
