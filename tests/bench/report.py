"""From measured figures to what may be claimed: ratios within a round, and the lowest, median and highest of them."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from functions import EMPTY, FUNCTIONS, OTHER, OURS, SDK, SDK_CHECKED
from scale import Scale

# By function, then by measure: one figure a round.
Results = dict[str, dict[str, list[float]]]


@dataclass(frozen=True)
class Spread:
    """The lowest, the median and the highest of some figures."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, figures: Sequence[float]) -> "Spread":
        """Take at least one figure."""
        return cls(min(figures), statistics.median(figures), max(figures))

    def text(self, digits: int = 2) -> str:
        """The median, and the others in brackets."""
        return f"{self.median:,.{digits}f} ({self.low:,.{digits}f} to {self.high:,.{digits}f})"


def ratios(figures: Sequence[float], base: Sequence[float]) -> list[float]:
    """Each figure by that of the same round.

    Raises:
        ValueError: they are not from the same rounds.
    """
    return [figure / other for figure, other in zip(figures, base, strict=True)]


@dataclass(frozen=True)
class Claim:
    """A measure of ours, by another function's or as it is, and what it has to be."""

    title: str
    measure: str
    base: str | None = None
    bound: float | None = None
    dream: float | None = None
    at_least: bool = False

    def spread(self, results: Results) -> Spread:
        """What was found for ours."""
        figures = results[OURS.name][self.measure]
        return Spread.of(ratios(figures, results[self.base][self.measure]) if self.base else figures)

    def met(self, spread: Spread) -> bool:
        """The median is within its bound, or there is none."""
        if self.bound is None:
            return True
        return spread.median >= self.bound if self.at_least else spread.median <= self.bound

    def row(self, results: Results) -> tuple[str, ...]:
        """Title, figure, the bound and the dream."""
        spread = self.spread(results)
        figure = spread.text() + ("" if self.met(spread) else " missed")
        word = "at least" if self.at_least else "at most"
        return self.title, figure, *(f"{word} {one:g}" if one else "" for one in (self.bound, self.dream))


CLAIMS = (
    Claim("cold start x empty function", "cold_start", EMPTY.name, 1.6, 1.45),
    Claim("cold start x SDK function", "cold_start", SDK.name, 1.2, 1.1),
    Claim("cold start x SDK function, OMS by https", "cold_start_https", SDK.name),
    Claim("CPU per call x SDK function", "cpu", SDK.name, 0.5, 0.35),
    Claim("CPU per call x SDK function, checked", "cpu", SDK_CHECKED.name),
    Claim("CPU per call with an event id x SDK function", "cpu_named", SDK.name),
    Claim("throughput, 16 connections, x SDK function", "throughput", SDK.name, 2.0, 2.8, at_least=True),
    Claim("throughput, 16 connections, x SDK function, checked", "throughput", SDK_CHECKED.name),
    Claim("200 connections, 100 ms: share of possible", "share_200", None, 0.95, 0.97, at_least=True),
    Claim("peak memory x empty function", "memory", EMPTY.name, 1.75, 1.6),
)
CLAIM_COLUMNS = ("measure", "ours", "asked", "dream")

# Measure, column, decimals.
COLUMNS = (
    ("cold_start", "cold start, ms", 0),
    ("cold_start_https", "cold start, OMS by https, ms", 0),
    ("cpu", "CPU per call, ms", 3),
    ("cpu_named", "the same with an event id, ms", 3),
    ("throughput", "calls a second, 16 connections", 0),
    ("throughput_200", "calls a second, 200 connections, OMS takes 100 ms", 0),
    ("memory", "peak memory, MiB", 1),
)


def claims(results: Results) -> list[tuple[str, ...]]:
    """The rows of the first table: what may be claimed."""
    return [claim.row(results) for claim in CLAIMS]


def figures(results: Results) -> list[tuple[str, ...]]:
    """The rows of the second table: what each function needed."""
    return [
        (function.name, *(Spread.of(results[function.name][measure]).text(digits) for measure, _, digits in COLUMNS))
        for function in FUNCTIONS
    ]


def beside(results: Results) -> list[tuple[str, ...]]:
    """The rows of the table of two releases: ours, the other one, and the ratio within a round."""
    ours, other = results[OURS.name], results[OTHER]
    return [
        (
            title,
            *(Spread.of(release[measure]).text(digits) for release in (ours, other)),
            Spread.of(ratios(ours[measure], other[measure])).text(),
        )
        for measure, title, digits in COLUMNS
    ]


def scale(results: Results) -> list[tuple[str, ...]]:
    """The rows of the third table: the medians, on paper."""
    ours = results[OURS.name]
    return [*Scale(statistics.median(ours["cpu"]), statistics.median(ours["memory"]), OURS.calls).rows()]


def markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; the first column to the left, the others to the right."""
    rule = ["---"] + ["--:"] * (len(columns) - 1)
    return "\n".join("| " + " | ".join(row) + " |" for row in (columns, rule, *rows))


def text(results: Results, head: str) -> str:
    """All tables with the sentence that says where and how they were measured."""
    tables = [
        markdown(CLAIM_COLUMNS, claims(results)),
        markdown(("function", *(title for _, title, _ in COLUMNS)), figures(results)),
        markdown(("on paper", "formula", "result"), scale(results)),
    ]
    if OTHER in results:
        tables.append(markdown(("measure", OURS.name, OTHER, "ours / other"), beside(results)))
    return "\n\n".join([head, *tables])
