"""A ledger in a file: which files it takes, who may read them, and what happens when the disk does not do as asked."""

import asyncio
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from ledger_suite import DAY, event, reserve
from restarter.ledger import Claim, Ledger, LedgerError, LedgerKeys, open_ledger, sqlite_file
from restarter.ledger.sqlite import PURGED_AT_ONCE, SqliteLedger
from restarter.settings import sqlite_address
from restarter.settings.errors import SettingsError
from restarter.settings.ledger_address import parse_ledger_address
from restarter.settings.model import load


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@contextmanager
def opened(path: Path) -> Iterator[Callable[[Any], Any]]:
    """Runs what is asked of a ledger in that file."""
    with asyncio.Runner() as runner:
        ledger = open_ledger(parse_ledger_address(f"sqlite://{path}"), time.time)
        try:
            yield lambda question: runner.run(question(ledger))
        finally:
            runner.run(ledger.close())


def claim(ledger: Ledger) -> Any:
    return ledger.claim(event("e"), 60)


def fault(path: Path) -> str:
    """Why the ledger in that file does not answer."""
    with opened(path) as ask, pytest.raises(LedgerError) as raised:
        ask(claim)
    return str(raised.value)


def test_a_file_in_which_another_process_makes_the_ledger_meanwhile_is_no_foreign_one(path: Path) -> None:
    class Meanwhile(sqlite3.Connection):
        """Between its question what the file is and the next one, somebody else makes the ledger, if it can."""

        def execute(self, sql: str, /, *values: Any) -> sqlite3.Cursor:
            found = super().execute(sql, *values)
            if sql != "PRAGMA application_id":
                return found
            (application_id,) = found.fetchone()
            found.close()
            with closing(sqlite3.connect(path, timeout=0)) as other, suppress(sqlite3.OperationalError):
                other.executescript(sqlite_file.TABLES)
            return super().execute("SELECT ?", (application_id,))

    with closing(sqlite3.connect(path, isolation_level=None, factory=Meanwhile)) as file:
        sqlite_file._prepare(file)  # noqa: SLF001  # `opened` makes the connection itself
    with opened(path) as ask:
        assert ask(claim).state is Claim.OURS


def accepted(monkeypatch: pytest.MonkeyPatch, address: str) -> str:
    """What the settings say of an address; empty when nothing."""
    monkeypatch.setenv("RESTART_LEDGER", address)
    try:
        load()
    except SettingsError as error:
        return str(error)
    return ""


def test_a_missing_or_empty_file_becomes_a_ledger(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else may read it."""
    for exists in (False, True):
        if exists:
            path.touch(0o644)
        mask = os.umask(0)
        try:
            assert accepted(monkeypatch, f"sqlite://{path}") == ""
            with opened(path) as ask:
                assert ask(claim).state is Claim.OURS
                files = sorted(path.parent.iterdir())
                assert [file.name for file in files] == ["ledger.db", "ledger.db-shm", "ledger.db-wal"]
                assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
        finally:
            os.umask(mask)
        assert accepted(monkeypatch, f"sqlite://{path}") == ""
        with opened(path) as ask:
            assert ask(claim).state is Claim.HELD
        path.unlink()


def a_folder(path: Path) -> None:
    path.mkdir()


def a_text(path: Path) -> None:
    path.write_text("somebody's notes\n" * 100, "utf-8")


def a_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE notes (text)")


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


def a_link_to_itself(path: Path) -> None:
    path.symlink_to(path)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (a_folder, "names a folder, or something else that is no file"),
        (a_pipe, "names a folder, or something else that is no file"),
        (a_text, "names a file that is no ledger of this program"),
        (a_database, "names a file that is no ledger of this program"),
    ],
)
def test_what_is_no_ledger_is_a_fault_of_the_settings(
    make: Callable[[Path], None], said: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is left as it was."""
    make(path)
    before = path.read_bytes() if path.is_file() else b""
    assert accepted(monkeypatch, f"sqlite://{path}") == f"RESTART_LEDGER: {said}"
    if before:
        assert path.read_bytes() == before
        with opened_unchecked(path) as ask, pytest.raises(LedgerError):
            ask(claim)
        assert path.read_bytes() == before


@contextmanager
def opened_unchecked(path: Path) -> Iterator[Callable[[Any], Any]]:
    """The ledger in a file that became another after the settings were read."""
    with asyncio.Runner() as runner:
        ledger = SqliteLedger(path, time.time)
        yield lambda question: runner.run(question(ledger))
        runner.run(ledger.close())


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("sqlite://", "must be sqlite:///path, with the absolute path of a file"),
        ("sqlite://ledger.db", "must be sqlite:///path, with the absolute path of a file"),
        ("sqlite://./ledger.db", "must be sqlite:///path, with the absolute path of a file"),
        ("sqlite:///nowhere/at/all/ledger.db", "names a file in a folder that does not exist"),
        ("sqlite:///" + 300 * "x" + "/y", "names a file in a folder that does not exist"),
    ],
)
def test_an_address_that_names_no_file_is_a_fault(address: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert accepted(monkeypatch, address) in (
        f"RESTART_LEDGER: {said}",
        "RESTART_LEDGER: names a file that cannot be read (OSError)",
    )


@pytest.mark.parametrize(
    ("mounts", "refused"),
    [
        ("/dev/vda / ext4 rw 0 0\nfiler:/x {folder} nfs4 rw 0 0\n", True),
        ("/dev/vda / ext4 rw 0 0\nbucket {folder} fuse.gcsfuse rw 0 0\n", True),
        ("//nas/x / cifs rw 0 0\n/dev/vdb {folder} xfs rw 0 0\n", False),
        ("/dev/vda / ext4 rw 0 0\nfiler:/x {parent} nfs rw 0 0\n", True),
        ("filer:/x {folder} nfs rw 0 0\n/dev/vdb {folder} ext4 rw 0 0\n", False),
        ("filer:/x {folder}2 nfs rw 0 0\n", False),
        ("overlay / overlay rw 0 0\n", False),
        ("", False),
    ],
)
def test_a_network_file_system_is_a_fault(
    mounts: str,
    refused: bool,  # noqa: FBT001
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its name may hold a blank, which is octal in that file."""
    folder = tmp_path / "with blank"
    folder.mkdir()
    shown = str(folder).replace(" ", "\\040")
    (tmp_path / "mounts").write_text(mounts.format(folder=shown, parent=tmp_path), "utf-8")
    monkeypatch.setattr(sqlite_address, "MOUNTS", tmp_path / "mounts")
    said = "RESTART_LEDGER: names a file on a network file system, where SQLite is not safe" if refused else ""
    assert accepted(monkeypatch, f"sqlite://{folder}/ledger.db") == said


def test_where_no_mounts_are_known_nothing_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_address, "MOUNTS", tmp_path / "none")
    assert accepted(monkeypatch, f"sqlite://{tmp_path}/ledger.db") == ""


def test_a_ledger_of_a_host_is_enough_for_a_sweep(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESTART_SWEEP", "on")
    assert accepted(monkeypatch, f"sqlite://{path}") == ""


def test_settings_that_are_read_again_leave_the_locks_of_the_ledger_alone(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that closes a file loses its locks on it: another would take the log away that this one writes to."""
    with opened(path) as ask:
        ask(claim)
        assert accepted(monkeypatch, f"sqlite://{path}") == ""
        other = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT * FROM events'); c.close()"
        subprocess.run([sys.executable, "-c", other, str(path)], check=True)  # noqa: S603
        assert path.with_name("ledger.db-wal").exists()
        assert ask(lambda ledger: ledger.claim(event("f"), 60)).state is Claim.OURS
    with opened(path) as ask:
        assert [ask(lambda ledger, e=e: ledger.claim(event(e), 60)).state for e in "ef"] == [Claim.HELD] * 2


def test_what_was_recorded_is_in_the_file_before_the_answer_is_given(path: Path) -> None:
    """As it is when the power fails: without a checkpoint, and without anything that this process still holds."""
    with opened(path) as ask:
        ask(claim)
        for file in path.parent.glob("ledger.db*"):
            shutil.copy(file, file.with_name(file.name.replace("ledger", "saved")))
        with sqlite3.connect(path) as other:
            assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        other.close()
    with opened(path.with_name("saved.db")) as ask:
        assert ask(claim).state is Claim.HELD


def test_a_file_that_another_locks_is_an_error_in_time(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is used again when it is free."""
    monkeypatch.setattr("restarter.ledger.sqlite_file.BUSY_S", 0.3)
    with opened(path) as ask, closing(sqlite3.connect(path, isolation_level=None)) as other:
        ask(claim)
        other.execute("BEGIN IMMEDIATE")
        started_at = time.monotonic()
        with pytest.raises(LedgerError, match="SQLITE_BUSY"):
            ask(claim)
        assert time.monotonic() - started_at < 1
        other.execute("ROLLBACK")
        assert ask(claim).state is Claim.HELD


def test_a_new_file_that_stays_locked_is_an_error_in_time(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("restarter.ledger.sqlite_file.BUSY_S", 0.2)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert fault(path) == "SQLITE_BUSY"
        other.execute("ROLLBACK")
    with opened(path) as ask:
        ask(claim)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode = DELETE")
        other.execute("BEGIN IMMEDIATE")
        assert fault(path) == "OperationalError"


def test_a_file_that_is_locked_is_judged_when_it_is_used(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Locked while the settings are read, it does not keep the function from starting."""
    a_database(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert accepted(monkeypatch, f"sqlite://{path}") == ""
        other.execute("ROLLBACK")
    assert accepted(monkeypatch, f"sqlite://{path}") != ""


def test_an_operation_whose_caller_gave_up_before_its_turn_is_not_begun(path: Path) -> None:
    """A delivery that ended with 503 claims nothing afterwards; what had begun is done or not."""

    async def steps(ledger: Ledger) -> Claim:
        await ledger.claim(event("first"), 60)
        with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
            other.execute("BEGIN IMMEDIATE")
            waiting = [asyncio.ensure_future(ledger.claim(event(name), 60)) for name in ("begun", "queued")]
            await asyncio.sleep(0.1)
            for one in waiting:
                one.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
            other.execute("ROLLBACK")
        return (await ledger.claim(event("queued"), 60)).state

    with opened(path) as ask:
        assert ask(steps) is Claim.OURS


def test_a_corrupt_file_is_an_error_and_nothing_is_claimed(path: Path) -> None:
    with opened(path) as ask:
        ask(claim)
    damaged = bytearray(path.read_bytes())
    damaged[4096:] = b"\xff" * (len(damaged) - 4096)
    path.write_bytes(damaged)
    with opened(path) as ask:
        for _ in range(2):
            with pytest.raises(LedgerError, match="SQLITE_CORRUPT"):
                ask(claim)


def test_a_file_that_was_replaced_or_removed_is_not_written_to_any_more(path: Path) -> None:
    with opened(path) as ask:
        ask(claim)
        for file in path.parent.glob("ledger.db*"):
            file.unlink()
        assert ask(claim).state is Claim.OURS
        with opened(path) as ask_another:
            assert ask_another(claim).state is Claim.HELD


FULL = """
import asyncio, resource, signal, sys, time
from restarter.ledger import LedgerError, EventKey, open_ledger
from restarter.settings.ledger_address import parse_ledger_address

async def main():
    ledger = open_ledger(parse_ledger_address("sqlite://" + sys.argv[1]), time.time)
    await ledger.claim(EventKey("first", "t"), 600)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
    claimed = 0
    try:
        for number in range(10_000):
            await ledger.claim(EventKey(f"e{number}", "t"), 600)
            claimed += 1
    except LedgerError as error:
        print(claimed, error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    for name in ("e0", "new"):
        print((await ledger.claim(EventKey(name, "t"), 600)).state.value)
    await ledger.close()

asyncio.run(main())
"""


def run(program: str, path: Path) -> str:
    environment = {"PYTHONPATH": str(Path(__file__).parents[2] / "function")}
    command = [sys.executable, "-c", program, str(path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_full_disk_is_an_error_and_what_was_claimed_before_is_kept(path: Path) -> None:
    failed, *after = run(FULL, path).splitlines()
    claimed, error = failed.split()
    assert int(claimed) > 0
    assert error in ("SQLITE_FULL", "SQLITE_IOERR_WRITE")
    assert after == ["held", "ours"]


READ_ONLY = """
import asyncio, os, sys, time
from restarter.ledger import LedgerError, EventKey, open_ledger
from restarter.settings.ledger_address import parse_ledger_address

async def main():
    ledger = open_ledger(parse_ledger_address("sqlite://" + sys.argv[1]), time.time)
    if os.getuid() == 0:
        os.setuid(65534)
    try:
        print(await ledger.claim(EventKey("new", "t"), 600))
    except LedgerError as error:
        print(error)

asyncio.run(main())
"""


def test_a_file_that_may_only_be_read_is_an_error(path: Path) -> None:
    with opened(path) as ask:
        ask(claim)
    path.chmod(0o444)
    path.parent.chmod(0o555)
    for folder in path.parent.parents[:2]:  # of pytest; by default nobody else may look into them
        folder.chmod(0o755)
    said = run(READ_ONLY, path).strip()
    path.parent.chmod(0o755)
    assert said in ("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_READONLY_DIRECTORY", "PermissionError")


def test_a_purge_deletes_so_many_expired_rows_at_once(path: Path) -> None:
    now = [time.time()]

    async def steps() -> list[int]:
        ledger = SqliteLedger(path, lambda: now[0])
        for number in range(PURGED_AT_ONCE + 5):
            await ledger.claim(event(f"e{number}"), 10)
        await reserve(ledger, LedgerKeys("e", "t"), "attempt")
        await ledger.mark("name", "e", 10)
        counts = []
        for seconds in (20, 0, 40 * DAY):
            now[0] += seconds
            await ledger.purge()
            with closing(sqlite3.connect(path)) as other:
                tables = ("events", "restarts", "marks")
                counts += [other.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables]  # noqa: S608
        await ledger.close()
        return counts

    assert asyncio.run(steps()) == [5, 1, 0, 0, 1, 0, 0, 0, 0]


def test_the_event_loop_goes_on_while_the_file_is_locked(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("restarter.ledger.sqlite_file.BUSY_S", 0.5)

    async def steps(ledger: Ledger) -> int:
        await claim(ledger)
        ticks = 0
        with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
            other.execute("BEGIN IMMEDIATE")
            waiting = asyncio.ensure_future(claim(ledger))
            while not waiting.done():
                await asyncio.sleep(0.01)
                ticks += 1
            assert isinstance(waiting.exception(), LedgerError)
        return ticks

    with opened(path) as ask:
        assert ask(steps) > 10
