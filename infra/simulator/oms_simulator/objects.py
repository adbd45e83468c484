"""The objects of an object store, and the ways in which they change. Every call is told the time. No I/O here."""

import hashlib
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from oms_simulator.documents import Document

MAX_APPENDS = 10_000
DAY = 86400.0
BucketName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")]


class StoreDocument(Document):
    """The object store as a control sets it."""

    buckets: list[BucketName] = Field(default_factory=lambda: ["example-ledger"])
    skew: Annotated[float, Field(ge=-1e9, le=1e9)] = 0.0
    """Seconds that its clock is ahead of the world's."""
    may_list: bool = True
    """Whether the caller may list the bucket. Where not, an object that is missing is forbidden instead."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object: written whole, or in pieces (`appends` counts them)."""

    body: bytes
    modified: float
    expires_days: int | None = None
    appends: int | None = None

    @property
    def etag(self) -> str:
        """The MD5 of what it holds, in quotes."""
        return f'"{hashlib.md5(self.body, usedforsecurity=False).hexdigest()}"'


class Refused(Exception):
    """An operation that the store refuses: its status and its code."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code


class Objects:
    """The objects by bucket and name. The last write that arrives wins."""

    def __init__(self, document: StoreDocument) -> None:
        self.document = document
        self._objects: dict[tuple[str, str], StoredObject] = {}

    def put(self, bucket: str, name: str, body: bytes, days: int | None, now: float) -> StoredObject:
        """Write an object whole, over whatever is there."""
        self._check(bucket)
        self._objects[bucket, name] = StoredObject(body, now, days)
        return self._objects[bucket, name]

    def append(self, bucket: str, name: str, position: int, body: bytes, now: float) -> StoredObject:
        """Add to the end of an object; the first piece, at 0, makes it."""
        self._check(bucket)
        found = self._found(bucket, name, now)
        if found is not None and (found.appends is None or found.appends >= MAX_APPENDS):
            raise Refused(409, "ObjectNotAppendable")
        before = found.body if found is not None else b""
        if position != len(before):
            raise Refused(409, "PositionNotEqualToLength")
        appends = (found.appends or 0) + 1 if found is not None else 1
        self._objects[bucket, name] = StoredObject(before + body, now, None, appends)
        return self._objects[bucket, name]

    def get(self, bucket: str, name: str, now: float) -> StoredObject:
        """The object as it is."""
        self._check(bucket)
        found = self._found(bucket, name, now)
        if found is None:
            raise Refused(404, "NoSuchKey") if self.document.may_list else Refused(403, "AccessDenied")
        return found

    def described(self) -> dict[str, str]:
        """What each object holds, by bucket and name."""
        return {
            f"{bucket}/{name}": found.body.decode("utf-8", "replace") for (bucket, name), found in self._objects.items()
        }

    def _found(self, bucket: str, name: str, now: float) -> StoredObject | None:
        """The object; one whose days are over is deleted first."""
        found = self._objects.get((bucket, name))
        if found is not None and found.expires_days is not None and now - found.modified >= found.expires_days * DAY:
            del self._objects[bucket, name]
            return None
        return found

    def _check(self, bucket: str) -> None:
        if bucket not in self.document.buckets:
            raise Refused(404, "NoSuchBucket")
