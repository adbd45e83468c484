"""The playground: simulator and function stay up until Ctrl-C, and each receipt is shown as one readable line.

    python infra/demo/playground.py [--json]

PORT (8080) is the function's port, OMS_PORT (9090) the simulator's. With --json stdout has the receipts as the function
writes them (on a terminal, control characters are escaped) and nothing else. It ends with 0 after Ctrl-C or SIGTERM,
and with 1 when it cannot start or one of the two processes ends by itself; the other one is ended, too.
"""

import argparse
import os
import queue
import signal
import sys

sys.dont_write_bytecode = True  # nothing is left behind, not even beside the programs

import threading  # noqa: E402  # after the line above
from contextlib import ExitStack  # noqa: E402
from datetime import UTC, datetime  # noqa: E402

from rich.console import Console  # noqa: E402
from rich.text import Text  # noqa: E402

from child_processes import Lines  # noqa: E402
from example_settings import EXAMPLE, REPEATABLE  # noqa: E402
from ports import Ports, UnusablePort, check_free, read_ports  # noqa: E402
from processes import Running, function, simulator  # noqa: E402
from receipt_lines import printable, printable_json, readable  # noqa: E402
from welcome import welcome  # noqa: E402

TICK_S = 0.1
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
NO_BYTECODE = {"PYTHONDONTWRITEBYTECODE": "1"}


class Screen:
    """What a person sees: receipts on stdout; the function's log and messages on stderr."""

    def __init__(self, *, raw: bool) -> None:
        self._raw = raw
        self._out, self._err = Console(soft_wrap=True, highlight=False), Console(stderr=True, soft_wrap=True)

    def welcome(self, ports: Ports) -> None:
        """Show how to use the two processes; beside raw receipts, on stderr."""
        (self._err if self._raw else self._out).print(Text(welcome(ports)))

    def receipt(self, line: str) -> None:
        """Show a line that the function wrote to stdout."""
        if self._raw:
            sys.stdout.write(printable_json(line) if sys.stdout.isatty() else line)
            sys.stdout.flush()
        else:
            self._out.print(readable(line, datetime.now(UTC).astimezone()))

    def log(self, line: str) -> None:
        """Show a line that the function wrote to stderr."""
        self._err.print(Text(printable(line.rstrip("\n")), "dim"))

    def message(self, text: str) -> None:
        """Say why the playground ends."""
        self._err.print(Text(printable(text), "bold red"))


class Playground:
    """Both processes, and what the function writes."""

    def __init__(self, ports: Ports, screen: Screen, stop: threading.Event) -> None:
        self._ports = ports
        self._screen = screen
        self._stop = stop
        self._receipts: Lines = queue.Queue()
        self._log: Lines = queue.Queue()

    def play(self) -> str | None:
        """Run until told to stop; why it ended, where nobody told it to. When it returns, both processes have ended."""
        with ExitStack() as stack:
            try:
                oms, running = self._start(stack)
            except RuntimeError as error:
                why: str | None = f"The playground cannot start: {error}."
            else:
                self._screen.welcome(self._ports)
                why = self._watch({"simulator": oms, "function": running})
        self._show(0)
        return why

    def _start(self, stack: ExitStack) -> tuple[Running, Running]:
        oms = stack.enter_context(simulator(self._ports.oms, NO_BYTECODE))
        settings = EXAMPLE | REPEATABLE | NO_BYTECODE | {"OMS_ENDPOINT": oms.url}
        target = function(settings, self._ports.function, stdout=self._receipts, stderr=self._log)
        return oms, stack.enter_context(target)

    def _watch(self, processes: dict[str, Running]) -> str | None:
        """Show what the function writes until told to stop, or until one process has ended by itself."""
        while not self._stop.is_set():
            for name, running in processes.items():
                if (status := running.process.poll()) is not None:
                    return f"The {name} has ended by itself (exit status {status}), so everything is ended."
            self._show(TICK_S)
        return None

    def _show(self, seconds: float) -> None:
        """What was written until now, and the first receipt that comes within `seconds`."""
        while not self._log.empty():
            self._screen.log(self._log.get())
        try:
            while True:
                self._screen.receipt(self._receipts.get(timeout=seconds) if seconds else self._receipts.get_nowait())
                seconds = 0
        except queue.Empty:
            return


def main(arguments: list[str] | None = None) -> int:
    """Play, and say in the exit status how it ended."""
    parser = argparse.ArgumentParser(description="The simulator and the function, until Ctrl-C.")
    parser.add_argument("--json", action="store_true", help="receipts as the function writes them")
    screen, stop = Screen(raw=parser.parse_args(arguments).json), threading.Event()
    for number in SIGNALS:
        signal.signal(number, lambda *_: stop.set())
    try:
        ports = read_ports(os.environ)
        check_free(ports)
        why = Playground(ports, screen, stop).play()
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
