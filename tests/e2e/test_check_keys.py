"""`check --keys` against the simulator, over a real socket: which keys open which bucket, and nothing is started."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from click.testing import CliRunner

from example import ENVIRONMENT as EXAMPLE
from processes import Running, simulator
from restarter.cli.check_keys import SENT
from restarter.cli.command import cli

TASK = {"id": 7, "status": 4, "src_node": {"bucket": "photos", "cloud_type": "AWS", "object_key": ["2/"]}}
OTHER = {
    "OMS_PROFILES__OTHER__SRC_AK": "AK-OF-OTHER",
    "OMS_PROFILES__OTHER__SRC_SK": "SK-OF-OTHER",
    "OMS_PROFILES__OTHER__DST_AK": EXAMPLE["OMS_DST_AK"],
    "OMS_PROFILES__OTHER__DST_SK": EXAMPLE["OMS_DST_SK"],
}
GOOD = {EXAMPLE[f"OMS_{side}_AK"]: EXAMPLE[f"OMS_{side}_SK"] for side in ("SRC", "DST")}
CALLS = ("show_bucket_region", "check_prefix")


@pytest.fixture(scope="module")
def started() -> Iterator[Running]:
    with simulator() as oms:
        yield oms


@pytest.fixture
def oms(started: Running) -> Running:
    started.control("POST", "/_sim/reset")
    started.control("PUT", "/_sim/tasks", [TASK])
    return started


Check = Callable[..., tuple[int, list[str]]]


@pytest.fixture
def check(oms: Running, environment: pytest.MonkeyPatch) -> Check:
    def run(task_id: str, **changes: str) -> tuple[int, list[str]]:
        """The exit status, and the findings about storage keys."""
        for name, value in ({"OMS_ENDPOINT": oms.url} | changes).items():
            environment.setenv(name, value)
        result = CliRunner().invoke(cli, ["check", "--keys", task_id])
        assert not [key for key in (*OTHER.values(), *GOOD.values()) if len(key) > 6 and key in result.output]
        return result.exit_code, [line for line in result.output.splitlines() if "storage keys:" in line]

    return run


def test_keys_that_open_both_buckets(check: Check, oms: Running) -> None:
    oms.control("PUT", "/_sim/auth", {"storage_keys": GOOD})
    status, lines = check("7")
    assert lines == [
        f"ok     storage keys: {SENT.format(task_id=7)}",
        "ok     storage keys: profile default, source bucket photos: opened",
        "ok     storage keys: profile default, destination bucket photos: opened",
    ]
    assert status == 0
    calls: list[dict[str, Any]] = oms.control("GET", "/_sim/calls")
    made = [(call["operation"], call["body"]["cloud_type"]) for call in calls if call["operation"] in CALLS]
    assert made == [(one, cloud) for cloud in ("AWS", "HuaweiCloud") for one in CALLS]
    assert not [call for call in calls if call["operation"] in ("start", "stop", "create")]


def test_the_profile_and_the_bucket_that_are_refused_are_named(check: Check, oms: Running) -> None:
    oms.control("PUT", "/_sim/auth", {"storage_keys": GOOD})
    status, lines = check("7", **OTHER)
    (refused,) = [line for line in lines if line.startswith("FAILED")]
    assert refused == (
        "FAILED storage keys: profile other, source bucket photos: refused, ShowBucketRegion answers OMS.0155. To do: "
        "correct OMS_PROFILES__OTHER__SRC_AK, OMS_PROFILES__OTHER__SRC_SK, or give that key the right to list this "
        "bucket"
    )
    assert (status, len(lines)) == (1, 5)


def test_a_temporary_key_is_tried_with_the_request_that_takes_its_token(check: Check, oms: Running) -> None:
    oms.control("PUT", "/_sim/auth", {"storage_keys": {"other": "keys"}})
    status, lines = check("7", OMS_SRC_SECURITY_TOKEN="token")
    assert (status, [line.split(": ")[2].split(".")[0] for line in lines[1:]]) == (
        1,
        ["refused, CheckPrefix answers OMS", "refused, ShowBucketRegion answers OMS"],
    )
    assert "correct OMS_SRC_AK, OMS_SRC_SK, OMS_SRC_SECURITY_TOKEN, or" in lines[1]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"OMS_SRC_AK": "", "OMS_SRC_SK": ""}, "not asked, the profile has no keys for it"),
        ({"OMS_SRC_CRYPTO_TYPE": "DEFAULT"}, "not asked, the requests take no encrypted keys"),
    ],
)
def test_keys_that_cannot_be_tried_are_named(changes: dict[str, str], said: str, check: Check, oms: Running) -> None:
    status, lines = check("7", **changes)
    assert (status, lines[1]) == (0, f"ok     storage keys: profile default, source bucket photos: {said}")


def test_a_url_list_has_one_bucket(check: Check, oms: Running) -> None:
    oms.control("PUT", "/_sim/tasks", [TASK | {"task_type": "url_list"}])
    status, lines = check("7")
    assert (status, lines[1:]) == (0, ["ok     storage keys: profile default, destination bucket photos: opened"])


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"operation": "show", "action": {"answer": "forbidden"}}, "task 7 in project"),
        ({"operation": "check_prefix", "action": {"answer": "unavailable"}}, "bucket photos, CheckPrefix: OMS.2004"),
        ({"operation": "show_bucket_region", "action": {"answer": "forbidden"}}, "ShowBucketRegion: OMS.0206"),
        ({"operation": "check_prefix", "action": {"answer": "bad_gateway"}}, "CheckPrefix: oms_error"),
        ({"operation": "check_prefix", "action": {"reset_before": "fin"}}, "CheckPrefix: connection_lost"),
    ],
)
def test_what_failed_for_another_reason_is_no_refusal(
    rule: dict[str, Any], said: str, check: Check, oms: Running
) -> None:
    oms.control("PUT", "/_sim/rules", [rule])
    status, lines = check("7")
    assert status == 1
    assert said in next(line for line in lines if line.startswith("FAILED"))
    assert "refused" not in lines[1]


def test_a_task_that_is_nowhere_is_said(check: Check, oms: Running) -> None:
    projects = json.dumps({"0" * 32: "cn-north-4"})
    status, lines = check("8", OMS_PROJECTS=projects)
    assert status == 1
    assert lines[1].startswith("FAILED storage keys: task 8: not found. To do: give the id")


def test_no_id_is_wrong_usage(check: Check, oms: Running) -> None:
    assert check("../8")[0] == 2
