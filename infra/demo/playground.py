"""The playground: simulator, function and a page for the browser stay up until Ctrl-C; each receipt is one line.

    python infra/demo/playground.py [--json] [--settings FILE]

PORT (8080) is the function's port, OMS_PORT (9090) the simulator's, PAGE_PORT (9091, or a free one) the page's. With
--json stdout has the receipts as the function writes them (on a terminal, control characters are escaped) and nothing
else. For as long as it runs, FILE (playground.env in .venv) has the settings for the operator's command, and the
ledger is a file in a folder that is removed at the end. It ends with 0 after Ctrl-C or SIGTERM, and with 1 when it
cannot start or one of the two processes ends by itself; the other one is ended, too.
"""

import argparse
import json
import os
import queue
import signal
import sys

sys.dont_write_bytecode = True  # nothing is left behind, not even beside the programs

import socket  # noqa: E402  # after the line above
import threading  # noqa: E402
from contextlib import ExitStack, contextmanager, suppress  # noqa: E402
from dataclasses import replace  # noqa: E402
from datetime import UTC, datetime  # noqa: E402
from pathlib import Path  # noqa: E402
from tempfile import TemporaryDirectory  # noqa: E402
from typing import TYPE_CHECKING  # noqa: E402

from rich.console import Console  # noqa: E402
from rich.text import Text  # noqa: E402

import paths  # noqa: E402
from child_processes import Lines  # noqa: E402
from example_settings import EXAMPLE, REPEATABLE  # noqa: E402
from noticed_tasks import playground_world  # noqa: E402
from oms_simulator.server import listen  # noqa: E402
from page_server import Page  # noqa: E402
from ports import Ports, UnusablePort, check_free, read_ports  # noqa: E402
from processes import Running, function, simulator  # noqa: E402
from receipt_lines import printable, printable_json, readable  # noqa: E402
from signing_keys import signing_keys  # noqa: E402
from welcome import operator_settings, welcome  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

TICK_S = 0.1
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
NO_BYTECODE = {"PYTHONDONTWRITEBYTECODE": "1"}
SOURCE = Path(__file__).with_name("watched_main.py")
SETTINGS = Path(sys.prefix, "playground.env")
STEPS = '{"steps": '


class Screen:
    """What a person sees: receipts on stdout; the function's log and messages on stderr."""

    def __init__(self, *, raw: bool) -> None:
        self._raw = raw
        self._out, self._err = Console(highlight=False), Console(stderr=True, soft_wrap=True)

    def welcome(self, ports: Ports) -> None:
        """Show how to use the playground; beside raw receipts, on stderr."""
        console = self._err if self._raw else self._out
        console.print(Text(welcome(ports)), soft_wrap=True)

    def receipt(self, line: str) -> None:
        """Show a line that the function wrote to stdout."""
        if self._raw:
            sys.stdout.write(printable_json(line) if sys.stdout.isatty() else line)
            sys.stdout.flush()
        else:
            self._out.print(readable(line, datetime.now(UTC).astimezone(), self._out.width), soft_wrap=True)

    def log(self, line: str) -> None:
        """Show a line that the function wrote to stderr."""
        self._err.print(Text(printable(line.rstrip("\n")), "dim"))

    def message(self, text: str) -> None:
        """Say why the playground ends."""
        self._err.print(Text(printable(text), "bold red"))


class Playground:
    """Both processes and the page, and what the function writes."""

    def __init__(self, ports: Ports, screen: Screen, stop: threading.Event, settings: Path) -> None:
        self._ports, self._screen, self._stop, self._operator = ports, screen, stop, settings
        self._receipts: Lines = queue.Queue()
        self._log: Lines = queue.Queue()
        self._dies = threading.Event()

    def play(self) -> str | None:
        """Run until told to stop; why it ended, where nobody told it to. When it returns, both processes have ended."""
        with ExitStack() as stack:
            try:
                oms, page = self._start(stack)
                why = self._watch(oms, page)
            except RuntimeError as error:
                why = f"The playground cannot start: {error}."
        self._show(0, None)
        return why

    def _start(self, stack: ExitStack) -> tuple[Running, Page]:
        listening = self._listen_for_page()
        keys = stack.enter_context(signing_keys())
        folder = Path(stack.enter_context(TemporaryDirectory()))
        world = folder / "world.json"
        world.write_text(json.dumps(playground_world(f"http://127.0.0.1:{self._ports.page}/notice")), "utf-8")
        oms = stack.enter_context(simulator(self._ports.oms, NO_BYTECODE, world))
        smn = {name: value for name, value in keys.settings.items() if name.startswith("CALLER_SMN")}
        shared = EXAMPLE | REPEATABLE | {"OMS_ENDPOINT": oms.url, "RESTART_LEDGER": f"sqlite://{folder}/ledger.db"}
        url = f"http://localhost:{self._ports.page}"
        self._settings = shared | NO_BYTECODE | paths.PYTHONPATH | smn | {"DEMO_PAGE": url}
        target = f"http://127.0.0.1:{self._ports.function}"
        page = Page(listening, oms.url, target, keys.sender, self._dies.set)
        stack.enter_context(page.serving())
        stack.enter_context(_written(self._operator, operator_settings(shared)))
        return oms, page

    def _listen_for_page(self) -> socket.socket:
        """A socket on the page's port; on any free one, where that is taken and nobody chose it."""
        try:
            listening, _ = listen(self._ports.page)
        except OSError:
            if self._ports.page_chosen:
                raise RuntimeError("the page's port is taken") from None
            listening, _ = listen(0)
        self._ports = replace(self._ports, page=listening.getsockname()[1])
        return listening

    def _watch(self, oms: Running, page: Page) -> str | None:
        """Run the function, and another one when it was made to die, until told to stop or one has ended by itself."""
        greeted = False
        while True:
            target = function(
                self._settings, self._ports.function, source=SOURCE, stdout=self._receipts, stderr=self._log
            )
            with target as running:
                if not greeted:
                    self._screen.welcome(self._ports)
                    greeted = True
                why = self._watch_one({"simulator": oms, "function": running}, page)
                if not self._dies.is_set() or self._stop.is_set():
                    return why
                running.kill()
                self._dies.clear()
                self._screen.log("The function's process was killed from the page; another one starts.")

    def _watch_one(self, processes: dict[str, Running], page: Page) -> str | None:
        """Show what the function writes until told to stop or to let it die, or until one process has ended."""
        while not self._stop.is_set() and not self._dies.is_set():
            for name, running in processes.items():
                if (status := running.process.poll()) is not None:
                    return f"The {name} has ended by itself (exit status {status}), so everything is ended."
            self._show(TICK_S, page)
        return None

    def _show(self, seconds: float, page: Page | None) -> None:
        """What was written until now, and the first receipt that comes within `seconds`."""
        while not self._log.empty():
            line = self._log.get()
            if not line.startswith(STEPS):
                self._screen.log(line)
            elif page:
                page.tell(line)
        try:
            while True:
                self._screen.receipt(self._receipts.get(timeout=seconds) if seconds else self._receipts.get_nowait())
                seconds = 0
        except queue.Empty:
            return


@contextmanager
def _written(file: Path, text: str) -> "Iterator[None]":
    """A block in which the file has this text; a later playground's text is not removed."""
    with suppress(OSError):
        file.write_text(text, "utf-8")
    try:
        yield
    finally:
        with suppress(OSError):
            if file.read_text("utf-8") == text:
                file.unlink()


def main(arguments: list[str] | None = None) -> int:
    """Play, and say in the exit status how it ended."""
    parser = argparse.ArgumentParser(description="The simulator, the function and a page, until Ctrl-C.")
    parser.add_argument("--json", action="store_true", help="receipts as the function writes them")
    parser.add_argument("--settings", type=Path, default=SETTINGS, help="where the operator's command finds settings")
    given = parser.parse_args(arguments)
    screen, stop = Screen(raw=given.json), threading.Event()
    for number in SIGNALS:
        signal.signal(number, lambda *_: stop.set())
    try:
        ports = read_ports(os.environ)
        check_free(ports)
        why = Playground(ports, screen, stop, given.settings).play()
    except UnusablePort as error:
        why = str(error)
    except BrokenPipeError:  # whoever read the receipts has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    if why:
        screen.message(why)
    return 1 if why else 0


if __name__ == "__main__":
    sys.exit(main())
