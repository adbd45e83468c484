"""Example settings of the demo, the playground and the tests. The keys open nothing but the simulator."""

PROJECT = "2c0689c860ad4728a497ffffc0844383"
# A failed task of the simulator's world, which can be started.
TASK = 191297407830872
TASK_NAME = "photos-photos-20261027211637786_544"
BEARER = "example-caller-token-0001"

EXAMPLE = {
    "OMS_REGION": "cn-north-4",
    "OMS_PROJECT_ID": PROJECT,
    "HUAWEICLOUD_SDK_AK": "AKEXAMPLE0000000001",
    "HUAWEICLOUD_SDK_SK": "SKEXAMPLE00000000000000000000000000000001",
    "OMS_SRC_AK": "src_ak",
    "OMS_SRC_SK": "src_sk",
    "OMS_DST_AK": "dst_ak",
    "OMS_DST_SK": "dst_sk",
    "CALLER_BEARER_TOKENS": BEARER,
}

# For a function that lives on while the simulator's world is reset, so that a task can be tried again and again.
REPEATABLE = {
    "OMS_PROJECTS": '{"00000000000000000000000000000001": "cn-north-1"}',
    "RESTART_BUDGET": "1000/24h",
    "RESTART_BACKOFF": "0",
}
