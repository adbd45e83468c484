"""A ledger in a file of SQLite, shared by the processes of one host. Each operation is one transaction, in one thread.

It is durable: with the WAL and `synchronous=FULL` committed transactions survive a power loss
(https://sqlite.org/pragma.html#pragma_synchronous). Times are those of the host's clock.
"""

import asyncio
import os
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from restarter.ledger import (
    MAX_WINDOW_S,
    SETTLED_TTL_S,
    Claim,
    Claimed,
    EventKey,
    History,
    Ledger,
    LedgerError,
    LedgerKeys,
    new_token,
)
from restarter.ledger.sqlite_file import opened
from restarter.model.task import Restart

T = TypeVar("T")
PURGED_AT_ONCE = 100  # rows of each table
PURGE = [
    f"DELETE FROM {table} WHERE ({key}) IN (SELECT {key} FROM {table} WHERE expires_at <= ? LIMIT ?)"  # noqa: S608
    for table, key in (("events", "id"), ("restarts", "task, attempt"), ("marks", "name"))
]


class SqliteLedger(Ledger):
    """Opens the file when it is first needed, and again after an error, or when another file replaced it."""

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        self._path = path
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, "ledger")
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None

    async def claim(self, event: EventKey, seconds: float) -> Claimed:
        def claim(file: sqlite3.Connection, now: float) -> Claimed:
            statement = "SELECT settled_for, expires_at FROM events WHERE id = ? AND expires_at > ?"
            found = file.execute(statement, (event.id, now)).fetchone()
            if found is None:
                token = new_token()
                file.execute("REPLACE INTO events VALUES (?, ?, NULL, ?)", (event.id, token, now + seconds))
                return Claimed(Claim.OURS, token)
            settled_for, expires_at = found
            if settled_for is None:  # a clock that was set back must not make a sender wait
                return Claimed(Claim.HELD, rest_s=min(expires_at - now, seconds))
            return Claimed(Claim.SETTLED if settled_for == event.target else Claim.SETTLED_ELSEWHERE)

        return await self._transact(claim)

    async def settle(self, event: EventKey, token: str) -> None:
        statement = "REPLACE INTO events VALUES (:id, :token, :target, :now + :seconds)"
        await self._execute(statement, id=event.id, token=token, target=event.target, seconds=SETTLED_TTL_S)

    async def release(self, event: EventKey, token: str) -> None:
        statement = "DELETE FROM events WHERE id = :id AND token = :token AND settled_for IS NULL"
        await self._execute(statement, id=event.id, token=token)

    async def history(self, keys: LedgerKeys, window_s: float) -> History:
        return await self._transact(lambda file, now: _history(file, keys, now, window_s))

    async def reserve(self, keys: LedgerKeys, expected: History, window_s: float, attempt: str, note: str = "") -> bool:
        def reserve(file: sqlite3.Connection, now: float) -> bool:
            version = _history(file, keys, now, window_s).version
            if version == expected.version:
                row = (keys.task, attempt, keys.event, now, note, now + MAX_WINDOW_S)
                file.execute("INSERT INTO restarts VALUES (?, ?, ?, ?, 1, ?, ?)", row)
            return version == expected.version or attempt in version.split(",")

        return await self._transact(reserve)

    async def confirm(self, keys: LedgerKeys, attempt: str) -> None:
        statement = "UPDATE restarts SET under_way = 0 WHERE task = :task AND attempt = :attempt"
        await self._execute(statement, task=keys.task, attempt=attempt)

    async def unreserve(self, keys: LedgerKeys, attempt: str) -> None:
        statement = "DELETE FROM restarts WHERE task = :task AND attempt = :attempt"
        await self._execute(statement, task=keys.task, attempt=attempt)

    async def mark(self, name: str, owner: str, window_s: float) -> bool:
        def mark(file: sqlite3.Connection, now: float) -> bool:
            found = file.execute("SELECT owner FROM marks WHERE name = ? AND expires_at > ?", (name, now)).fetchone()
            if found is None:
                file.execute("REPLACE INTO marks VALUES (?, ?, ?)", (name, owner, now + window_s))
            return found in (None, (owner,))

        return await self._transact(mark)

    async def purge(self) -> None:
        """Delete the first expired rows of each table."""

        def purge(file: sqlite3.Connection, now: float) -> None:
            for statement in PURGE:
                file.execute(statement, (now, PURGED_AT_ONCE))

        await self._transact(purge)

    async def close(self) -> None:
        """Close the file, once the current transaction has ended."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)

    async def _execute(self, statement: str, **values: str | float) -> None:
        await self._transact(lambda file, now: file.execute(statement, values | {"now": now}).close())

    async def _transact(self, work: Callable[[sqlite3.Connection, float], T]) -> T:
        """Run a transaction and return its result. If its caller is cancelled before its turn, it does not begin.

        Raises:
            LedgerError: It was not committed, or possibly not; the text is the kind of failure.
        """
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._transaction, work)

    def _transaction(self, work: Callable[[sqlite3.Connection, float], T]) -> T:
        try:
            file = self._current()
            file.execute("BEGIN IMMEDIATE")
            result = work(file, self._clock())
            file.execute("COMMIT")
        except (sqlite3.Error, OSError) as error:
            self._close()  # which rolls back
            raise LedgerError(getattr(error, "sqlite_errorname", type(error).__name__)) from None
        return result

    def _current(self) -> sqlite3.Connection:
        """The open file. If the file at the path was replaced, the new one, which other processes use."""
        if self._connection is None or self._file != _identity(self._path):
            self._close()
            self._connection = opened(self._path)
            self._file = _identity(self._path)
        return self._connection

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()


def _history(file: sqlite3.Connection, keys: LedgerKeys, now: float, window_s: float) -> History:
    statement = (
        "SELECT attempt, event, at, under_way, note FROM restarts WHERE task = ? AND at > ? ORDER BY at, attempt"
    )
    rows = file.execute(statement, (keys.task, now - window_s)).fetchall()
    restarts = [
        Restart(max(now - at, 0.0), event == keys.event, bool(under_way), note)
        for _, event, at, under_way, note in rows
    ]
    return History(tuple(restarts), ",".join(sorted(attempt for attempt, *_ in rows)))


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116  # cheaper, and before each transaction
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
