"""Creates, recognises and opens the file of a ledger in SQLite."""

import os
import sqlite3
import time
from contextlib import suppress
from pathlib import Path
from threading import Lock

from restarter.settings.sqlite_address import APPLICATION_ID, file_uri

BUSY_S = 2.0  # for which a transaction waits for others
MODE = 0o600
# While a file is created, no connection to it may be open: closing the new file would end that connection's locks.
CREATING = Lock()
TABLES = f"""
BEGIN EXCLUSIVE;
PRAGMA application_id = {APPLICATION_ID};
CREATE TABLE IF NOT EXISTS events
    (id TEXT PRIMARY KEY, token TEXT NOT NULL, settled_for TEXT, expires_at REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS restarts
    (task TEXT, attempt TEXT, event TEXT NOT NULL, at REAL NOT NULL, under_way INTEGER NOT NULL, note TEXT NOT NULL,
    expires_at REAL NOT NULL, PRIMARY KEY (task, attempt)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS marks (name TEXT PRIMARY KEY, owner TEXT NOT NULL, expires_at REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS events_expire ON events (expires_at);
CREATE INDEX IF NOT EXISTS restarts_expire ON restarts (expires_at);
CREATE INDEX IF NOT EXISTS marks_expire ON marks (expires_at);
COMMIT;
"""


def opened(path: Path) -> sqlite3.Connection:
    """A connection to the ledger's file, for use in one thread; a missing or empty file becomes a new ledger.

    Raises:
        OSError, sqlite3.Error: It cannot be opened, or is not a ledger.
    """
    with CREATING:
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, MODE))
        if path.stat().st_size == 0:
            path.chmod(MODE)  # SQLite gives its companions the mode of the file
        file = sqlite3.connect(file_uri(path), uri=True, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        _prepare(file)
    except BaseException:
        file.close()
        raise
    return file


def _prepare(file: sqlite3.Connection) -> None:
    file.execute("BEGIN")  # both are read from one state: another process may create the tables in between
    (application_id,) = file.execute("PRAGMA application_id").fetchone()
    is_empty = not file.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchall()
    file.execute("COMMIT")
    if application_id == 0 and is_empty:
        file.executescript(TABLES)
    elif application_id != APPLICATION_ID:
        raise sqlite3.DatabaseError("no ledger")
    give_up = time.monotonic() + BUSY_S
    while not _uses_wal(file):  # SQLite does not wait for this by itself
        if time.monotonic() > give_up:
            raise sqlite3.OperationalError("no WAL")
        time.sleep(0.01)
    file.execute("PRAGMA synchronous = FULL")


def _uses_wal(file: sqlite3.Connection) -> bool:
    """Switch the file to a write-ahead log, which it keeps from then on. False if another process prevents it now."""
    try:
        return bool(file.execute("PRAGMA journal_mode = WAL").fetchone() == ("wal",))
    except sqlite3.OperationalError:
        return False
