"""Lets programs of the demo import the function's package and the simulator's, whether or not they are installed."""

import sys
from pathlib import Path

INFRA = Path(__file__).parents[1]
FUNCTION, SIMULATOR = INFRA.parent / "function", INFRA / "simulator"
sys.path[1:1] = [str(FUNCTION), str(SIMULATOR)]
# For a child that imports them, too.
PYTHONPATH = {"PYTHONPATH": ":".join(map(str, (FUNCTION, SIMULATOR, INFRA / "demo")))}
