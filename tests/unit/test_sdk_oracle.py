"""The official SDK as the oracle: what it sends to a listening socket, and what we would send, are the same."""

import re
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkoms.v2 import (
    CheckPrefixReq,
    CheckPrefixRequest,
    ListTasksRequest,
    OmsClient,
    RetryTaskGroupReq,
    RetryTaskGroupRequest,
    ShowBucketRegionReq,
    ShowBucketRegionRequest,
    ShowTaskGroupRequest,
    ShowTaskRequest,
    StartTaskReq,
    StartTaskRequest,
)
from pydantic import SecretStr

from example import PROJECT, TASK, settings
from restarter.http.call import Call
from restarter.model.delivery import AccessKey
from restarter.model.task import Start
from restarter.oms import buckets, start_task, task_groups, tasks
from restarter.oms.buckets import Bucket
from restarter.oms.signing import sign
from restarter.settings.model import StorageCredentials

GROUP = "8a1f6f0e-3c0b-4f55-9f0e-2b6a4f1c7d11"
AK, SK = "AKEXAMPLE0000000001", "SKEXAMPLE00000000000000000000000000000001"


class Seen(BaseHTTPRequestHandler):
    """Keeps what was sent to it, byte by byte."""

    requests: list[tuple[str, str, dict[str, str], bytes]]

    def _keep(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.requests.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    do_GET = do_POST = do_PUT = _keep  # noqa: N815  # names that http.server asks for

    def log_message(self, *_arguments: Any) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[HTTPServer]:
    Seen.requests = []
    with HTTPServer(("127.0.0.1", 0), Seen) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def client(server: HTTPServer, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> OmsClient:
    monkeypatch.setenv("HOME", str(tmp_path))  # the SDK leaves a file there
    credentials = BasicCredentials(AK, SK, PROJECT)
    return OmsClient.new_builder().with_credentials(credentials).with_endpoints([_origin(server)]).build()


def _origin(server: HTTPServer) -> str:
    return f"http://127.0.0.1:{server.server_port}"


def _start(server: HTTPServer, start: Start, credentials: StorageCredentials) -> Call:
    return start_task.build(_origin(server), PROJECT, start, start_task.start_body(start, credentials))


def _retry(server: HTTPServer, start: Start, credentials: StorageCredentials) -> Call:
    return task_groups.build_retry(_origin(server), PROJECT, start, task_groups.retry_body(start, credentials))


def assert_same(ours: Call) -> None:
    """Method, path, query, body; and the signature, given the same headers and the same clock."""
    ((method, path, headers, body),) = Seen.requests
    assert (ours.method, ours.url.removeprefix(ours.origin)) == (method, path)
    assert ours.headers["X-Project-Id"] == headers["x-project-id"]
    assert ours.headers["Content-Type"].lower() == headers["content-type"].lower()
    assert ours.content == body
    names = re.findall(r"SignedHeaders=([^,]+)", headers["authorization"])[0].split(";")
    signed = {name: headers[name] for name in names if name not in ("host", "x-sdk-date")}
    now = datetime.strptime(headers["x-sdk-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    same_call = Call(ours.method, ours.origin, ours.path, ours.query, signed, ours.content)
    assert sign(same_call, AccessKey(SecretStr(AK), SecretStr(SK)), now)["Authorization"] == headers["authorization"]


def test_a_start_with_source_keys(server: HTTPServer, client: OmsClient) -> None:
    body = StartTaskReq(src_ak="src_ak", src_sk="src_sk", dst_ak="dst_ak", dst_sk="dst_sk", migrate_failed_object=False)
    client.start_task(StartTaskRequest(task_id=TASK, body=body))
    start = Start(str(TASK), migrate_failed_object=False)
    assert_same(_start(server, start, settings().profiles()["default"]))


def test_a_start_of_a_url_list_with_destination_keys_only(server: HTTPServer, client: OmsClient) -> None:
    body = StartTaskReq(dst_ak="dst_ak", dst_sk="dst_sk", migrate_failed_object=True)
    client.start_task(StartTaskRequest(task_id=TASK, body=body))
    start = Start(str(TASK), migrate_failed_object=True, source_keys=False)
    assert_same(_start(server, start, settings().profiles()["default"]))


def test_a_start_with_every_field_of_the_sdk(server: HTTPServer, client: OmsClient) -> None:
    values = {name: f"AccountName={name}-é" if "string" in name else name for name in StartTaskReq.attribute_map}
    values |= dict.fromkeys(["src_crypto_type", "dst_crypto_type", "source_cdn_crypto_type"], "KMS")
    values |= dict.fromkeys(["src_kms_key_id", "dst_kms_key_id", "source_cdn_kms_key_id"], "k" * 36)
    values |= {"json_auth_file": "{}"}
    client.start_task(StartTaskRequest(task_id=TASK, body=StartTaskReq(**values | {"migrate_failed_object": True})))
    del values["migrate_failed_object"]
    credentials = settings(**{f"oms_{name}": value for name, value in values.items()}).profiles()["default"]
    start = Start(str(TASK), migrate_failed_object=True)
    assert_same(_start(server, start, credentials))


def test_a_look_at_a_task(server: HTTPServer, client: OmsClient) -> None:
    client.show_task(ShowTaskRequest(task_id=str(TASK)))
    assert_same(tasks.show(_origin(server), PROJECT, str(TASK)))


@pytest.mark.parametrize("name", ["photos-photos-20261027211637786_544", "a b+c/d&e=f%é~"])
def test_a_search_by_name(name: str, server: HTTPServer, client: OmsClient) -> None:
    client.list_tasks(ListTasksRequest(limit=50, offset=0, task_name=name))
    assert_same(tasks.list_named(_origin(server), PROJECT, name, 0))


def test_a_look_at_a_task_group(server: HTTPServer, client: OmsClient) -> None:
    client.show_task_group(ShowTaskGroupRequest(group_id=GROUP))
    assert_same(task_groups.show(_origin(server), PROJECT, GROUP))


def test_a_retry_of_a_task_group_with_source_keys(server: HTTPServer, client: OmsClient) -> None:
    keys = {"src_ak": "src_ak", "src_sk": "src_sk", "dst_ak": "dst_ak", "dst_sk": "dst_sk"}
    body = RetryTaskGroupReq(**keys, migrate_failed_object=True)
    client.retry_task_group(RetryTaskGroupRequest(group_id=GROUP, body=body))
    retry = Start(GROUP, migrate_failed_object=True, of_group=True)
    assert_same(_retry(server, retry, settings().profiles()["default"]))


def test_a_retry_of_a_url_list_with_destination_keys_only(server: HTTPServer, client: OmsClient) -> None:
    body = RetryTaskGroupReq(dst_ak="dst_ak", dst_sk="dst_sk", migrate_failed_object=False)
    client.retry_task_group(RetryTaskGroupRequest(group_id=GROUP, body=body))
    retry = Start(GROUP, migrate_failed_object=False, source_keys=False, of_group=True)
    assert_same(_retry(server, retry, settings().profiles()["default"]))


def test_a_retry_with_every_field_of_the_sdk_and_no_security_token(server: HTTPServer, client: OmsClient) -> None:
    """Its 14 fields are StartTaskReq's without the two security tokens, which stay here though they are set."""
    names = [name for name in RetryTaskGroupReq.attribute_map if name != "migrate_failed_object"]
    assert len(names) == 13
    assert set(StartTaskReq.attribute_map) - set(names) == {
        "src_security_token",
        "dst_security_token",
        "migrate_failed_object",
    }
    values = {name: f"AccountName={name}-é" if "string" in name else name for name in names}
    values |= dict.fromkeys(["src_crypto_type", "dst_crypto_type", "source_cdn_crypto_type"], "KMS")
    values |= dict.fromkeys(["src_kms_key_id", "dst_kms_key_id", "source_cdn_kms_key_id"], "k" * 36)
    values |= {"json_auth_file": "{}"}
    body = RetryTaskGroupReq(**values, migrate_failed_object=True)
    client.retry_task_group(RetryTaskGroupRequest(group_id=GROUP, body=body))
    values |= {"src_security_token": "st", "dst_security_token": "dt"}
    credentials = settings(**{f"oms_{name}": value for name, value in values.items()}).profiles()["default"]
    retry = Start(GROUP, migrate_failed_object=True, of_group=True)
    assert_same(_retry(server, retry, credentials))


def test_the_region_of_a_bucket_with_every_field_of_the_sdk(server: HTTPServer, client: OmsClient) -> None:
    """It has no field for a security token."""
    keys = {"ak": "a", "sk": "s-é", "json_auth_file": "{}", "connection_string": "AccountName=a"}
    body = ShowBucketRegionReq(cloud_type="Tencent", **keys, app_id="1", bucket_name="photos")
    client.show_bucket_region(ShowBucketRegionRequest(body=body))
    bucket = Bucket("photos", "Tencent", "eu", "", is_source=True, app_id="1")
    assert_same(buckets.show_region(_origin(server), PROJECT, bucket, keys | {"security_token": "t"}))


def test_a_prefix_with_every_field_of_the_sdk(server: HTTPServer, client: OmsClient) -> None:
    keys = {"ak": "a", "sk": "s-é", "json_auth_file": "{}", "connection_string": "AccountName=a"}
    place = {"bucket_name": "photos", "file_name": "2/", "data_center": "eu", "security_token": "t"}
    body = CheckPrefixReq(cloud_type="Tencent", **keys, app_id="1", **place)
    client.check_prefix(CheckPrefixRequest(body=body))
    bucket = Bucket("photos", "Tencent", "eu", "2/", is_source=True, app_id="1")
    assert_same(buckets.check_prefix(_origin(server), PROJECT, bucket, keys | {"security_token": "t"}))


def test_a_prefix_with_the_keys_of_a_destination_only(server: HTTPServer, client: OmsClient) -> None:
    body = CheckPrefixReq(
        cloud_type="HuaweiCloud", ak="dst_ak", sk="dst_sk", bucket_name="b", file_name="", data_center="cn-north-4"
    )
    client.check_prefix(CheckPrefixRequest(body=body))
    (bucket,) = buckets.buckets_of({"dst_node": {"bucket": "b", "region": "cn-north-4"}, "task_type": "url_list"})
    keys = buckets.keys_for(bucket, settings().profiles()["default"])
    assert_same(buckets.check_prefix(_origin(server), PROJECT, bucket, keys))
