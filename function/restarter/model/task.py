"""What OMS says about a task or a task group, and the decision to start it. No I/O here."""

from typing import NamedTuple


class Counters(NamedTuple):
    """OMS's counters of a migration: objects and bytes of a task, tasks of a group. None if unknown."""

    objects: int | None = None
    """Migrated (`successful_num`)."""
    bytes: int | None = None
    """Migrated (`complete_size`)."""
    tasks: int | None = None
    """Complete (`complete_task_num`)."""


class Task(NamedTuple):
    """What OMS says about a task (ShowTask, ListTasks), as far as it matters for a restart."""

    id: str
    name: str | None
    status: int | None
    group_type: str | None = None
    group_id: str | None = None
    group_id_unreadable: bool = False
    """OMS gives a group id that is not a string."""
    task_type: str | None = None
    failure_reason: str | None = None
    """A TRF code; None if OMS gives none or something else."""
    enable_restore: bool = False
    failed_objects_listed: bool = False
    """OMS has a list of the failed objects, so it can migrate just these again."""
    failed_objects: int | None = None
    """How many objects failed."""
    failed_objects_list: str | None = None
    """The object key of that list in the destination bucket: printable, at most 1024 bytes of UTF-8."""
    started_at_ms: int | None = None
    """When OMS started it last, in milliseconds since 1970."""
    ended_at_ms: int | None = None
    """When it ended: its start plus its running time, or only its start if OMS gives no running time."""
    notice_sent: bool | None = None
    """Whether OMS sent its own SMN notice; None if OMS does not say."""
    notice_error: str | None = None
    """OMS's code for why the notice was not sent: `OMS.` and four digits."""
    without_topic: bool = False
    """The task has no `smn_config`, so OMS sends no notice of it."""
    overwrites_all: bool = False
    """`object_overwrite_mode` is FULL_OVERWRITE: a start copies all objects again, unless only failed ones."""
    total_bytes: int | None = None
    """Size of all its objects (`total_size`)."""
    counters: Counters = Counters()


class TaskGroup(NamedTuple):
    """What OMS says about a task group (ShowTaskGroup). Fields that a Task has, too, mean the same."""

    id: str
    status: int | None
    task_type: str | None = None
    failure_reason: str | None = None
    enable_restore: bool = False
    failed_objects_listed: bool = False
    failed_objects: int | None = None
    failed_objects_list: str | None = None
    overwrites_all: bool = False
    counters: Counters = Counters()
    member: Task | None = None
    """The failed task that led to the group; None if the request named the group itself."""


class Start(NamedTuple):
    """The decision to start a task or to retry a task group, and how."""

    target_id: str
    migrate_failed_object: bool
    source_keys: bool = True
    """False for a URL list: its tasks and groups take no source keys."""
    of_group: bool = False
    """The target is a task group."""


class Restart(NamedTuple):
    """A restart of a task that the ledger has recorded."""

    age_s: float
    """Seconds since it was reserved; at least 0."""
    own: bool = False
    """An earlier attempt of the same event reserved it."""
    under_way: bool = False
    """Reserved, and neither confirmed nor taken back: its delivery is in progress, or its instance died."""
    note: str = ""
    """The text that was stored with it."""
