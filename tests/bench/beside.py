"""This function beside another release: both run at the same time, and the load alternates between them.

    python tests/bench/beside.py FOLDER [--starts 10]

`FOLDER` is the other release's `function/`. A turn lasts half a second, because a shared machine may change its speed
by a fifth within the twenty seconds that bench.py needs for one function. Both functions share one core and are started
anew ten times, because two processes of the same program differ by some percent, too. It ends by itself.
"""

import argparse
import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from environment import make_certificate, make_environments
from functions import OTHER, OURS, other_release
from measure import OMS_DELAY_S, Bench, Phase, first_answer
from report import Results, Spread, markdown, ratios
from servers import Machine, serving, stand_in

TURNS = 5
TURN_S = 0.5
MEASURES = ("CPU of a call", "CPU of an event with an id", "calls a second", "calls a second, 200 connections")


def turn(bench: Bench, name: str) -> float:
    """One figure of a function: CPU in ms, or calls a second."""
    if name == "CPU of an event with an id":
        return bench.phase(16, TURN_S, named=True).cpu_ms
    if name == "calls a second, 200 connections":
        return bench.phase(200, 3 * TURN_S, OMS_DELAY_S).loaded.rate
    phase: Phase = bench.phase(16, TURN_S)
    return phase.cpu_ms if name == "CPU of a call" else phase.loaded.rate


def main() -> int:
    """Print one table: each measure of both, and the ratio of each turn."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--starts", type=int, default=10)
    chosen = parser.parse_args()
    functions = (OURS, other_release(chosen.folder))
    cores = sorted(os.sched_getaffinity(0))
    results: Results = {function.name: {} for function in functions}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        home = Path(folder)
        make_environments(home, functions)
        machine = Machine(cores[-1], cores[0], home)
        os.sched_setaffinity(0, {machine.load_core})
        oms = stack.enter_context(stand_in(machine.load_core, *make_certificate(home)))
        for start in range(chosen.starts):
            with ExitStack() as running:
                benches = []
                for function in functions[:: 1 if start % 2 else -1]:
                    server = running.enter_context(serving(function, oms.url, machine))
                    first_answer(server)
                    server.new_receipts(1)
                    benches.append((function.name, Bench(server, oms, machine)))
                    benches[-1][1].phase(16, TURN_S)
                for number in range(TURNS):
                    for measure in MEASURES:
                        for name, bench in benches[:: 1 if number % 2 else -1]:
                            results[name].setdefault(measure, []).append(turn(bench, measure))
            sys.stderr.write(f"start {start + 1} of {chosen.starts}\n")
    rows = []
    for measure in MEASURES:
        ours, other = (results[name][measure] for name in (OURS.name, OTHER))
        quarters = sorted(ratios(ours, other))[len(ours) // 4 : len(ours) - len(ours) // 4]
        digits = 3 if measure.startswith("CPU") else 0
        rows.append((measure, Spread.of(ours).text(digits), Spread.of(other).text(digits), Spread.of(quarters).text()))
    sys.stdout.write(markdown(("measure", "this", "the other", "ratio (middle half of the turns)"), rows) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
