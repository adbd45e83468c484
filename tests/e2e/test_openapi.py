"""The function does what its OpenAPI document says, whatever is sent to it: requests that fit it and that do not."""

from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import settings
from schemathesis import checks
from schemathesis.config import SchemathesisConfig

from example import TASK
from processes import EXAMPLE, Running

pytestmark = pytest.mark.usefixtures("unmeasured")
DOCUMENT = Path(__file__).parents[2] / "events" / "schemas" / "openapi.json"
BEARER = {"Authorization": f"Bearer {EXAMPLE['CALLER_BEARER_TOKENS']}"}
CONFIG = SchemathesisConfig.from_dict(
    {
        "seed": 21261124,
        "generation": {"max-examples": 60, "with-security-parameters": False, "database": "none"},
        "phases": {"coverage": {"unexpected-methods": []}},  # a POST to any path is a delivery
    }
)
CHECKS = [
    checks.status_code_conformance,  # of 5xx only 503 is documented
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
schema = schemathesis.openapi.from_path(DOCUMENT, config=CONFIG)


@schema.parametrize()
def test_a_caller_with_a_token_gets_what_is_documented(case: schemathesis.Case[Any], public: Running) -> None:
    case.call_and_validate(base_url=public.url, headers=BEARER, checks=CHECKS)


@schema.include(path=["/", "/invoke"], method="POST").parametrize()
@settings(max_examples=20)
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
def test_each_documented_status_can_be_had(status: int, public: Running) -> None:
    body, headers = ANSWERS[status]
    reply = httpx.post(public.url, content=body.encode(), headers={"Content-Type": "application/json"} | headers)
    assert reply.status_code == status
    schema["/"]["POST"].Case(media_type="application/json").validate_response(reply, checks=CHECKS)


def test_no_other_status_is_documented() -> None:
    assert {int(status) for status in schema["/"]["POST"].definition.raw["responses"]} == set(ANSWERS)
