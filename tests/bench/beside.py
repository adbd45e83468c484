"""This function beside another release: both run at the same time, and the load alternates between them.

    python tests/bench/beside.py FOLDER [--starts 10]

`FOLDER` is the other release's `function/`. A turn lasts half a second, because a shared machine may change its speed
by a fifth within the twenty seconds that bench.py needs for one function. Both functions share one core and are started
anew ten times, because two processes of the same program differ by some percent, too. It ends by itself.
"""

import argparse
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

from functions import OTHER, OURS, other_release
from measure import OMS_DELAY_S, Bench, first_answer
from report import Results, Spread, markdown, ratios
from servers import prepared, serving

TURNS = 5
TURN_S = 0.5
# CPU in ms.
MEASURES: Mapping[str, Callable[[Bench], float]] = {
    "CPU of a call": lambda bench: bench.phase(16, TURN_S).cpu_ms,
    "CPU of an event with an id": lambda bench: bench.phase(16, TURN_S, named=True).cpu_ms,
    "calls a second": lambda bench: bench.phase(16, TURN_S).loaded.rate,
    "calls a second, 200 connections": lambda bench: bench.phase(200, 3 * TURN_S, OMS_DELAY_S).loaded.rate,
}


def main() -> int:
    """Print one table: each measure of both, and the ratio of each turn."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--starts", type=int, default=10)
    chosen = parser.parse_args()
    functions = (OURS, other_release(chosen.folder))
    results: Results = {function.name: {} for function in functions}
    with prepared(functions) as (machine, oms):
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
                    for measure, figure in MEASURES.items():
                        for name, bench in benches[:: 1 if number % 2 else -1]:
                            results[name].setdefault(measure, []).append(figure(bench))
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
