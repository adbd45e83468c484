"""The figures as a picture: one panel for each measure, a bar for each function, lowest and highest as whiskers."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
from functions import EMPTY
from report import COLUMNS, Results, Spread

OF_OMS = ("throughput", "throughput_200")
COLOURS = ("#2a9d6f", "#1d6f4f", "#b5483a", "#d98b6a", "#9a9a9a")


def draw(results: Results, title: str, file: Path) -> None:
    """Write the picture to a file; its ending chooses the format."""
    mpl.use("Agg")
    import matplotlib.pyplot as plt  # noqa: PLC0415  # after the choice of a backend

    figure, axes = plt.subplots(2, 4, figsize=(16, 5.4), sharey=True)
    for axis, (measure, name, digits) in zip(axes.flat, COLUMNS, strict=False):
        spreads = {function: Spread.of(found[measure]) for function, found in results.items()}
        _panel(axis, _without_oms(measure, spreads), digits)
        axis.set_title(name, fontsize=9, loc="left")
    axes[0][0].invert_yaxis()
    for axis in axes.flat[len(COLUMNS) :]:
        axis.set_visible(False)
    figure.suptitle(title, fontsize=9, x=0.01, ha="left")
    figure.tight_layout()
    figure.savefig(file, dpi=110)
    plt.close(figure)


def _without_oms(measure: str, spreads: dict[str, Spread]) -> dict[str, Spread]:
    """Throughput of the function that never calls OMS would make all other bars invisible: it has none."""
    return {name: Spread(0, 0, 0) if name == EMPTY.name and measure in OF_OMS else one for name, one in spreads.items()}


def _panel(axis: Any, spreads: dict[str, Spread], digits: int) -> None:
    medians = [spread.median for spread in spreads.values()]
    whiskers = [[one.median - one.low for one in spreads.values()], [one.high - one.median for one in spreads.values()]]
    axis.barh(list(spreads), medians, xerr=whiskers, color=COLOURS, error_kw={"elinewidth": 1, "capsize": 2})
    highest = max(spread.high for spread in spreads.values())
    for row, spread in enumerate(spreads.values()):
        label = f"{spread.median:,.{digits}f}" if spread.high else "calls no OMS"
        axis.text(spread.high + highest * 0.02, row, label, va="center", fontsize=8)
    axis.set_xlim(0, highest * 1.18)
    axis.tick_params(labelsize=8)
    axis.spines[["top", "right"]].set_visible(False)
