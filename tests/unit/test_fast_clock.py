"""The clock that two processes share, and that may run fast."""

import time
from pathlib import Path

from oms_simulator.fast_clock import NAME, begin, clock


def test_without_a_file_it_is_the_true_clock(tmp_path: Path) -> None:
    assert clock({}) is time.time
    assert abs(clock({NAME: str(tmp_path / "clock")})() - time.time()) < 1


def test_all_that_know_the_file_show_the_same_time_and_it_runs_as_fast_as_it_says(tmp_path: Path) -> None:
    environment = {NAME: str(tmp_path / "clock")}
    early = clock(environment)
    assert early() < 4e9
    begin(tmp_path / "clock", 5e9, 1000)
    late = clock(environment)
    first, begun = early(), time.time()
    assert 5e9 <= first <= late()
    time.sleep(0.05)
    assert abs((late() - first) / 1000 - (time.time() - begun)) < 0.02
