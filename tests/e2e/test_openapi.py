"""The function does what its OpenAPI document says, whatever is sent to it: requests that fit it and that do not."""

from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from schemathesis import checks
from schemathesis.config import SchemathesisConfig

from example import TASK
from processes import EXAMPLE, Running

pytestmark = pytest.mark.usefixtures("unmeasured")
DOCUMENT = Path(__file__).parents[2] / "events" / "schemas" / "openapi.json"
BEARER = {"Authorization": f"Bearer {EXAMPLE['CALLER_BEARER_TOKENS']}"}
CHECKS = [
    checks.status_code_conformance,  # of 5xx only 503 is documented
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]


def read(*, every_value: bool) -> Any:
    """The document; `every_value`: whether each value that it names and each bound is sent, besides what is drawn."""
    config = {
        "seed": 21261124,
        "generation": {"max-examples": 20 if every_value else 5, "with-security-parameters": False, "database": "none"},
        # A POST to any path is a delivery.
        "phases": {"coverage": {"enabled": every_value, "unexpected-methods": []}},
    }
    return schemathesis.openapi.from_path(DOCUMENT, config=SchemathesisConfig.from_dict(config))


@pytest.fixture(scope="module")
def document() -> Any:
    return read(every_value=True)


@pytest.fixture(scope="module")
def drawn() -> Any:
    """Before the caller is known, what is sent makes no difference."""
    return read(every_value=False)


# What is sent is drawn when the test runs: each worker collects all tests, and drawing takes seconds.
schema, strangers = schemathesis.pytest.from_fixture("document"), schemathesis.pytest.from_fixture("drawn")


@pytest.fixture(autouse=True)
def node_id(request: pytest.FixtureRequest) -> None:
    """Schemathesis keeps and changes this name of a test, which pytest 9.2 has no more."""
    request.node._nodeid = request.node.nodeid  # noqa: SLF001


@pytest.mark.long
@schema.parametrize()
def test_a_caller_with_a_token_gets_what_is_documented(case: schemathesis.Case[Any], public: Running) -> None:
    case.call_and_validate(base_url=public.url, headers=BEARER, checks=CHECKS)


@strangers.include(path=["/", "/invoke"], method="POST").parametrize()
def test_a_caller_without_a_token_gets_401_whatever_it_sends(
    case: schemathesis.Case[Any], oms: Running, public: Running
) -> None:
    oms.control("DELETE", "/_sim/calls")
    assert case.call_and_validate(base_url=public.url, checks=CHECKS).status_code == 401
    assert oms.control("GET", "/_sim/calls") == []


EVENT = {"ce-specversion": "1.0", "ce-type": "oms.task.failed", "ce-source": "/oms", "ce-id": "1"}
ANSWERS: dict[int, tuple[str, dict[str, str]]] = {
    200: (f'{{"task_id": {TASK}}}', BEARER),
    204: (f'{{"task_id": {TASK}}}', BEARER | EVENT),
    400: ("{", BEARER),
    401: (f'{{"task_id": {TASK}}}', {}),
    404: ('{"task_id": 999999999999999}', BEARER),
    409: ('{"task_id": 191297407830881}', BEARER),
    413: (" " * 600_000, BEARER),
    415: (f"task_id={TASK}", BEARER | {"Content-Type": "text/plain"}),
    422: ('{"task_name": "twin-twin-21261028093012012_112"}', BEARER),
    431: (f'{{"task_id": {TASK}}}', BEARER | {f"X-{number}": "1" for number in range(100)}),
    503: ('{"task_id": 191297407830877}', BEARER),
}


@pytest.mark.parametrize("status", ANSWERS)
def test_each_documented_status_can_be_had(status: int, public: Running, document: Any) -> None:
    body, headers = ANSWERS[status]
    reply = httpx.post(public.url, content=body.encode(), headers={"Content-Type": "application/json"} | headers)
    assert reply.status_code == status
    document["/"]["POST"].Case(media_type="application/json").validate_response(reply, checks=CHECKS)


def test_no_other_status_is_documented(document: Any) -> None:
    assert {int(status) for status in document["/"]["POST"].definition.raw["responses"]} == set(ANSWERS)
