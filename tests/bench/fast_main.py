"""The deployed function with its clock running as fast as the simulator's. Only nights.py starts it.

Which release it is, PYTHONPATH says: the folder that holds its main.py comes first there.
"""

import os
from datetime import UTC, datetime
from functools import partial

import restarter.app
from oms_simulator.fast_clock import clock

shown_time = clock(os.environ)
restarter.app.Application = partial(  # type: ignore[assignment, misc]  # before main builds one
    restarter.app.Application, now=lambda: datetime.fromtimestamp(shown_time(), UTC)
)

import main  # noqa: E402  # now

restart = main.restart
