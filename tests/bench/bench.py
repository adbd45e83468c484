"""How fast it is, beside what it could be and what it could have been: interleaved, in one run, on this machine.

    python tests/bench/bench.py [--rounds 3] [--plot FILE]

Four functions before one simulator of OMS: ours without and with a look at the task, the floor (a function of the
framework that does nothing), and the rival (a function around the official client). Figures are medians of the rounds;
a round whose starts seen by OMS are not as many as its good answers ends the run: such a figure would mean nothing.
"""

import argparse
import compileall
import http.client
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from load import Loaded, load, post
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from processes import EXAMPLE, FUNCTION, Running, free_port, simulator

HERE = Path(__file__).parent
TASK = 191297407830872
BODY = b'{"task_id": %d}' % TASK
TOKEN = EXAMPLE["CALLER_BEARER_TOKENS"]
TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Contender:
    """A function to measure, and how many calls it makes to OMS for each delivery."""

    name: str
    source: Path
    settings: dict[str, str]
    calls: int


CONTENDERS = (
    Contender("ours, look off", FUNCTION, {"RESTART_LOOK_FIRST": "false"}, 1),
    Contender("ours, look on", FUNCTION, {}, 2),
    Contender("SDK function", HERE / "rival", {}, 1),
    Contender("bare floor", HERE / "floor", {}, 0),
)


@contextmanager
def running(contender: Contender, oms: Running, home: Path) -> Iterator[Running]:
    """The function as a platform starts it, its bytecode compiled as in an image, its log thrown away."""
    port = free_port()
    settings = EXAMPLE | {"OMS_ENDPOINT": oms.url, "HOME": str(home), "PATH": os.environ["PATH"]} | contender.settings
    command = [str(Path(sys.executable).with_name("functions-framework")), "--target", "restart", "--source"]
    command += [str(home / contender.source.name / "main.py")]
    environment = settings | {"HOST": "127.0.0.1", "PORT": str(port), "PYTHONPATH": str(home / contender.source.name)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:  # noqa: S603
        try:
            yield Running(f"http://127.0.0.1:{port}", process)  # type: ignore[arg-type]  # bytes or text: it is not read
        finally:
            process.terminate()
            process.wait(TIMEOUT_S)


def first_answer(url: str, process: "subprocess.Popen[str]") -> int:
    """The status of the first request that the function takes; refused connections are tried again at once."""
    host, port = url.removeprefix("http://").split(":")
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    give_up = time.monotonic() + TIMEOUT_S
    while time.monotonic() < give_up and process.poll() is None:
        try:
            socket.create_connection((host, int(port)), 1).close()
        except OSError:
            time.sleep(0.002)
            continue
        connection = http.client.HTTPConnection(host, int(port), timeout=TIMEOUT_S)
        connection.request("POST", "/", BODY, headers)
        return connection.getresponse().status
    raise RuntimeError("the function did not start")


def peak_memory(process: "subprocess.Popen[str]") -> int:
    """Bytes that the biggest process of the function had at its peak: the worker."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    peaks = []
    for pid in (str(process.pid), *children):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        peaks += [int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")]
    return max(peaks)


def measured(contender: Contender, oms: Running, home: Path) -> dict[str, float]:
    """All measures of one contender in one round."""
    world(oms)
    figures: dict[str, float] = {}
    started_at = time.perf_counter()
    with running(contender, oms, home) as function:
        assert first_answer(function.url, function.process) in (200, 204)
        figures["cold start"] = time.perf_counter() - started_at
        load_with(function, oms, contender, connections=4, requests=200)
        alone = load_with(function, oms, contender, connections=1, requests=300)
        figures["latency"] = statistics.median(alone.seconds)
        busy = load_with(function, oms, contender, connections=16, requests=2000)
        figures["throughput"], figures["p99"] = busy.rate, busy.quantile(0.99)
        oms.control("PUT", "/_sim/rules", [{"action": {"delay": 0.1}}])
        wide = load_with(
            function, oms, contender, connections=200, requests=2000 if contender.name != "SDK function" else 400
        )
        figures["throughput at 100 ms"] = wide.rate
        figures["peak memory"] = peak_memory(function.process)
    return figures


def load_with(function: Running, oms: Running, contender: Contender, *, connections: int, requests: int) -> Loaded:
    """A load, whose good answers OMS has to confirm."""
    before = starts(oms)
    loaded = load(function.url, post(function.url, BODY, TOKEN), connections=connections, requests=requests)
    made = starts(oms) - before
    if loaded.good != requests or (contender.calls and made != loaded.good):
        raise SystemExit(
            f"{contender.name}: {requests} sent, {loaded.statuses} answered, {made} starts at OMS: no figure"
        )
    return loaded


def world(oms: Running) -> None:
    """One task that fails again as soon as it was started, and so can be started again and again."""
    oms.control("POST", "/_sim/reset")
    oms.control(
        "PUT", "/_sim/tasks", [{"id": TASK, "project_id": EXAMPLE["OMS_PROJECT_ID"], "status": 4, "after_start": 4}]
    )


def starts(oms: Running) -> int:
    """How many starts OMS has accepted."""
    accepted: int = oms.control("GET", "/_sim/tasks")[0]["starts"]
    return accepted


def compare(rounds: int) -> dict[str, dict[str, float]]:
    """Medians by contender and measure; the order changes from round to round."""
    found: dict[str, list[dict[str, float]]] = {contender.name: [] for contender in CONTENDERS}
    with tempfile.TemporaryDirectory() as folder, simulator() as oms:
        home = Path(folder)
        for source in {contender.source for contender in CONTENDERS}:
            shutil.copytree(source, home / source.name, ignore=shutil.ignore_patterns("__pycache__"))
            # rich is here for the table below; it is not deployed, and httpx imports it where it finds it.
            (home / source.name / "rich.py").write_text('raise ImportError("not deployed")')
        compileall.compile_dir(home, quiet=1)
        for number in range(rounds):
            shift = number % len(CONTENDERS)
            for contender in CONTENDERS[shift:] + CONTENDERS[:shift]:
                found[contender.name].append(measured(contender, oms, home))
    return {
        name: {measure: statistics.median(figures[measure] for figures in each) for measure in each[0]}
        for name, each in found.items()
    }


Ratio = Callable[[dict[str, dict[str, float]], str], float]


def against(measure: str, other: str) -> Ratio:
    """A measure of one contender by that of another."""
    return lambda found, name: found[name][measure] / found[other][measure]


def added(found: dict[str, dict[str, float]], name: str) -> float:
    """Latency that is added to the floor's, by what the SDK function adds."""
    floor = found["bare floor"]["latency"]
    return (found[name]["latency"] - floor) / (found["SDK function"]["latency"] - floor)


def share(found: dict[str, dict[str, float]], name: str) -> float:
    """Throughput by what 200 connections and 100 ms a call allow."""
    calls = next(contender.calls for contender in CONTENDERS if contender.name == name)
    return found[name]["throughput at 100 ms"] / (200 / 0.1 / calls)


# Measure, how it is computed, and what is asked: at least (or at most) with the look off and on, then the stretch.
ROWS: tuple[tuple[str, Ratio, str, str], ...] = (
    (
        "throughput, 16 connections, by the SDK function's",
        against("throughput", "SDK function"),
        "2.5 / 1.6",
        "4 / 2.5",
    ),
    ("p99 there, by the SDK function's", against("p99", "SDK function"), "0.6 / 0.8", "0.4"),
    ("200 connections, 100 ms: share of the possible", share, "0.70 / 0.80", "0.80 / 0.90"),
    ("the same, by the SDK function's", against("throughput at 100 ms", "SDK function"), "14 / 9", "20 / 11"),
    ("added latency, by the SDK function's", added, "0.75 / 1.0", "0.5 / 0.65"),
    ("cold start, by the bare floor's", against("cold start", "bare floor"), "2.0", "1.35"),
    ("cold start, by the SDK function's", against("cold start", "SDK function"), "1.5", "1.05"),
    ("peak memory, by the bare floor's", against("peak memory", "bare floor"), "1.9", "1.5"),
)


def table(found: dict[str, dict[str, float]]) -> Table:
    """The ratios that are claimed, beside what was asked."""
    result = Table(box=SIMPLE_HEAD, title="Medians of one interleaved run", title_justify="left")
    for column in ("measure", "look off", "look on", "asked", "stretch"):
        result.add_column(column, justify="left" if column == "measure" else "right")
    for measure, ratio, asked, stretch in ROWS:
        ours = [f"{ratio(found, name):.2f}" for name in ("ours, look off", "ours, look on")]
        result.add_row(measure, *ours, asked, stretch)
    return result


def plot(found: dict[str, dict[str, float]], file: Path) -> None:
    """The same as a picture: throughput and cold start of the four, by the SDK function's."""
    import matplotlib as mpl  # noqa: PLC0415  # only for those who want the picture

    mpl.use("Agg")
    import matplotlib.pyplot as plt  # noqa: PLC0415

    measures = ("throughput", "throughput at 100 ms", "p99", "cold start", "peak memory")
    figure, axes = plt.subplots(1, len(measures), figsize=(15, 3.2))
    for axis, measure in zip(axes, measures, strict=True):
        base = found["SDK function"][measure]
        axis.barh(list(found), [found[name][measure] / base for name in found], color=["#2a7", "#285", "#a44", "#888"])
        axis.set_title(f"{measure} (SDK function = 1)", fontsize=9)
        axis.tick_params(labelsize=8)
        axis.invert_yaxis()
    for axis in axes[1:]:
        axis.set_yticklabels([])
    figure.tight_layout()
    figure.savefig(file, dpi=110)


def main() -> int:
    """Measure, and print what may be claimed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    found = compare(options.rounds)
    console = Console(width=None if sys.stdout.isatty() else 120)
    console.print(table(found))
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        "",
    )
    console.print(f"{os.cpu_count()} cores, {model}, Python {sys.version.split()[0]}, {options.rounds} rounds")
    if options.plot:
        plot(found, options.plot)
    return 0


if __name__ == "__main__":
    sys.exit(main())
