"""The schemas of events/ say what the function takes and gives, neither more nor less."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from functions_framework.aio import create_asgi_app
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import schemas
from example import TASK
from example import settings as example_settings
from function_client import Function
from restarter.model.delivery import DeliveryContext
from restarter.model.outcome import Kind, Outcome, Reason, SweepCounts
from restarter.model.request import DirectRequest, Event, Intent, RestartRequest
from restarter.model.task import Counters
from restarter.reporting.receipt import build

README = (Path(__file__).parents[2] / "function" / "README.md").read_text("utf-8")
REQUEST = json.loads((schemas.SCHEMAS / "restart_request.schema.json").read_text("utf-8"))
OPENAPI = json.loads((schemas.SCHEMAS / "openapi.json").read_text("utf-8"))
RECEIPT = OPENAPI["components"]["schemas"]["Receipt"]
request_schema = jsonschema_rs.Draft202012Validator(REQUEST)


def model_takes(document: Any) -> bool:
    try:
        DirectRequest.model_validate(document)
    except ValidationError:
        return False
    return True


def test_the_files_are_current() -> None:
    assert schemas.main(["--check"]) == 0


def test_a_stale_file_is_told_and_written_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schemas, "SCHEMAS", tmp_path / "schemas")
    assert schemas.main(["--check"]) == 1
    assert not (tmp_path / "schemas").exists()
    assert schemas.main([]) == 0
    assert schemas.main(["--check"]) == 0
    (tmp_path / "schemas" / "openapi.json").write_text("{}")
    assert schemas.main(["--check"]) == 1


def test_both_documents_are_valid_by_their_own_standard() -> None:
    jsonschema_rs.meta.validate(REQUEST)
    schemathesis.openapi.from_dict(OPENAPI).validate()


@pytest.mark.parametrize(
    ("document", "fits"),
    [
        ({"task_id": TASK}, True),
        ({"task_id": str(TASK)}, True),
        ({"task_id": 0}, True),
        ({"task_id": "000000000000001"}, True),
        ({"task_name": "a"}, True),
        ({"task_id": 1, "task_name": None}, True),
        ({"task_id": None, "task_name": "a"}, True),
        ({"task_id": 1, "project_id": "p", "task_status": "", "credentials": "archive-2", "reason": ""}, True),
        ({"task_id": 1, "migrate_failed_object": False}, True),
        ({}, False),
        ({"task_id": None, "task_name": None}, False),
        ({"task_id": 1, "task_name": "a"}, False),
        ({"task_id": True}, False),
        ({"task_id": -1}, False),
        ({"task_id": 1.5}, False),
        ({"task_id": 10**15}, False),
        ({"task_id": ""}, False),
        ({"task_id": "1" * 16}, False),
        ({"task_id": "1\n"}, False),
        ({"task_id": "١"}, False),  # a digit, and not of ASCII
        ({"task_id": [1]}, False),
        ({"task_name": ""}, False),
        ({"task_name": "é" * 1024}, True),
        ({"task_name": "a" * 1025}, False),
        ({"task_name": 1}, False),
        ({"task_id": 1, "project_id": ""}, False),
        ({"task_id": 1, "task_status": 5}, False),
        ({"task_id": 1, "task_status": "a" * 257}, False),
        ({"task_id": 1, "migrate_failed_object": "true"}, False),
        ({"task_id": 1, "migrate_failed_object": 1}, False),
        ({"task_id": 1, "credentials": None}, False),
        ({"task_id": 1, "credentials": "Archive"}, False),
        ({"task_id": 1, "credentials": "a\n"}, False),
        ({"task_id": 1, "credentials": "a" * 64}, False),
        ({"task_id": 1, "reason": "a" * 257}, False),
        ({"task_id": 1, "endpoint": "https://elsewhere.example"}, False),
        ({"group_id": "oms-group_1"}, True),
        ({"group_id": "a" * 255}, True),
        ({"group_id": "a" * 256}, False),
        ({"group_id": ""}, False),
        ({"group_id": "../1"}, False),
        ({"group_id": 1}, False),
        ({"group_id": "a", "task_id": 1}, False),
        ({"sweep": True}, True),
        ({"sweep": True, "project_id": "p", "credentials": "archive", "reason": "tick"}, True),
        ({"sweep": True, "task_status": None, "task_id": None, "id": None}, True),
        ({"sweep": True, "task_status": "FAILED"}, False),
        ({"sweep": True, "migrate_failed_object": True}, False),
        ({"sweep": True, "intent": "failed"}, False),
        ({"sweep": True, "id": "tick-1"}, False),
        ({"sweep": True, "task_id": 1}, False),
        ({"sweep": False}, False),
        ({"sweep": None}, False),
        ({"sweep": 1}, False),
        ({"sweep": "true"}, False),
        ({"task_id": 1, "intent": "failed", "id": "1"}, True),
        ({"task_id": 1, "intent": "requested"}, True),
        ({"task_id": 1, "intent": None, "id": None}, True),
        ({"task_id": 1, "intent": "FAILED"}, False),
        ({"task_id": 1, "intent": ""}, False),
        ({"task_id": 1, "intent": True}, False),
        ({"task_id": 1, "id": "é" * 1024}, True),
        ({"task_id": 1, "id": "é" * 1025}, False),
        ({"task_id": 1, "id": ""}, False),
        ({"task_id": 1, "id": 1}, False),
        ({"task_id": 1, "id": "a\nb"}, False),
        ([], False),
        (None, False),
        ("task_id", False),
    ],
)
def test_the_schema_takes_and_refuses_what_the_model_does(document: Any, fits: bool) -> None:  # noqa: FBT001
    assert model_takes(document) is fits
    assert request_schema.is_valid(document) is fits


texts = st.text(max_size=5) | st.sampled_from(["", "1", "default", "a" * 256, "a" * 257, "a" * 1024, "a" * 1025])
ids = st.integers() | st.integers(0, 10**15) | st.from_regex(r"^[0-9]{1,16}$")
names = st.from_regex(r"^[a-z0-9_-]{1,4}$")
values = st.none() | st.booleans() | texts | ids | names | st.lists(st.integers(), max_size=1)
documents = st.dictionaries(st.sampled_from([*DirectRequest.model_fields, "region"]), values, max_size=4)


@pytest.mark.usefixtures("unmeasured")
@given(documents | documents.map(lambda document: {"task_id": 1, **document}))
@example({"task_id": "1", "credentials": "-a"})
@settings(max_examples=500)
def test_so_they_do_with_any_document(document: dict[str, Any]) -> None:
    """But for 1.0, which is an integer to JSON Schema, and none of ours: of a number's digits nothing may get lost."""
    assert request_schema.is_valid(document) is model_takes(document)


def full_receipt() -> dict[str, Any]:
    """Of a request about which everything is known."""
    everything: dict[str, Any] = dict.fromkeys(Outcome._fields, "1")
    everything |= {
        "kind": Kind.REJECTED,
        "reason": Reason.REFUSED_BY_OMS,
        "opens_at": datetime.now(UTC),
        "fault": None,
        "repeated": False,
        "counts": SweepCounts(),
        "progress": Counters(1, 1, 1),
    }
    request = RestartRequest(task_name="a", reason="nightly run")
    event = Event(request=request, dialect="cloudevent", intent=Intent.FAILED, project_id="p", event_id="1")
    now = datetime.now(UTC)
    event = event._replace(occurred_at=now)
    context = DeliveryContext(now, 0.0, 1.0)
    known = example_settings(oms_projects={"p": "cn-north-1"})
    return build(Outcome(**everything), event, context, known, "4bf92f3577b34da6a3ce929d0e0e4736")


def written_receipts() -> list[dict[str, Any]]:
    """Of an event that is refused before OMS is asked, and of a context that never became a request."""
    function = Function(create_asgi_app("restart", "function/main.py", "http"))
    event = {"specversion": "1.0", "type": "oms.task.failed", "source": "/oms", "id": "1", "data": {"task_id": 1}}
    content = json.dumps(event | {"time": datetime.now(UTC).isoformat()})
    trace = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}
    assert function.post(content=content, headers=trace).status_code == 204
    assert function.request("GET").status_code == 405
    return function.receipts()


def test_a_receipt_has_the_documented_fields_and_no_others(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("RESTART_ENABLED", "false")
    written = written_receipts()
    assert {name for receipt in (full_receipt(), *written) for name in receipt} == set(RECEIPT["properties"])
    for receipt in written:
        jsonschema_rs.validate(RECEIPT, receipt)


def test_the_receipt_that_readme_shows_is_one() -> None:
    (shown,) = re.findall(r"^A receipt:\n\n```json\n(.*?)```", README, re.DOTALL | re.MULTILINE)
    jsonschema_rs.validate(RECEIPT, json.loads(shown))


def test_every_outcome_is_documented_and_stands_under_some_status() -> None:
    responses = OPENAPI["components"]["responses"].values()
    bodies = [content["schema"]["allOf"] for response in responses for content in response.get("content", {}).values()]
    assert RECEIPT["properties"]["outcome"]["enum"] == list(Kind)
    assert {kind for _, narrow in bodies for kind in narrow["properties"]["outcome"]["enum"]} == set(Kind)
