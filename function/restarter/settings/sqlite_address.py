"""Where a ledger of one host is: `sqlite:///path` of a file on a local file system. No message contains a value.

Only SQLite ever opens the file: when a process closes a file, it loses all its locks on it, including those of SQLite
(https://sqlite.org/howtocorrupt.html, «Posix advisory locks»), and settings are read while the ledger is in use.
"""

import re
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

SCHEME = "sqlite://"
APPLICATION_ID = 0x6F6D7372  # «omsr», in the header of each of our files
MOUNTS = Path("/proc/self/mounts")  # on Linux; elsewhere the file system is unknown, and nothing is refused
# «WAL does not work over a network filesystem» (https://sqlite.org/wal.html); on many of these, locks do not, either.
NETWORK = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "coda", "fuse", "gfs2", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs"}
    | {"nfs4", "ocfs2", "orangefs", "pvfs2", "smb3", "smbfs"}
)


@dataclass(frozen=True, slots=True)
class SqliteAddress:
    """A file that can be a ledger: one of ours, an empty one, or one that does not exist yet."""

    path: Path
    scheme: ClassVar[str] = "sqlite"


def parse_sqlite_address(text: str) -> SqliteAddress:
    """Parse an address, and check the file.

    Raises:
        ValueError: The file cannot be a ledger; the message says why, without a value.
    """
    path = Path(text.removeprefix(SCHEME))
    if not path.is_absolute() or "\0" in text:
        raise ValueError("must be sqlite:///path, with the absolute path of a file")
    try:
        if not path.parent.is_dir():
            raise ValueError("names a file in a folder that does not exist")
        if path.exists() and not path.is_file():
            raise ValueError("names a folder, or something else that is no file")
        if _is_on_network(path.parent.resolve()):
            raise ValueError("names a file on a network file system, where SQLite is not safe")
        if path.exists() and path.stat().st_size and not _is_ledger(path):
            raise ValueError("names a file that is no ledger of this program")
    except OSError as error:
        raise ValueError(f"names a file that cannot be read ({type(error).__name__})") from None
    return SqliteAddress(path)


def file_uri(path: Path) -> str:
    """The URI with which SQLite opens the file for reading and writing, and does not create it."""
    return f"file:{quote(str(path))}?mode=rw"


def _is_ledger(path: Path) -> bool:
    """Whether the file is one of ours. True if it is locked or not readable now: then its first use shows it."""
    import sqlite3  # noqa: PLC0415  # not every deployment needs it

    try:
        with closing(sqlite3.connect(file_uri(path), uri=True, timeout=0.1)) as file:
            return bool(file.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,))
    except sqlite3.OperationalError:
        return True
    except sqlite3.DatabaseError:
        return False


def _is_on_network(folder: Path) -> bool:
    """Whether the folder is on a network file system: the last one mounted on it, or on the nearest folder above."""
    lines = MOUNTS.read_text("utf-8", "surrogateescape").splitlines() if MOUNTS.exists() else []
    kinds = {Path(_unescaped(where)): kind for _, where, kind, *_ in (line.split(" ") for line in lines)}
    kind = next((kinds[above] for above in (folder, *folder.parents) if above in kinds), "")
    return kind.partition(".")[0] in NETWORK


def _unescaped(name: str) -> str:
    """A name in MOUNTS, where spaces, tabs, line breaks and backslashes are octal escapes."""
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), name)
