"""Every setting, read and checked at once at start; frozen, and masked wherever it is printed."""

import os
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings import SettingsError as SourceError

from restarter.model.delivery import AccessKey
from restarter.settings.errors import CollectedErrors, SettingsError, messages_of, needed
from restarter.settings.files import Environment, SecretFiles, Unreadable
from restarter.settings.types import (
    CallerToken,
    CdnKey,
    Certificates,
    ConnectionString,
    CryptoType,
    Domain,
    Duration,
    Email,
    EmulatorHost,
    Endpoint,
    HostAndPort,
    JsonAuthFile,
    Key,
    KeySet,
    KmsKeyId,
    LedgerAddress,
    Origin,
    Password,
    ProfileName,
    ProjectId,
    Region,
    RestartBudget,
    Text,
    Token,
    TopicUrn,
    WebhookSecret,
    at_least_one,
    comma_separated,
    json_object,
    upper_case,
)

OFF = {"0", "off", "f", "false", "n", "no", ""}


class StorageCredentials(CollectedErrors):
    """One set of keys to source and destination: fields and order of the start-task body, bounds of its API page."""

    NEEDS: ClassVar[dict[str, str]] = {
        "src_ak": "src_sk",
        "src_sk": "src_ak",
        "src_security_token": "src_ak",
        "dst_security_token": "dst_ak",
    }

    src_ak: Key | None = None
    src_sk: Key | None = None
    connection_string: ConnectionString | None = None
    src_crypto_type: CryptoType | None = None
    src_kms_key_id: KmsKeyId | None = None
    json_auth_file: JsonAuthFile | None = None
    src_security_token: Token | None = None
    dst_ak: Key
    dst_sk: Key
    dst_crypto_type: CryptoType | None = None
    dst_kms_key_id: KmsKeyId | None = None
    dst_security_token: Token | None = None
    source_cdn_authentication_key: CdnKey | None = None
    source_cdn_crypto_type: CryptoType | None = None
    source_cdn_kms_key_id: KmsKeyId | None = None


class Settings(BaseSettings, CollectedErrors):
    """The environment of the function: each name is a field's in capitals."""

    model_config = SettingsConfigDict(
        frozen=True, hide_input_in_errors=True, env_ignore_empty=True, env_nested_delimiter="__", extra="ignore"
    )

    oms_region: Region | None = None
    oms_endpoint: Endpoint | None = None
    oms_project_id: ProjectId
    oms_projects: Annotated[dict[ProjectId, Region], NoDecode, BeforeValidator(json_object)] = Field(
        default_factory=dict
    )

    huaweicloud_sdk_ak: Key | None = Field(None, validation_alias=AliasChoices("HUAWEICLOUD_SDK_AK", "CLOUD_SDK_AK"))
    huaweicloud_sdk_sk: Key | None = Field(None, validation_alias=AliasChoices("HUAWEICLOUD_SDK_SK", "CLOUD_SDK_SK"))
    huaweicloud_sdk_security_token: Token | None = None
    oms_auth_token: Token | None = None
    iam_domain: Text | None = None
    iam_user: Text | None = None
    iam_password: Password | None = None
    iam_endpoint: Endpoint | None = None
    oms_agency: bool = False

    oms_src_ak: Key | None = None
    oms_src_sk: Key | None = None
    oms_src_security_token: Token | None = None
    oms_connection_string: ConnectionString | None = None
    oms_json_auth_file: JsonAuthFile | None = None
    oms_dst_ak: Key
    oms_dst_sk: Key
    oms_dst_security_token: Token | None = None
    oms_source_cdn_authentication_key: CdnKey | None = None
    oms_src_crypto_type: CryptoType | None = None
    oms_src_kms_key_id: KmsKeyId | None = None
    oms_dst_crypto_type: CryptoType | None = None
    oms_dst_kms_key_id: KmsKeyId | None = None
    oms_source_cdn_crypto_type: CryptoType | None = None
    oms_source_cdn_kms_key_id: KmsKeyId | None = None

    oms_profiles: dict[ProfileName, StorageCredentials] = Field(default_factory=dict)

    oms_migrate_failed_object: Literal["auto", "true", "false"] = "auto"
    oms_timeout: float = Field(3.0, gt=0, le=60, allow_inf_nan=False)
    oms_cooldown: float = Field(300.0, ge=0, le=86400, allow_inf_nan=False)
    restart_deadline: float = Field(4.5, gt=1, le=900, allow_inf_nan=False)
    restart_look_first: bool = True
    restart_max_event_age: float = Field(86400.0, gt=0, le=31 * 86400, allow_inf_nan=False)
    restart_archived: bool = False
    restart_budget: RestartBudget = "5/24h"
    restart_backoff: float = Field(60.0, ge=0, le=3600, allow_inf_nan=False)
    restart_ledger: LedgerAddress = SecretStr("memory://")
    storage_emulator_host: EmulatorHost | None = None
    gce_metadata_host: HostAndPort | None = None
    obs_endpoint: Endpoint | None = None
    restart_sweep: Literal["off", "on"] = "off"
    restart_sweep_age: Duration = "3d"
    restart_sweep_limit: int = Field(5, ge=1, le=1000)
    restart_sweep_prefix: str | None = Field(None, max_length=1024)
    restart_enabled: bool = True
    restart_language: Literal["en", "zh-cn"] = "en"
    restart_dry_run: bool = False

    caller_bearer_tokens: Annotated[tuple[CallerToken, ...], NoDecode, BeforeValidator(comma_separated)] = ()
    caller_webhook_secrets: Annotated[tuple[WebhookSecret, ...], NoDecode, BeforeValidator(comma_separated)] = ()
    caller_smn_topics: Annotated[tuple[TopicUrn, ...], NoDecode, BeforeValidator(comma_separated)] = ()
    caller_smn_certificate: Certificates | None = None
    caller_smn_domains: Annotated[
        tuple[Domain, ...], NoDecode, BeforeValidator(comma_separated), AfterValidator(at_least_one)
    ] = ("myhuaweicloud.com", "myhuaweicloud.eu", "myhuaweicloud.cn")
    caller_oidc_audience: str | None = None
    caller_oidc_emails: Annotated[tuple[Email, ...], NoDecode, BeforeValidator(comma_separated)] = ()
    caller_oidc_keys: KeySet | None = None
    caller_trust_platform: bool = False
    caller_origins: Annotated[tuple[Origin, ...], NoDecode, BeforeValidator(comma_separated)] = ("*",)

    event_types_failed: Annotated[tuple[str, ...], NoDecode, BeforeValidator(comma_separated)] = ()
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(upper_case)] = "INFO"

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

    @classmethod
    def errors_between(cls, given: dict[str, Any]) -> list[tuple[str, str]]:
        """Pairs; and an address of OMS, credentials for it, and at least one caller must be configured."""
        sdk = {name for name in given if name.startswith("cloud_sdk_")}
        names = given.keys() - sdk | {name.replace("cloud_sdk_", "huaweicloud_sdk_") for name in sdk}
        errors = needed(cls.NEEDS, names)
        if not names & {"oms_region", "oms_endpoint"}:
            errors.append(("oms_region", "required unless OMS_ENDPOINT is set"))
        if "iam_user" in names and not names & {"oms_region", "iam_endpoint"}:
            errors.append(("iam_endpoint", "required with IAM_USER unless OMS_REGION is set"))
        trusting = _is_on(given.get("caller_trust_platform", cls.model_fields["caller_trust_platform"].default))
        lent = _is_on(given.get("oms_agency", cls.model_fields["oms_agency"].default))
        if not lent and not names & {"huaweicloud_sdk_ak", "huaweicloud_sdk_sk", "oms_auth_token", "iam_user"}:
            errors.append(("huaweicloud_sdk_ak", "required unless OMS_AUTH_TOKEN, IAM_USER or OMS_AGENCY is set"))
        if not trusting and not any(comma_separated(given.get(name, "")) for name in LISTS_OF_CALLERS):
            errors.append(("caller_bearer_tokens", "no way in is configured; set this or another CALLER_ setting"))
        if given.get("restart_sweep") == "on" and not _is_shared(given.get("restart_ledger")):
            errors.append(
                ("restart_sweep", "needs a shared ledger; set RESTART_LEDGER to one that outlives the instance")
            )
        if str(_opened(given.get("restart_ledger"))).startswith("obs:"):
            if not names & {"oms_region", "obs_endpoint"}:
                errors.append(("obs_endpoint", "required with a ledger in OBS unless OMS_REGION is set"))
            if not lent and "huaweicloud_sdk_ak" not in names:
                errors.append(("huaweicloud_sdk_ak", "required with a ledger in OBS unless OMS_AGENCY is set"))
        return errors

    def access_key(self) -> AccessKey | None:
        """The key that signs requests; None where requests carry a token, or the platform lends a key."""
        if not self.huaweicloud_sdk_ak or not self.huaweicloud_sdk_sk:
            return None
        return AccessKey(self.huaweicloud_sdk_ak, self.huaweicloud_sdk_sk, self.huaweicloud_sdk_security_token)

    def profiles(self) -> Mapping[str, StorageCredentials]:
        """Sets of storage credentials by name; `default` is the one of the plain settings."""
        values = {name: getattr(self, f"oms_{name}") for name in StorageCredentials.model_fields}
        return {"default": StorageCredentials.model_construct(**values), **self.oms_profiles}

    def region_of(self, project_id: str) -> str | None:
        """Region of a configured project; None where only an endpoint is known. KeyError for any other project."""
        return self.oms_region if project_id == self.oms_project_id else self.oms_projects[project_id]

    def endpoint_of(self, project_id: str) -> str:
        """Where calls for a project go: OMS_ENDPOINT for every one when it is set, else the project's region."""
        return self.oms_endpoint or f"https://oms.{self.region_of(project_id)}.myhuaweicloud.com"


LISTS_OF_CALLERS = ("caller_bearer_tokens", "caller_webhook_secrets", "caller_smn_topics", "caller_oidc_audience")


def load(kind: type[Settings] = Settings) -> Settings:
    """Read files and environment.

    Raises:
        SettingsError: Something is missing or wrong; it lists everything.
    """
    try:
        return kind()
    except ValidationError as error:
        raise SettingsError(messages_of(error)) from None
    except Unreadable as error:
        raise SettingsError(f"{name}: its file cannot be read as text" for name in error.names) from None
    except (SourceError, OSError, ValueError) as error:  # what a source cannot even read
        raise SettingsError([f"SECRETS_DIR, OMS_PROFILES: {type(error).__name__}: cannot be read"]) from None


def given_twice() -> list[str]:
    """Names of settings that a file and the environment give differently; the file is used."""
    environment = Environment(Settings)
    files, given = SecretFiles(environment).env_vars, environment.env_vars
    return sorted(
        name.upper().replace(os.sep, "__")
        for name, value in files.items()
        if given.get(name.replace(os.sep, "__")) not in (None, "", value)
    )


def _is_shared(address: Any) -> bool:
    """Whether a ledger's address, as text or masked, is one that instances share."""
    return not str(_opened(address) or "memory://").startswith("memory://")


def _opened(address: Any) -> Any:
    return address.get_secret_value() if isinstance(address, SecretStr) else address


def _is_on(value: Any) -> bool:
    """As pydantic reads a boolean; a word that it does not know is an error of that field."""
    return str(value).lower() not in OFF
