"""`check --keys`: whether OMS opens a task's two buckets with the storage keys of each profile. Nothing is started."""

from collections.abc import AsyncIterator, Callable
from typing import NamedTuple

from restarter.cli.output import Finding
from restarter.http.call import Answer
from restarter.model.delivery import DeliveryContext
from restarter.model.outcome import Kind, Outcome
from restarter.oms import buckets, tasks
from restarter.oms.buckets import Bucket
from restarter.oms.client import Oms
from restarter.oms.error_codes import BY_CODE, read_error
from restarter.settings.model import Settings, StorageCredentials, settings_prefix

SENT = (
    "sends the storage keys of each profile to OMS for task {task_id} (ShowBucketRegion, CheckPrefix); "
    "both only read, OMS may count them, and nothing is started"
)
FIND_IT = "give the id of a task in a configured project, as `failed` shows it"
OPEN_IT = "correct {settings}, or give that key the right to list this bucket"
Failed = Callable[[str, str, Outcome, str, Settings], Finding]
"""The finding about a request that failed for another reason than a storage key."""


class Asked(NamedTuple):
    """With what OMS is asked. `context`: of the next few requests."""

    settings: Settings
    oms: Oms
    context: Callable[[], DeliveryContext]
    failed: Failed

    def failure(self, about: str, outcome: Outcome, project_id: str) -> Finding:
        """The finding about a request that failed."""
        return self.failed("storage keys", about, outcome, project_id, self.settings)


async def check_keys(asked: Asked, task_id: str) -> AsyncIterator[Finding]:
    """What is sent, then a finding for each bucket of the task and each profile."""
    yield Finding(check="storage keys", found=SENT.format(task_id=task_id))
    for project_id in (asked.settings.oms_project_id, *asked.settings.oms_projects):
        show = tasks.show(asked.settings.endpoint_of(project_id), project_id, task_id)
        answer = await asked.oms.ask(show, project_id, asked.context())
        found = answer if isinstance(answer, Outcome) else tasks.interpret_show(answer, task_id)
        if isinstance(answer, Outcome) or (isinstance(found, Outcome) and found.kind is not Kind.NOT_FOUND):
            assert isinstance(found, Outcome)  # noqa: S101  # for mypy
            yield asked.failure(f"task {task_id} in project {project_id}", found, project_id)
            return
        if not isinstance(found, Outcome):
            for bucket in buckets.buckets_of(answer.document):
                for name, credentials in asked.settings.profiles().items():
                    yield await _opened(asked, project_id, bucket, name, credentials)
            return
    yield Finding(check="storage keys", found=f"task {task_id}: not found", ok=False, to_do=FIND_IT)


async def _opened(
    asked: Asked, project_id: str, bucket: Bucket, profile: str, credentials: StorageCredentials
) -> Finding:
    """Whether the keys of one profile open one bucket."""
    about = f"profile {profile}, {'source' if bucket.is_source else 'destination'} bucket {bucket.name}"
    keys = buckets.keys_for(bucket, credentials)
    if not keys:
        return Finding(check="storage keys", found=f"{about}: not asked, the profile has no keys for it")
    if credentials.src_crypto_type if bucket.is_source else credentials.dst_crypto_type:
        return Finding(check="storage keys", found=f"{about}: not asked, the requests take no encrypted keys")
    builds = (buckets.check_prefix,) if "security_token" in keys else (buckets.show_region, buckets.check_prefix)
    for build in builds:
        call = build(asked.settings.endpoint_of(project_id), project_id, bucket, keys)
        answer = await asked.oms.ask(call, project_id, asked.context())
        if isinstance(answer, Outcome):
            return asked.failure(f"{about}, {call.operation}", answer, project_id)
        if not 200 <= answer.status < 300 and not _is_of_storage(answer):
            return asked.failure(f"{about}, {call.operation}", read_error(answer), project_id)
        if not 200 <= answer.status < 300:
            text = f"{about}: refused, {call.operation} answers {answer.error_code}"
            to_do = OPEN_IT.format(settings=_settings_of(profile, bucket, keys))
            return Finding(check="storage keys", found=text, ok=False, to_do=to_do)
    return Finding(check="storage keys", found=f"{about}: opened")


def _is_of_storage(answer: Answer) -> bool:
    """Whether OMS refused what it was asked about: a code of its own, and not about the key that calls it."""
    code = answer.error_code or ""
    return code.startswith("OMS.") and code not in BY_CODE


def _settings_of(profile: str, bucket: Bucket, keys: dict[str, str]) -> str:
    """The settings that hold these keys."""
    prefix = settings_prefix(profile)
    side = "SRC_" if bucket.is_source else "DST_"
    own = ("json_auth_file", "connection_string")
    return ", ".join(f"{prefix}{'' if name in own else side}{name.upper()}" for name in keys)
