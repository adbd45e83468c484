"""All settings, read and checked together at start; frozen, and masked wherever they are printed."""

import os
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from hashlib import sha256
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings import SettingsError as SourceError

from restarter.model.delivery import AccessKey
from restarter.settings import types
from restarter.settings.errors import CheckedTogether, Fault, SettingsError, messages_of
from restarter.settings.files import Environment, SecretFiles
from restarter.settings.ledger_address import MemoryAddress
from restarter.settings.likenesses import likenesses

DAY_S = 86400.0
DOMAINS = ("myhuaweicloud.com", "myhuaweicloud.eu", "myhuaweicloud.cn")
SDK_AK = AliasChoices("HUAWEICLOUD_SDK_AK", "CLOUD_SDK_AK")
SDK_SK = AliasChoices("HUAWEICLOUD_SDK_SK", "CLOUD_SDK_SK")
NOT_GIVEN: Any = None  # of a field in REQUIRED, until its absence is reported
FOR_EACH_START = "OMS keeps no keys and each start sends them"


class StorageCredentials(CheckedTogether):
    """One set of keys to source and destination: fields and order of the start-task body, bounds of its API page."""

    REQUIRED: ClassVar[dict[str, str]] = {"dst_ak": FOR_EACH_START, "dst_sk": FOR_EACH_START}

    NEEDS: ClassVar[dict[str, str]] = {
        "src_ak": "src_sk",
        "src_sk": "src_ak",
        "src_security_token": "src_ak",
        "dst_security_token": "dst_ak",
    }

    src_ak: types.Key | None = None
    src_sk: types.Key | None = None
    connection_string: types.ConnectionString | None = None
    src_crypto_type: types.CryptoType | None = None
    src_kms_key_id: types.KmsKeyId | None = None
    json_auth_file: types.JsonAuthFile | None = None
    src_security_token: types.Token | None = None
    dst_ak: types.Key = NOT_GIVEN
    dst_sk: types.Key = NOT_GIVEN
    dst_crypto_type: types.CryptoType | None = None
    dst_kms_key_id: types.KmsKeyId | None = None
    dst_security_token: types.Token | None = None
    source_cdn_authentication_key: types.CdnKey | None = None
    source_cdn_crypto_type: types.CryptoType | None = None
    source_cdn_kms_key_id: types.KmsKeyId | None = None

    def fingerprint(self) -> str:
        """A hash that identifies a set of keys, and from which no key can be recovered."""
        values = [getattr(self, name) for name in StorageCredentials.model_fields]
        texts = [one.get_secret_value() if isinstance(one, SecretStr) else str(one) for one in values]
        return sha256("\0".join(texts).encode()).hexdigest()[:16]


def settings_prefix(profile: str) -> str:
    """The prefix of the names of a profile's settings, as an operator writes them."""
    return "OMS_" if profile == "default" else f"OMS_PROFILES__{profile.upper()}__"


class Settings(BaseSettings, CheckedTogether):
    """The environment of the function: each name is a field's in capitals."""

    model_config = SettingsConfigDict(
        frozen=True,
        hide_input_in_errors=True,
        env_ignore_empty=True,
        env_nested_delimiter="__",
        extra="ignore",
        validate_default=False,
    )

    oms_region: types.Region | None = None
    oms_endpoint: types.Endpoint | None = None
    oms_project_id: types.ProjectId = NOT_GIVEN
    oms_projects: Annotated[dict[types.ProjectId, types.Region], NoDecode, BeforeValidator(types.json_object)] = {}

    huaweicloud_sdk_ak: types.Key | None = Field(None, validation_alias=SDK_AK)
    huaweicloud_sdk_sk: types.Key | None = Field(None, validation_alias=SDK_SK)
    huaweicloud_sdk_security_token: types.Token | None = None
    oms_auth_token: types.Token | None = None
    iam_domain: types.Text | None = None
    iam_user: types.Text | None = None
    iam_password: types.Password | None = None
    iam_endpoint: types.Endpoint | None = None
    oms_agency: bool = False

    oms_src_ak: types.Key | None = None
    oms_src_sk: types.Key | None = None
    oms_src_security_token: types.Token | None = None
    oms_connection_string: types.ConnectionString | None = None
    oms_json_auth_file: types.JsonAuthFile | None = None
    oms_dst_ak: types.Key = NOT_GIVEN
    oms_dst_sk: types.Key = NOT_GIVEN
    oms_dst_security_token: types.Token | None = None
    oms_source_cdn_authentication_key: types.CdnKey | None = None
    oms_src_crypto_type: types.CryptoType | None = None
    oms_src_kms_key_id: types.KmsKeyId | None = None
    oms_dst_crypto_type: types.CryptoType | None = None
    oms_dst_kms_key_id: types.KmsKeyId | None = None
    oms_source_cdn_crypto_type: types.CryptoType | None = None
    oms_source_cdn_kms_key_id: types.KmsKeyId | None = None

    oms_profiles: dict[types.ProfileName, StorageCredentials] = {}

    oms_migrate_failed_object: Literal["auto", "true", "false"] = "auto"
    oms_timeout: float = Field(3.0, gt=0, le=60, allow_inf_nan=False)
    oms_cooldown: float = Field(300.0, ge=0, le=86400, allow_inf_nan=False)
    restart_deadline: float = Field(4.5, gt=1, le=900, allow_inf_nan=False)
    restart_max_event_age: float = Field(DAY_S, gt=0, le=31 * DAY_S, allow_inf_nan=False)
    restart_archived: bool = False
    restart_full_overwrite: bool = False
    restart_budget: types.RestartBudget = types.Budget(5, DAY_S)
    restart_backoff: float = Field(60.0, ge=0, le=3600, allow_inf_nan=False)
    restart_ledger: types.RestartLedger = MemoryAddress()
    storage_emulator_host: types.EmulatorHost | None = None
    gce_metadata_host: types.HostAndPort | None = None
    obs_endpoint: types.Endpoint | None = None
    restart_hours: types.RestartHours | None = None
    restart_sweep: Literal["off", "on"] = "off"
    restart_sweep_age: types.Duration = 3 * DAY_S
    restart_sweep_limit: int = Field(5, ge=1, le=1000)
    restart_max_running: int | None = Field(None, ge=1, le=10_000)  # OMS lists no more
    restart_sweep_prefix: str | None = Field(None, max_length=1024)
    restart_enabled: bool = True
    restart_language: Literal["en", "zh-cn"] = "en"
    restart_dry_run: bool = False

    caller_bearer_tokens: types.Listed[types.CallerToken] = ()
    caller_webhook_secrets: types.Listed[types.WebhookSecret] = ()
    caller_smn_topics: types.Listed[types.TopicUrn] = ()
    caller_smn_certificate: types.Certificates | None = None
    caller_smn_domains: Annotated[types.Listed[types.Domain], AfterValidator(types.at_least_one)] = DOMAINS
    caller_oidc_audience: str | None = None
    caller_oidc_emails: types.Listed[types.Email] = ()
    caller_oidc_keys: types.KeySet | None = None
    caller_trust_platform: bool = False
    caller_origins: types.Listed[types.Origin] = ("*",)

    notify_urls: types.Listed[types.NotifyUrl] = ()

    event_types_failed: types.Listed[str] = ()
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(types.upper_case)
    ] = "INFO"

    REQUIRED: ClassVar[dict[str, str]] = {
        "oms_project_id": "every call to OMS names a project",
        "oms_dst_ak": FOR_EACH_START,
        "oms_dst_sk": FOR_EACH_START,
    }
    NEEDS: ClassVar[dict[str, str]] = {
        "huaweicloud_sdk_ak": "huaweicloud_sdk_sk",
        "huaweicloud_sdk_sk": "huaweicloud_sdk_ak",
        "huaweicloud_sdk_security_token": "huaweicloud_sdk_ak",
        "oms_src_ak": "oms_src_sk",
        "oms_src_sk": "oms_src_ak",
        "oms_src_security_token": "oms_src_ak",
        "iam_domain": "iam_user",
        "iam_user": "iam_password",
        "iam_password": "iam_domain",
        "caller_oidc_audience": "caller_oidc_emails",
        "caller_oidc_emails": "caller_oidc_audience",
    }

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Secret files take precedence over the environment."""
        return init_settings, SecretFiles(file_secret_settings), Environment(settings_cls)

    def faults_between(self, given: AbstractSet[str]) -> Iterator[Fault]:
        """Faults of pairs, and a missing address of OMS, key for it, or authentication method."""
        yield from super().faults_between(given)
        if not given & {"oms_region", "oms_endpoint"}:
            yield "oms_region", "required unless OMS_ENDPOINT is set"
        if "iam_user" in given and not given & {"oms_region", "iam_endpoint"}:
            yield "iam_endpoint", "required with IAM_USER unless OMS_REGION is set"
        if not given & {"huaweicloud_sdk_ak", "huaweicloud_sdk_sk", "oms_auth_token", "iam_user", "oms_agency"}:
            yield "huaweicloud_sdk_ak", "required unless OMS_AUTH_TOKEN, IAM_USER or OMS_AGENCY is set"
        if self.restart_ledger.scheme == "obs":
            if not given & {"oms_region", "obs_endpoint"}:
                yield "obs_endpoint", "required with a ledger in OBS unless OMS_REGION is set"
            if not given & {"huaweicloud_sdk_ak", "oms_agency"}:
                yield "huaweicloud_sdk_ak", "required with a ledger in OBS unless OMS_AGENCY is set"
        yield from self.faults_of_deployment(given)

    def faults_of_deployment(self, given: AbstractSet[str]) -> Iterator[Fault]:
        """Faults of what the function needs, but not a person who only uses OMS."""
        if not given & CALLERS:
            yield "caller_bearer_tokens", "no authentication method is configured; set this or another CALLER_ setting"
        if self.restart_sweep == "on" and self.restart_ledger.scheme == "memory":
            yield "restart_sweep", "needs a shared ledger; set RESTART_LEDGER to another than memory://"
        if self.restart_hours is not None and "restart_sweep" not in given:
            yield "restart_hours", "needs RESTART_SWEEP=on, which finds what failed outside the hours"
        elif self.restart_hours is not None and self.restart_sweep_age < self.restart_hours.longest_pause_s + 3600:
            yield "restart_sweep_age", "must be an hour longer than the longest time outside RESTART_HOURS"

    def access_key(self) -> AccessKey | None:
        """The key that signs requests; None if requests carry a token, or the platform lends a key."""
        if not self.huaweicloud_sdk_ak or not self.huaweicloud_sdk_sk:
            return None
        return AccessKey(self.huaweicloud_sdk_ak, self.huaweicloud_sdk_sk, self.huaweicloud_sdk_security_token)

    def profiles(self) -> Mapping[str, StorageCredentials]:
        """Sets of storage credentials by name; `default` is the one in the plain settings."""
        values = {name: getattr(self, f"oms_{name}") for name in StorageCredentials.model_fields}
        return {"default": StorageCredentials.model_construct(**values), **self.oms_profiles}

    def region_of(self, project_id: str) -> str | None:
        """Region of a configured project; None if only an endpoint is known. KeyError for any other project."""
        return self.oms_region if project_id == self.oms_project_id else self.oms_projects[project_id]

    def endpoint_of(self, project_id: str) -> str:
        """Where requests about a project go: OMS_ENDPOINT if it is set, else the endpoint of the project's region."""
        return self.oms_endpoint or f"https://oms.{self.region_of(project_id)}.myhuaweicloud.com"


CALLERS = {
    *("caller_bearer_tokens", "caller_webhook_secrets", "caller_smn_topics", "caller_oidc_audience"),
    "caller_trust_platform",
}


def load(kind: type[Settings] = Settings) -> Settings:
    """Read the settings from files and environment.

    Raises:
        SettingsError: Something is missing or wrong; it lists everything.
    """
    try:
        return kind()
    except ValidationError as error:
        raise SettingsError([*messages_of(error), *misspelt_names()]) from None
    except (SourceError, OSError, ValueError) as error:  # a source cannot be read
        raise SettingsError([f"SECRETS_DIR, OMS_PROFILES: {type(error).__name__}: cannot be read"]) from None


def _given() -> tuple[dict[str, str | None], dict[str, str | None]]:
    """The texts in the files, and those in the environment, by name in lower case."""
    environment = Environment(Settings)
    files = SecretFiles(environment).env_vars
    return {name.replace(os.sep, "__"): text for name, text in files.items()}, dict(environment.env_vars)


def misspelt_names() -> list[str]:
    """A sentence for each name in files and environment that is no longer a setting, or was meant to be one."""
    settings, of_profile = ([name.upper() for name in model.model_fields] for model in (Settings, StorageCredentials))
    return [*likenesses((name.upper() for names in _given() for name in names), settings, of_profile)]


def names_given_twice() -> list[str]:
    """A sentence for each setting to which a file and the environment give different values."""
    files, environment = _given()
    names = sorted(name.upper() for name, text in files.items() if environment.get(name) not in (None, "", text))
    return [f"{name} is given in the environment and differently in a file; the file is used" for name in names]
