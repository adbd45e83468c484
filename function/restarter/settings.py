"""Every setting, read and checked at once at start; frozen, and masked wherever it is printed."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidatorFunctionWrapHandler,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from restarter.setting_types import (
    CallerToken,
    CdnKey,
    Certificates,
    ConnectionString,
    CryptoType,
    Domain,
    Email,
    Endpoint,
    JsonAuthFile,
    Key,
    KeySet,
    KmsKeyId,
    LedgerAddress,
    Origin,
    ProjectId,
    Region,
    RestartBudget,
    Token,
    TopicUrn,
    WebhookSecret,
    comma_separated,
    json_object,
    upper_case,
)

OFF = {"0", "off", "f", "false", "n", "no", ""}


class SettingsError(Exception):
    """The program cannot start; one line a fault, each with the setting's name and never its value."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class StorageCredentials(BaseModel):
    """One set of keys to source and destination: fields and order of the start-task body, bounds of its API page."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

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


class Settings(BaseSettings):
    """The environment of the function: each name is a field's in capitals."""

    AGENCY: ClassVar[bool] = False
    """The platform hands over a temporary key with each delivery."""

    model_config = SettingsConfigDict(frozen=True, hide_input_in_errors=True, env_ignore_empty=True, extra="ignore")

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

    oms_migrate_failed_object: Literal["auto", "true", "false"] = "auto"
    oms_timeout: float = Field(3.0, gt=0, le=60, allow_inf_nan=False)
    restart_deadline: float = Field(4.5, gt=1, le=900, allow_inf_nan=False)
    restart_look_first: bool = True
    restart_max_event_age: float = Field(86400.0, gt=0, le=31 * 86400, allow_inf_nan=False)
    restart_archived: bool = False
    restart_budget: RestartBudget = "5/24h"
    restart_backoff: float = Field(60.0, ge=0, le=3600, allow_inf_nan=False)
    restart_ledger: LedgerAddress = SecretStr("memory://")
    restart_enabled: bool = True
    restart_dry_run: bool = False

    caller_bearer_tokens: Annotated[tuple[CallerToken, ...], NoDecode, BeforeValidator(comma_separated)] = ()
    caller_webhook_secrets: Annotated[tuple[WebhookSecret, ...], NoDecode, BeforeValidator(comma_separated)] = ()
    caller_smn_topics: Annotated[tuple[TopicUrn, ...], NoDecode, BeforeValidator(comma_separated)] = ()
    caller_smn_certificate: Certificates | None = None
    caller_smn_domains: Annotated[tuple[Domain, ...], NoDecode, BeforeValidator(comma_separated)] = (
        "myhuaweicloud.com",
        "myhuaweicloud.eu",
        "myhuaweicloud.cn",
    )
    caller_oidc_audience: str | None = None
    caller_oidc_emails: Annotated[tuple[Email, ...], NoDecode, BeforeValidator(comma_separated)] = ()
    caller_oidc_keys: KeySet | None = None
    caller_trust_platform: bool = False
    caller_origins: Annotated[tuple[Origin, ...], NoDecode, BeforeValidator(comma_separated)] = ("*",)

    event_types_failed: Annotated[tuple[str, ...], NoDecode, BeforeValidator(comma_separated)] = ()
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(upper_case)] = "INFO"

    @model_validator(mode="wrap")
    @classmethod
    def _every_fault_at_once(cls, data: Any, handler: ValidatorFunctionWrapHandler) -> Self:
        """Report the faults of single settings and those between settings together."""
        faults: list[InitErrorDetails] = [
            {"type": PydanticCustomError("together", message), "loc": (name,), "input": None}
            for name, message in _faults_between({str(key).lower(): value for key, value in data.items()}, cls)
        ]
        try:
            settings: Self = handler(data)
        except ValidationError as error:
            for fault in error.errors(include_url=False, include_input=False, include_context=False):
                kind = PydanticCustomError("single", "{msg}", {"msg": fault["msg"]})
                faults.append({"type": kind, "loc": fault["loc"], "input": None})
        if faults:
            raise ValidationError.from_exception_data(cls.__name__, faults, hide_input=True)
        return settings

    def profiles(self) -> Mapping[str, StorageCredentials]:
        """Sets of storage credentials by name; `default` is the one of the plain settings."""
        values = {name: getattr(self, f"oms_{name}") for name in StorageCredentials.model_fields}
        return {"default": StorageCredentials.model_construct(**values)}

    def region_of(self, project_id: str) -> str | None:
        """Region of a configured project; None where only an endpoint is known. KeyError for any other project."""
        return self.oms_region if project_id == self.oms_project_id else self.oms_projects[project_id]

    def endpoint_of(self, project_id: str) -> str:
        """Where calls for a project go: OMS_ENDPOINT for every one when it is set, else the project's region."""
        return self.oms_endpoint or f"https://oms.{self.region_of(project_id)}.myhuaweicloud.com"


class FunctionGraphSettings(Settings):
    """The same in FunctionGraph's built-in runtime, which proves the caller and may lend a key of its agency."""

    AGENCY: ClassVar[bool] = True

    caller_trust_platform: bool = True


def load(kind: type[Settings] = Settings) -> Settings:
    """Read the environment; SettingsError lists everything that is wrong with it."""
    try:
        return kind()
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False)
        raise SettingsError(sorted({f"{_setting_name(fault['loc'])}: {fault['msg']}" for fault in faults})) from None


def _setting_name(loc: tuple[int | str, ...]) -> str:
    """A place in the model as the name of the setting: positions and keys inside a value are left out."""
    return str(loc[0]).upper()


# What is of no use without something else.
NEEDS = {
    "huaweicloud_sdk_ak": "huaweicloud_sdk_sk",
    "huaweicloud_sdk_sk": "huaweicloud_sdk_ak",
    "huaweicloud_sdk_security_token": "huaweicloud_sdk_ak",
    "oms_src_ak": "oms_src_sk",
    "oms_src_sk": "oms_src_ak",
    "oms_src_security_token": "oms_src_ak",
    "caller_oidc_audience": "caller_oidc_emails",
    "caller_oidc_emails": "caller_oidc_audience",
}
LISTS_OF_CALLERS = ("caller_bearer_tokens", "caller_webhook_secrets", "caller_smn_topics", "caller_oidc_audience")


def _faults_between(given: Mapping[str, Any], kind: type[Settings]) -> list[tuple[str, str]]:
    """What is wrong with the set of settings as a whole; `given` has the names that are set, in lower case."""
    names = {
        name.replace("cloud_sdk_", "huaweicloud_sdk_") if name.startswith("cloud_sdk_") else name for name in given
    }
    faults = [
        (needed, f"required with {name.upper()}")
        for name, needed in NEEDS.items()
        if name in names and needed not in names
    ]
    if not names & {"oms_region", "oms_endpoint"}:
        faults.append(("oms_region", "required unless OMS_ENDPOINT is set"))
    if not names & {"huaweicloud_sdk_ak", "huaweicloud_sdk_sk", "oms_auth_token"} and not kind.AGENCY:
        faults.append(("huaweicloud_sdk_ak", "required unless OMS_AUTH_TOKEN is set"))
    trusting = given.get("caller_trust_platform", kind.model_fields["caller_trust_platform"].default)
    if str(trusting).lower() in OFF and not any(comma_separated(given.get(name, "")) for name in LISTS_OF_CALLERS):
        faults.append(("caller_bearer_tokens", "no way in is configured; set this or another CALLER_ setting"))
    return faults
