"""The official SDK drives the simulator through the life of a task and of a task group, over loopback."""

from collections.abc import Iterator
from typing import Any

import pytest
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException
from huaweicloudsdkoms import v2

from simulator import Simulator
from simulator_calls import PROJECT, ask

# The official SDK has no types.
SDK: Any = v2
KEYS = {"src_ak": "a", "src_sk": "b", "dst_ak": "c", "dst_sk": "d"}


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Simulator, str]]:
    sim = Simulator({})
    with sim.serving() as url:
        yield sim, url


@pytest.fixture
def sim(served: tuple[Simulator, str]) -> Simulator:
    served[0].reset()
    return served[0]


@pytest.fixture
def client(served: tuple[Simulator, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Any:
    """The SDK keeps a file in the home folder; here it is a folder of the test."""
    monkeypatch.setenv("HOME", str(tmp_path))
    credentials: Any = BasicCredentials("AKEXAMPLE0000000001", "SKEXAMPLE00000000000000000000000000000001", PROJECT)
    return SDK.OmsClient.new_builder().with_credentials(credentials).with_endpoint(served[1]).build()


def source() -> Any:
    return SDK.SrcNodeReq(cloud_type="AWS", region="eu-central-1", ak="a", sk="b", bucket="photos", object_key=[""])


def test_a_task_that_the_sdk_makes_with_a_topic_tells_of_its_failure(sim: Simulator, client: Any) -> None:
    """As on the page for Huawei Cloud: a list that is not there, and a topic that is open for OMS."""
    urn = f"urn:smn:cn-north-4:{PROJECT}:oms-failed"
    sim.set_smn({"topics": [{"topic_urn": urn, "publishers": ["oms"]}]})
    listed = SDK.ListFile(list_file_key="not-there.txt", obs_bucket="backup")
    body = SDK.CreateTaskReq(
        task_type="list",
        src_node=SDK.SrcNodeReq(cloud_type="HuaweiCloud", region="cn-north-4", ak="a", sk="b", list_file=listed),
        dst_node=SDK.DstNodeReq(ak="c", sk="d", bucket="backup", region="cn-north-4"),
        smn_config=SDK.SmnConfig(topic_urn=urn, trigger_conditions=["FAILURE"], language="en-us"),
    )
    created = client.create_task(SDK.CreateTaskRequest(body=body))
    sim.fail({"task_id": created.id, "error_code": "TRF.0013"})
    shown = client.show_task(SDK.ShowTaskRequest(task_id=created.id))
    assert (shown.status, shown.error_reason.error_code, shown.smn_info.notify_result) == (4, "TRF.0013", True)
    (notice,) = sim.notices()
    assert created.task_name in notice["event"]["record"][0]["smn"]["message"]


def code_of(error: pytest.ExceptionInfo[Any]) -> tuple[int, str]:
    return error.value.status_code, error.value.error_code


def test_a_task_is_created_listed_shown_stopped_started_and_deleted(sim: Simulator, client: Any) -> None:
    destination = SDK.DstNodeReq(ak="c", sk="d", bucket="backup", region="cn-north-4")
    body = SDK.CreateTaskReq(task_type="prefix", src_node=source(), dst_node=destination, enable_restore=True)
    created = client.create_task(SDK.CreateTaskRequest(body=body))
    assert created.task_name.startswith("photos-backup-")

    (row,) = client.list_tasks(SDK.ListTasksRequest(status="2", task_name="photos-backup", limit="5")).tasks
    shown = client.show_task(SDK.ShowTaskRequest(task_id=created.id))
    assert (row.id, row.name, shown.status, shown.task_type) == (created.id, created.task_name, 2, "prefix")
    assert (shown.enable_restore, shown.src_node.bucket, shown.dst_node.bucket) == (True, "photos", "backup")

    start = SDK.StartTaskRequest(task_id=created.id, body=SDK.StartTaskReq(**KEYS))
    with pytest.raises(ClientRequestException) as running:
        client.start_task(start)
    with pytest.raises(ClientRequestException) as in_progress:
        client.delete_task(SDK.DeleteTaskRequest(task_id=created.id))
    assert (code_of(running), code_of(in_progress)) == ((400, "OMS.0065"), (400, "OMS.0063"))

    client.stop_task(SDK.StopTaskRequest(task_id=created.id))
    assert client.show_task(SDK.ShowTaskRequest(task_id=created.id)).status == 7
    sim.set_clock({"forward": 1})
    assert client.show_task(SDK.ShowTaskRequest(task_id=created.id)).status == 3
    client.start_task(start)
    assert (sim.task(created.id)["status"], sim.starts(created.id)) == (2, 1)

    client.stop_task(SDK.StopTaskRequest(task_id=created.id))
    sim.set_clock({"forward": 1})
    client.delete_task(SDK.DeleteTaskRequest(task_id=created.id))
    assert client.list_tasks(SDK.ListTasksRequest()).count == 0


def test_a_group_is_created_listed_shown_stopped_started_retried_and_deleted(sim: Simulator, client: Any) -> None:
    ends: dict[str, Any] = {
        "src_node": SDK.TaskGroupSrcNode(ak="a", sk="b", region="x", bucket="photos", cloud_type="AWS"),
        "dst_node": SDK.TaskGroupDstNode(ak="c", sk="d", region="cn-north-4", bucket="backup"),
    }
    body = SDK.CreateTaskGroupReq(task_type="PREFIX", **ends)
    group_id = client.create_task_group(SDK.CreateTaskGroupRequest(body=body)).group_id

    def status() -> int:
        found: int = client.show_task_group(SDK.ShowTaskGroupRequest(group_id=group_id)).status
        return found

    listed = client.list_task_group(SDK.ListTaskGroupRequest(limit=5, offset=0, status=2))
    assert [(group.group_id, group.executing_task_num) for group in listed.taskgroups] == [(group_id, 1)]
    client.stop_task_group(SDK.StopTaskGroupRequest(group_id=group_id))
    assert status() == 7
    sim.set_clock({"forward": 1})
    assert status() == 3
    start = SDK.StartTaskGroupReq(**KEYS)
    client.start_task_group(SDK.StartTaskGroupRequest(group_id=group_id, body=start))
    assert status() == 2

    retry = SDK.RetryTaskGroupRequest(
        group_id=group_id, body=SDK.RetryTaskGroupReq(**KEYS, migrate_failed_object=False)
    )
    with pytest.raises(ClientRequestException) as not_failed:
        client.retry_task_group(retry)
    assert code_of(not_failed) == (400, "OMS.1040")
    sim.set_groups([{"group_id": group_id, "status": 5}])
    client.retry_task_group(retry)
    assert (status(), sim.group(group_id)["retries"]) == (2, 1)

    sim.set_groups([{"group_id": group_id, "status": 6}])
    client.delete_task_group(SDK.DeleteTaskGroupRequest(group_id=group_id))
    with pytest.raises(ClientRequestException) as gone:
        client.show_task_group(SDK.ShowTaskGroupRequest(group_id=group_id))
    assert code_of(gone) == (404, "OMS.1009")
    assert "unknown" not in {call["operation"] for call in sim.calls()}


def test_storage_keys_open_a_bucket_of_a_task_or_do_not(sim: Simulator, client: Any) -> None:
    sim.set_tasks([{"id": 7, "status": 4, "src_node": {"bucket": "photos", "region": "eu-central-1"}}])
    sim.set_auth({"storage_keys": {"a": "b"}})

    def region(**changes: Any) -> Any:
        fields = {"cloud_type": "AWS", "ak": "a", "sk": "b", "bucket_name": "photos"} | changes
        return client.show_bucket_region(SDK.ShowBucketRegionRequest(body=SDK.ShowBucketRegionReq(**fields)))

    def prefix(**changes: Any) -> Any:
        place = {"file_name": "2/", "data_center": "eu-central-1"}
        fields = {"cloud_type": "AWS", "ak": "a", "sk": "b", "bucket_name": "photos"} | place | changes
        return client.check_prefix(SDK.CheckPrefixRequest(body=SDK.CheckPrefixReq(**fields)))

    assert (region().id, region().support, prefix().exist) == ("eu-central-1", True, True)
    for call, changes, code in (
        (region, {"sk": "x"}, "OMS.0155"),
        (prefix, {"sk": "x"}, "OMS.1014"),
        (prefix, {"bucket_name": "elsewhere"}, "OMS.1014"),
        (prefix, {"file_name": None}, "OMS.1004"),
        (prefix, {"file_name": 2}, "OMS.0064"),
    ):
        with pytest.raises(ClientRequestException) as no:
            call(**changes)
        assert code_of(no) == (400, code)
    for body, code in (("[", "OMS.0067"), ('{"key": ""}', "OMS.0074")):
        path = f"/v2/{PROJECT}/objectstorage/buckets/prefix"
        assert ask(sim, "POST", path, content=body).json()["error_code"] == code
