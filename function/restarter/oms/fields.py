"""The members that OMS's responses about tasks and groups share. Any may be null, empty or missing. No I/O here."""

import re
from typing import Any, TypedDict

MAX_COUNT = 10**15
MAX_KEY_BYTES = 1024  # of an object in OBS, and of what a receipt shows


class Failure(TypedDict):
    """The fields of a Task and of a TaskGroup that say why it failed, and what a restart would copy."""

    failure_reason: str | None
    failed_objects_listed: bool
    failed_objects: int | None
    failed_objects_list: str | None
    overwrites_all: bool


def failure_of(document: dict[str, Any], count_field: str) -> Failure:
    """What a document says about a failure. `count_field`: its field with the number of failed objects."""
    failed, record = count(document.get(count_field)), document.get("failed_object_record")
    recorded = document.get("enable_failed_object_recording") is not False
    return Failure(
        failure_reason=_trf_code(member(document.get("error_reason"), "error_code")),
        # «result: failed objects can be sent again»; with none recorded there is nothing to send.
        failed_objects_listed=recorded and member(record, "result") is True and failed != 0,
        failed_objects=failed,
        failed_objects_list=_object_key(member(record, "list_file_key")),
        overwrites_all=document.get("object_overwrite_mode") == "FULL_OVERWRITE",
    )


def member(document: Any, name: str) -> Any:
    """A member of an object; None if it is missing or the document is not an object."""
    return document.get(name) if isinstance(document, dict) else None


def text(value: Any) -> str | None:
    """The value if it is a string that is not empty, else None."""
    return value if isinstance(value, str) and value else None


def integer(value: Any) -> int | None:
    """The value if it is an integer, else None."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def count(value: Any) -> int | None:
    """The value if it is an integer from 0 to below MAX_COUNT, else None."""
    number = integer(value)
    return number if number is not None and 0 <= number < MAX_COUNT else None


def _trf_code(value: Any) -> str | None:
    """The value if it is a TRF code, else None. OMS's own text is never used."""
    return value if isinstance(value, str) and re.fullmatch(r"TRF\.[0-9]{4}", value) else None


def _object_key(value: Any) -> str | None:
    """The value if it is an object key that can be shown in full, else None: a part of it would name another object."""
    return (
        value if isinstance(value, str) and value.isprintable() and 0 < len(value.encode()) <= MAX_KEY_BYTES else None
    )
