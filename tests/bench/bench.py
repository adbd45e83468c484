"""How fast the function is, beside an empty one and two around the official SDK, in one interleaved run on two cores.

    python tests/bench/bench.py [--rounds 5] [--starts 10] [--seconds 3] [--beside FOLDER]
                                [--plot FILE] [--markdown FILE]

The function under test has one core to itself; the load and the stand-in for OMS share the other. Ratios are made
within a round; the median of the rounds is printed with the lowest and the highest. It ends with an error, and without
figures, when others used the cores, or when starts, good answers and receipts differ.
"""

import argparse
import datetime as dt
import importlib.metadata
import os
import platform
import sys
import time
from functools import partial
from pathlib import Path

from checks import Disturbed, Miscounted, undisturbed
from functions import FUNCTIONS, Function, other_release
from measure import Limits, cold_start, loads
from report import Results, text
from servers import Machine, StandIn, prepared

Functions = tuple[Function, ...]
VERSIONS = ("functions-framework", "uvicorn", "httpx", "pydantic", "huaweicloudsdkoms")


def in_turn(functions: Functions, number: int) -> Functions:
    """The functions in the order of a round: another one begins each time."""
    shift = number % len(functions)
    return functions[shift:] + functions[:shift]


def measure(
    functions: Functions, machine: Machine, oms: StandIn, chosen: argparse.Namespace, limits: Limits
) -> Results:
    """All rounds of cold starts, then all rounds of loads."""
    results: Results = {function.name: {} for function in functions}

    def note(function: Function, name: str, figure: float) -> None:
        results[function.name].setdefault(name, []).append(figure)

    for function in functions:  # the files are in memory from here on
        cold_start(function, oms, oms.https_url, machine, Limits(others_at_start=1.0))
    for number in range(chosen.starts):
        _say(f"cold starts, round {number + 1} of {chosen.starts}")
        for function in in_turn(functions, number):
            for name, address in (("cold_start", oms.url), ("cold_start_https", oms.https_url)):
                once = partial(cold_start, function, oms, address, machine, limits)
                note(function, name, undisturbed(once, _say) * 1000)
    for number in range(chosen.rounds):
        for function in in_turn(functions, number):
            found = undisturbed(partial(loads, function, oms, machine, limits), _say)
            _say(f"loads, round {number + 1} of {chosen.rounds}, {function.name}: {found['cpu']:.3f} ms CPU a call")
            for name, figure in found.items():
                note(function, name, figure)
    return results


def title() -> str:
    """The title of the picture."""
    today = dt.datetime.now(dt.UTC)
    return f"{today:%Y-%m-%d}: medians, whiskers from the lowest to the highest, one core for the function"


def head(chosen: argparse.Namespace, began: float) -> str:
    """When, where, and with which versions it was measured."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in VERSIONS)
    seconds, today = time.monotonic() - began, dt.datetime.now(dt.UTC)
    return (
        f"Measured on {today:%Y-%m-%d} by `make bench` in {seconds:.0f} s: two cores ({model}), "
        f"Python {platform.python_version()}, {versions}. {chosen.starts} cold starts and {chosen.rounds} rounds of "
        f"loads of {chosen.seconds:g} s each, interleaved; ratios within a round; median (lowest to highest). "
        f"Others had at most {chosen.others:.0%} of a core."
    )


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="of loads")
    parser.add_argument("--starts", type=int, default=10, help="of each function")
    parser.add_argument("--seconds", type=float, default=Limits.seconds, help="that each load lasts")
    parser.add_argument("--others", type=float, default=Limits.others, help="share of a core that others may have")
    parser.add_argument("--beside", type=Path, help="the folder function of an earlier release, to be measured, too")
    parser.add_argument("--plot", type=Path, help="write a picture")
    parser.add_argument("--markdown", type=Path, help="write the tables to a file, too")
    chosen = parser.parse_args()
    if min(chosen.rounds, chosen.starts, chosen.seconds) < 1:
        parser.error("rounds, starts and seconds: at least 1")
    return chosen


def main() -> int:
    """Measure, and print what may be claimed; 1 where the run was refused."""
    chosen, began = options(), time.monotonic()
    functions = FUNCTIONS + ((other_release(chosen.beside),) if chosen.beside else ())
    if chosen.plot:
        from plot import draw  # noqa: PLC0415  # needs matplotlib: to be missed before the minutes of measuring
    if len(os.sched_getaffinity(0)) < 2:
        _say("refused: two cores are needed, one for the function and one for the load")
        return 1
    limits = Limits(chosen.seconds, chosen.others, max(Limits.others_at_start, chosen.others))
    with prepared(functions) as (machine, oms):
        try:
            results = measure(functions, machine, oms, chosen, limits)
        except (Disturbed, Miscounted) as error:
            _say(f"refused: {error}")
            return 1
    summary = text(results, head(chosen, began))
    sys.stdout.write(summary + "\n")
    if chosen.markdown:
        chosen.markdown.write_text(summary + "\n")
    if chosen.plot:
        draw(results, title(), chosen.plot)
    return 0


if __name__ == "__main__":
    sys.exit(main())
