"""Settings: all faults at once, by name, never by value; nothing half-configured loads."""

import sys
import traceback
from typing import Any

import pytest
from huaweicloudsdkoms.v2.region.oms_region import OmsRegion

from restarter.settings.errors import SettingsError
from restarter.settings.functiongraph import FunctionGraphSettings
from restarter.settings.model import Settings, load
from restarter.settings.types import REGIONS


def test_the_environment_of_the_example_loads_and_is_frozen() -> None:
    settings = load()
    assert settings.endpoint_of(settings.oms_project_id) == "https://oms.cn-north-4.myhuaweicloud.com"
    with pytest.raises(ValueError, match="frozen"):
        settings.oms_timeout = 1  # type: ignore[misc]


def test_the_regions_are_those_of_the_official_sdk() -> None:
    assert set(REGIONS) == set(OmsRegion.static_fields)
    assert len(REGIONS) == 21


SWEEPING = {"RESTART_SWEEP": "on", "RESTART_LEDGER": "redis://127.0.0.1:9/0"}


def faults(environment: pytest.MonkeyPatch, **changes: str | None) -> list[str]:
    """The faults of the example with changes; None takes a setting away."""
    for name, value in changes.items():
        environment.delenv(name) if value is None else environment.setenv(name, value)
    with pytest.raises(SettingsError) as error:
        load()
    assert str(error.value) == "\n".join(error.value.messages)
    return error.value.messages


def test_every_missing_setting_is_reported_in_one_go(environment: pytest.MonkeyPatch) -> None:
    from example import ENVIRONMENT  # noqa: PLC0415  # all of it goes away here

    assert faults(environment, **dict.fromkeys(ENVIRONMENT)) == [
        "CALLER_BEARER_TOKENS: no authentication method is configured; set this or another CALLER_ setting",
        "HUAWEICLOUD_SDK_AK: required unless OMS_AUTH_TOKEN, IAM_USER or OMS_AGENCY is set",
        "OMS_DST_AK: required, because OMS keeps no keys and each start sends them",
        "OMS_DST_SK: required, because OMS keeps no keys and each start sends them",
        "OMS_PROJECT_ID: required, because every call to OMS names a project",
        "OMS_REGION: required unless OMS_ENDPOINT is set",
    ]


REDIS = "redis://localhost"
IAM = {"IAM_DOMAIN": "d", "IAM_USER": "u", "IAM_PASSWORD": "p"}
BAD: list[tuple[dict[str, str | None], str]] = [
    ({"OMS_REGION": "eu-west-0"}, "OMS_REGION: unknown region; OMS has af-south-1"),
    ({"OMS_ENDPOINT": "http://oms.example.com"}, "OMS_ENDPOINT: must be https (http is for loopback only)"),
    ({"OMS_ENDPOINT": "ftp://127.0.0.1"}, "OMS_ENDPOINT: must be https"),
    ({"OMS_ENDPOINT": "https://u:p@oms.example.com"}, "OMS_ENDPOINT: must be scheme, host and port only"),
    ({"OMS_ENDPOINT": "https://oms.example.com/v2"}, "OMS_ENDPOINT: must be scheme, host and port only"),
    ({"OMS_ENDPOINT": "https://oms.example.com?x"}, "OMS_ENDPOINT: must be scheme, host and port only"),
    ({"OMS_ENDPOINT": "https://"}, "OMS_ENDPOINT: must name a host"),
    ({"OMS_ENDPOINT": "https://a b"}, "OMS_ENDPOINT: must name a host"),
    ({"OMS_ENDPOINT": "https://oms:99999999"}, "OMS_ENDPOINT: is not a URL"),
    ({"OMS_ENDPOINT": "http://127.0.0.1.evil.example"}, "OMS_ENDPOINT: must be https"),
    ({"OMS_PROJECT_ID": "a/b"}, "OMS_PROJECT_ID: a project id has letters, digits, - and _ only, up to 1,024"),
    ({"OMS_PROJECTS": "{"}, "OMS_PROJECTS: must be a JSON object"),
    ({"OMS_PROJECTS": "[]"}, "OMS_PROJECTS: must be a JSON object"),
    ({"OMS_PROJECTS": '{"p": "mars"}'}, "OMS_PROJECTS: unknown region"),
    ({"OMS_PROJECTS": '{"a/b": "cn-north-4"}'}, "OMS_PROJECTS: a project id has letters"),
    ({"HUAWEICLOUD_SDK_SK": None}, "HUAWEICLOUD_SDK_SK: required with HUAWEICLOUD_SDK_AK"),
    ({"HUAWEICLOUD_SDK_AK": None}, "HUAWEICLOUD_SDK_AK: required with HUAWEICLOUD_SDK_SK"),
    ({"HUAWEICLOUD_SDK_SK": "with space"}, "HUAWEICLOUD_SDK_SK: must be printable ASCII without white space"),
    ({"OMS_SRC_SK": None}, "OMS_SRC_SK: required with OMS_SRC_AK"),
    ({"OMS_SRC_AK": None}, "OMS_SRC_AK: required with OMS_SRC_SK"),
    ({"OMS_SRC_AK": None, "OMS_SRC_SK": None, "OMS_SRC_SECURITY_TOKEN": "t"}, "OMS_SRC_AK: required with OMS_SRC_SEC"),
    ({"OMS_SRC_AK": "x" * 101}, "OMS_SRC_AK: may have 100 characters; it has 101"),
    ({"OMS_DST_SK": "line\nbreak"}, "OMS_DST_SK: must be printable ASCII"),
    ({"OMS_DST_SECURITY_TOKEN": "x" * 16385}, "OMS_DST_SECURITY_TOKEN: may have 16384 characters; it has 16385"),
    ({"OMS_CONNECTION_STRING": "x" * 2049}, "OMS_CONNECTION_STRING: may have 2048 characters"),
    ({"OMS_CONNECTION_STRING": " "}, "OMS_CONNECTION_STRING: must be like AccountName=…;AccountKey=…"),
    ({"OMS_CONNECTION_STRING": "no-pairs-in-it"}, "OMS_CONNECTION_STRING: must be like"),
    ({"OMS_CONNECTION_STRING": "AccountKey=x"}, "OMS_CONNECTION_STRING: must be like"),
    ({"OMS_CONNECTION_STRING": "AccountName=x;AccountKey="}, "OMS_CONNECTION_STRING: must be like"),
    ({"OMS_JSON_AUTH_FILE": "[]"}, "OMS_JSON_AUTH_FILE: must be a JSON object"),
    ({"OMS_JSON_AUTH_FILE": "{"}, "OMS_JSON_AUTH_FILE: must be a JSON object"),
    ({"OMS_SOURCE_CDN_AUTHENTICATION_KEY": " "}, "OMS_SOURCE_CDN_AUTHENTICATION_KEY: must not be blank"),
    ({"OMS_PROFILES": "{"}, "SECRETS_DIR, OMS_PROFILES: JSONDecodeError: cannot be read"),
    ({"OMS_PROFILES__AWS__DST_AK": "x"}, "OMS_PROFILES__AWS__DST_SK: required, because OMS keeps no keys"),
    (
        {"OMS_PROFILES__A.B__DST_AK": "x", "OMS_PROFILES__A.B__DST_SK": "x"},
        "OMS_PROFILES__A.B: a profile's name has up to 63",
    ),
    (
        {"OMS_PROFILES__A__DST_AK": "x", "OMS_PROFILES__A__DST_SK": "y", "OMS_PROFILES__A__SRC_AK": "x"},
        "OMS_PROFILES__A__SRC_SK: required with SRC_AK",
    ),
    ({"IAM_USER": "u", "IAM_DOMAIN": "d"}, "IAM_PASSWORD: required with IAM_USER"),
    ({"OMS_REGION": None, "OMS_ENDPOINT": "https://oms.example.com", **IAM}, "IAM_ENDPOINT: required with IAM_USER"),
    ({"IAM_ENDPOINT": "http://iam.example.com", **IAM}, "IAM_ENDPOINT: must be https"),
    ({"OMS_COOLDOWN": "-1"}, "OMS_COOLDOWN: must be at least 0"),
    ({"RESTART_BUDGET": "5"}, "RESTART_BUDGET: must be like 5/24h"),
    ({"RESTART_BUDGET": "0/24h"}, "RESTART_BUDGET: must be like 5/24h"),
    ({"RESTART_SWEEP_AGE": "32d"}, "RESTART_SWEEP_AGE: must be like 3d: a number of s, m, h or d, up to 31d"),
    ({"RESTART_BUDGET": "5/32d"}, "RESTART_BUDGET: must be like 5/24h"),
    (
        {"RESTART_LEDGER": "file:///x"},
        "RESTART_LEDGER: must be memory://, sqlite:///path, gs://, obs://, redis:// or rediss://",
    ),
    ({"RESTART_LEDGER": "redis://localhost:port"}, "RESTART_LEDGER: is not an address of Redis"),
    ({"OMS_JSON_AUTH_FILE": "x" * 65536}, "OMS_JSON_AUTH_FILE: "),
    ({"OMS_SOURCE_CDN_AUTHENTICATION_KEY": "x" * 256}, "OMS_SOURCE_CDN_AUTHENTICATION_KEY: "),
    ({"OMS_SRC_CRYPTO_TYPE": "AES"}, "OMS_SRC_CRYPTO_TYPE: must be 'DEFAULT' or 'KMS'"),
    ({"OMS_SRC_KMS_KEY_ID": "short"}, "OMS_SRC_KMS_KEY_ID: must have 36 printable characters"),
    ({"OMS_MIGRATE_FAILED_OBJECT": "yes"}, "OMS_MIGRATE_FAILED_OBJECT: must be 'auto', 'true' or 'false'"),
    ({"OMS_TIMEOUT": "0"}, "OMS_TIMEOUT: must be more than 0"),
    ({"RESTART_MAX_EVENT_AGE": "1e9"}, "RESTART_MAX_EVENT_AGE: must be at most 2678400"),
    ({"OMS_PROJECTS": '{"project-2": 1}'}, "OMS_PROJECTS: has a value that must be a string"),
    ({"OMS_TIMEOUT": "61"}, "OMS_TIMEOUT: must be at most 60"),
    ({"OMS_TIMEOUT": "nan"}, "OMS_TIMEOUT: must be a finite number"),
    ({"OMS_TIMEOUT": "soon"}, "OMS_TIMEOUT: must be a number"),
    ({"RESTART_HOURS": "20:00-06:00 UTC"}, "RESTART_HOURS: needs RESTART_SWEEP=on, which finds what failed outside"),
    (
        {"RESTART_HOURS": "20:00-06:00 UTC", "RESTART_SWEEP": "off"},
        "RESTART_HOURS: needs RESTART_SWEEP=on, which finds what failed outside",
    ),
    (
        {**SWEEPING, "RESTART_HOURS": "Sat-Sun 00:00-24:00 UTC"},
        "RESTART_SWEEP_AGE: must be an hour longer than the longest time outside RESTART_HOURS",
    ),
    (
        {**SWEEPING, "RESTART_HOURS": "22:00-06:00 UTC", "RESTART_SWEEP_AGE": "16h"},
        "RESTART_SWEEP_AGE: must be an hour longer than the longest time outside RESTART_HOURS",
    ),
    ({"RESTART_HOURS": "20:00-06:00 Asia/Peking"}, "RESTART_HOURS: names a time zone that IANA does not have"),
    ({"RESTART_HOURS": "20:00-06:00"}, "RESTART_HOURS: must end with a time zone of IANA, like Asia/Shanghai"),
    ({"RESTART_MAX_RUNNING": "0"}, "RESTART_MAX_RUNNING: must be at least 1"),
    ({"RESTART_MAX_RUNNING": "10001"}, "RESTART_MAX_RUNNING: must be at most 10000"),
    ({"RESTART_SWEEP_LIMIT": "2.5"}, "RESTART_SWEEP_LIMIT: must be a whole number"),
    ({"RESTART_SWEEP_PREFIX": "x" * 1025}, "RESTART_SWEEP_PREFIX: may have 1024 characters; it has more"),
    ({"IAM_USER": " ", "IAM_DOMAIN": "d", "IAM_PASSWORD": "p"}, "IAM_USER: must not be empty"),
    ({"RESTART_DEADLINE": "1"}, "RESTART_DEADLINE: must be more than 1"),
    ({"CALLER_BEARER_TOKENS": "short"}, "CALLER_BEARER_TOKENS: each token needs 24 characters or more; one has 5"),
    ({"CALLER_BEARER_TOKENS": "long-enough-token-for-a-caller,too-short"}, "CALLER_BEARER_TOKENS: each token needs 24"),
    ({"CALLER_BEARER_TOKENS": " , "}, "CALLER_BEARER_TOKENS: no authentication method"),
    (
        {"CALLER_BEARER_TOKENS": None, "CALLER_TRUST_PLATFORM": "false"},
        "CALLER_BEARER_TOKENS: no authentication method",
    ),
    ({"CALLER_TRUST_PLATFORM": "perhaps"}, "CALLER_TRUST_PLATFORM: must be true or false"),
    ({"CALLER_SMN_DOMAINS": ","}, "CALLER_SMN_DOMAINS: must name at least one"),
    ({"LOG_LEVEL": "LOUD"}, "LOG_LEVEL: must be 'DEBUG'"),
]


@pytest.mark.parametrize(("changes", "fault"), BAD)
def test_a_bad_setting_is_named_and_its_value_is_not(
    changes: dict[str, str | None], fault: str, environment: pytest.MonkeyPatch
) -> None:
    found = faults(environment, **changes)
    assert len(found) == 1
    assert found[0].startswith(fault)
    for value in changes.values():
        assert value is None or len(value) < 6 or value not in found[0]


def test_faults_of_and_between_settings_are_reported_together(environment: pytest.MonkeyPatch) -> None:
    found = faults(environment, OMS_REGION="mars", OMS_DST_AK=None, HUAWEICLOUD_SDK_SK=None, OMS_TIMEOUT="x")
    assert [fault.split(":")[0] for fault in found] == [
        "HUAWEICLOUD_SDK_SK",
        "OMS_DST_AK",
        "OMS_REGION",
        "OMS_TIMEOUT",
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"OMS_ENDPOINT": "http://127.0.0.1:8000/"},
        {"OMS_ENDPOINT": "http://localhost:1"},
        {"OMS_ENDPOINT": "http://[::1]:8000"},
        {"OMS_ENDPOINT": "https://OMS.example.com"},
        {"OMS_REGION": "", "OMS_ENDPOINT": "https://oms.example.com"},
        {"HUAWEICLOUD_SDK_AK": "", "HUAWEICLOUD_SDK_SK": "", "CLOUD_SDK_AK": "a", "CLOUD_SDK_SK": "b"},
        {"HUAWEICLOUD_SDK_AK": "", "HUAWEICLOUD_SDK_SK": "", "OMS_AUTH_TOKEN": "a-token"},
        {"CALLER_BEARER_TOKENS": "", "CALLER_TRUST_PLATFORM": "true"},
        {"CALLER_BEARER_TOKENS": "first-of-two-tokens-0001, second-of-two-tokens-002"},
        {"OMS_PROJECTS": '{"other": "la-south-2"}'},
        {"LOG_LEVEL": "debug"},
        {"RESTART_HOURS": "Mon-Fri 20:00-06:00 Asia/Shanghai", "RESTART_SWEEP": "on", "RESTART_LEDGER": REDIS},
    ],
)
def test_these_load(changes: dict[str, str], environment: pytest.MonkeyPatch) -> None:
    for name, value in changes.items():
        environment.setenv(name, value)
    load()


@pytest.mark.parametrize(
    ("given", "origin"),
    [
        ("http://127.0.0.1:8000/", "http://127.0.0.1:8000"),
        ("https://OMS.Example.com", "https://oms.example.com"),
        ("http://[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_an_endpoint_is_used_for_every_project(given: str, origin: str, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("OMS_ENDPOINT", given)
    environment.setenv("OMS_PROJECTS", '{"other": "la-south-2"}')
    settings = load()
    assert settings.endpoint_of(settings.oms_project_id) == settings.endpoint_of("other") == origin


def test_no_secret_is_in_a_repr_or_in_a_traceback(environment: pytest.MonkeyPatch) -> None:
    canary = "CANARY" + "x" * 34
    shaped = {
        "caller_webhook_secrets": f"whsec_{canary}",
        "oms_connection_string": f"AccountName={canary}",
        "oms_json_auth_file": f'{{"key": "{canary}"}}',
        "restart_ledger": f"redis://:{canary}@localhost",
        "notify_urls": f"json://user:{canary}@localhost/{canary}",
        "oms_profiles": f'{{"aws": {{"dst_ak": "{canary}", "dst_sk": "{canary}"}}}}',
        "iam_user": "u",
        "iam_domain": "d",
    }
    for name, field in Settings.model_fields.items():
        if "Secret" in str(field.annotation) or name in shaped:
            environment.setenv(name.upper(), shaped.get(name, canary))
    assert canary not in repr(load())
    assert canary not in str(load().model_dump())
    assert canary not in repr(load().profiles())
    environment.setenv("OMS_DST_AK", canary * 9)
    environment.setenv("OMS_DST_SK", canary + " ")
    try:
        load()
    except SettingsError as error:
        text = "".join(traceback.format_exception(error))
    assert "OMS_DST_SK" in text
    assert canary not in text


def test_a_shared_ledger_needs_its_package(environment: pytest.MonkeyPatch) -> None:
    environment.setitem(sys.modules, "redis.asyncio.connection", None)
    found = faults(environment, RESTART_LEDGER="redis://localhost")
    assert found == ["RESTART_LEDGER: needs the package redis: install the extra of that name"]


def test_functiongraphs_runtime_is_trusted_whatever_is_set(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("CALLER_TRUST_PLATFORM", "false")
    environment.delenv("HUAWEICLOUD_SDK_AK")
    environment.delenv("HUAWEICLOUD_SDK_SK")
    assert load(FunctionGraphSettings).caller_trust_platform is True


def test_values_that_are_no_text_are_left_to_the_field(environment: pytest.MonkeyPatch) -> None:
    """Settings can be made in code too, as tests do."""
    values: dict[str, Any] = {"oms_projects": {"other": "la-south-2"}, "log_level": 7}
    with pytest.raises(ValueError, match="log_level"):
        Settings(**values)
