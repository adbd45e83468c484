"""How long the first failed event takes with each ledger: from exec of the function to its reply.

    python tests/bench/cold_ledgers.py [--rounds 10] [--beside FOLDER]

The ledgers are in memory, in a file, in a Valkey, in fake-gcs-server and in the simulator's object store, all on
loopback; they take turns, and ratios are made within a round. `--beside` is the folder `function/` of another release,
which is asked with the ledgers that release 0.2.0 has. It ends by itself.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / folder) for folder in ("tests", "infra/demo", "infra/simulator", "function")]

from example_settings import TASK  # noqa: E402  # the same
from gcs_server import BUCKET, gcs_server  # noqa: E402  # run as a program, it finds them only now
from processes import EXAMPLE, FUNCTION, Running, function, simulator  # noqa: E402  # the same
from redis_server import RedisServer  # noqa: E402  # the same

EVENT = {"ce-specversion": "1.0", "ce-type": "oms.task.failed", "ce-source": "/oms"}
BEARER = {"Authorization": f"Bearer {EXAMPLE['CALLER_BEARER_TOKENS']}"}
SHARED = ("memory", "redis")  # by releases 0.2.0 and 0.3.0


@contextmanager
def ledgers(oms: Running) -> Iterator[dict[str, dict[str, str]]]:
    """The settings of each, by the word that begins its address."""
    with RedisServer() as redis, gcs_server() as gcs, tempfile.TemporaryDirectory() as folder:
        yield {
            "memory": {"RESTART_LEDGER": "memory://"},
            "sqlite": {"RESTART_LEDGER": f"sqlite://{folder}/ledger.db"},
            "redis": {"RESTART_LEDGER": redis.address},
            "gs": {"RESTART_LEDGER": f"gs://{BUCKET}/cold", "STORAGE_EMULATOR_HOST": gcs},
            "obs": {"RESTART_LEDGER": "obs://example-ledger/cold", "OBS_ENDPOINT": oms.url},
        }


def first_event(source: Path, settings: Mapping[str, str], oms: Running, event_id: str) -> float:
    """Seconds from exec to the reply to an event that starts its task."""
    oms.control("POST", "/_sim/reset")
    began = time.perf_counter()
    with function(settings, source=source / "main.py") as running:
        reply = httpx.post(
            running.url, json={"task_id": TASK}, headers=BEARER | EVENT | {"ce-id": event_id}, timeout=20
        )
        took = time.perf_counter() - began
        outcome = running.receipt()["outcome"]
    assert (reply.status_code, outcome) == (204, "started"), outcome
    return took


def main() -> int:
    """Print the median of each ledger, and its ratio to the one in memory of the same release."""
    parser = argparse.ArgumentParser(description="The first event with each ledger.")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--beside", type=Path, help="function/ of another release")
    chosen = parser.parse_args()
    found: dict[tuple[str, str], list[float]] = {}
    with simulator() as oms, ledgers(oms) as settings:
        common = EXAMPLE | {"OMS_ENDPOINT": oms.url, "RESTART_BACKOFF": "0", "RESTART_BUDGET": "1000/24h"}
        rows = [("this", FUNCTION, name) for name in settings]
        rows += [("beside", chosen.beside, name) for name in SHARED if chosen.beside]
        for number in range(chosen.rounds + 1):
            for release, source, name in rows[number % len(rows) :] + rows[: number % len(rows)]:
                took = first_event(source, common | settings[name], oms, f"{release}-{name}-{number}")
                if number:  # in the first round files are read for the first time
                    found.setdefault((release, name), []).append(took)
    for (release, name), times in sorted(found.items()):
        ratio = statistics.median(a / b for a, b in zip(times, found[release, "memory"], strict=True))
        sys.stdout.write(f"{release:8}{name:8}{1000 * statistics.median(times):6.0f} ms, {ratio:.2f} x memory\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
