"""`check --keys`: whether OMS opens a task's two buckets with the storage keys of each profile. Nothing is started."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, NamedTuple

from restarter.cli.output import Finding
from restarter.http.call import Answer, Call
from restarter.model.delivery import DeliveryContext
from restarter.model.outcome import Kind, Outcome
from restarter.oms import buckets, tasks
from restarter.oms.buckets import Bucket
from restarter.oms.client import Oms
from restarter.oms.error_codes import BY_CODE, read_error
from restarter.reporting.advice import advise
from restarter.reporting.reasons import REASONS
from restarter.settings.model import Settings, StorageCredentials, settings_prefix

SENT = (
    "sends the storage keys of each profile to OMS for task {task_id} (ShowBucketRegion, CheckPrefix); "
    "both only read, OMS may count them, and nothing is started"
)
FIND_IT = "give the id of a task in a configured project, as `failed` shows it"
OPEN_IT = "correct {settings}, or give that key the right to list this bucket"
TRY_AGAIN = "try again later; if it stays so, look the code up in OMS's list of error codes"
TIMEOUT_S = 10.0  # for all reads of a project, or each request about its buckets
CHECK = "storage keys"


class Project(NamedTuple):
    """A project, with what is needed to ask OMS about it."""

    settings: Settings
    oms: Oms
    id: str

    def failure(self, check: str, about: str, outcome: Outcome) -> Finding:
        """The finding about a failed request: OMS's code or our reason, and the advice in the table of reasons."""
        has_advice = outcome.reason is not None and REASONS[outcome.reason].advice is not None
        to_do = advise(outcome, {"project_id": self.id}, self.settings) if has_advice else TRY_AGAIN
        return Finding(
            check, f"{about}: {outcome.oms_error_code or outcome.reason or outcome.kind}", ok=False, to_do=to_do
        )

    async def ask(self, build: Callable[..., Call], *what: Any) -> tuple[Call, Answer | Outcome]:
        """Build a request with OMS's address, the project and `what`, and send it. Returns it with its response."""
        call = build(self.settings.endpoint_of(self.id), self.id, *what)
        return call, await self.oms.ask(call, self.id, DeliveryContext.lasting(TIMEOUT_S))


async def check_keys(projects: Sequence[Project], task_id: str) -> AsyncIterator[Finding]:
    """A finding that says what is sent, then one for each bucket of the task and each profile."""
    yield Finding(CHECK, SENT.format(task_id=task_id))
    for project in projects:
        _, answer = await project.ask(tasks.show, task_id)
        found = tasks.interpret_show(answer, task_id) if isinstance(answer, Answer) else answer
        if isinstance(answer, Answer) and not isinstance(found, Outcome):
            for bucket in buckets.buckets_of(answer.document):
                for name, credentials in project.settings.profiles().items():
                    yield await _opened(project, bucket, name, credentials)
            return
        if isinstance(found, Outcome) and found.kind is not Kind.NOT_FOUND:
            yield project.failure(CHECK, f"task {task_id} in project {project.id}", found)
            return
    yield Finding(CHECK, f"task {task_id}: not found", ok=False, to_do=FIND_IT)


async def _opened(project: Project, bucket: Bucket, profile: str, credentials: StorageCredentials) -> Finding:
    """Whether the keys of one profile open one bucket."""
    about = f"profile {profile}, {'source' if bucket.is_source else 'destination'} bucket {bucket.name}"
    keys = buckets.keys_for(bucket, credentials)
    if not keys:
        return Finding(CHECK, f"{about}: not asked, the profile has no keys for it")
    if credentials.src_crypto_type if bucket.is_source else credentials.dst_crypto_type:
        return Finding(CHECK, f"{about}: not asked, the requests take no encrypted keys")
    for build in (buckets.check_prefix,) if "security_token" in keys else (buckets.show_region, buckets.check_prefix):
        call, answer = await project.ask(build, bucket, keys)
        if isinstance(answer, Outcome):
            return project.failure(CHECK, f"{about}, {call.operation}", answer)
        if 200 <= answer.status < 300:
            continue
        if not _is_of_storage(answer):
            return project.failure(CHECK, f"{about}, {call.operation}", read_error(answer))
        to_do = OPEN_IT.format(settings=_settings_of(profile, bucket, keys))
        return Finding(CHECK, f"{about}: refused, {call.operation} answers {answer.error_code}", ok=False, to_do=to_do)
    return Finding(CHECK, f"{about}: opened")


def _is_of_storage(answer: Answer) -> bool:
    """Whether OMS refused the storage keys or bucket: by its own code, and not one about the key that calls OMS."""
    code = answer.error_code or ""
    return code.startswith("OMS.") and code not in BY_CODE


def _settings_of(profile: str, bucket: Bucket, keys: dict[str, str]) -> str:
    """The settings that hold these keys."""
    prefix = settings_prefix(profile)
    side = "SRC_" if bucket.is_source else "DST_"
    own = ("json_auth_file", "connection_string")
    return ", ".join(f"{prefix}{'' if name in own else side}{name.upper()}" for name in keys)
