"""Reads control input and names the field that is wrong. No I/O here."""

from collections.abc import Collection
from typing import Any


class Unusable(ValueError):
    """Control input the simulator cannot use: which field, and why."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


def members(value: object, where: str, known: Collection[str]) -> dict[str, Any]:
    """An object with no other members than the known."""
    if not isinstance(value, dict):
        raise Unusable(where, "must be an object")
    for name in value:
        if name not in known:
            raise Unusable(f"{where}.{name}", "is not known")
    return value


def items(value: object, where: str) -> list[Any]:
    """A list."""
    if not isinstance(value, list):
        raise Unusable(where, "must be a list")
    return value


def text(value: object, where: str) -> str:
    """A string."""
    if not isinstance(value, str):
        raise Unusable(where, "must be a string")
    return value


def texts(value: object, where: str) -> tuple[str, ...]:
    """A list of strings."""
    return tuple(text(item, f"{where}[{n}]") for n, item in enumerate(items(value, where)))


def text_map(value: object, where: str) -> dict[str, str]:
    """An object of strings, whatever their names."""
    if not isinstance(value, dict):
        raise Unusable(where, "must be an object")
    return {name: text(item, f"{where}.{name}") for name, item in value.items()}


def one_of(value: object, where: str, choices: Collection[str]) -> str:
    """One of a few strings."""
    if not isinstance(value, str) or value not in choices:
        raise Unusable(where, f"must be one of {', '.join(repr(choice) for choice in choices)}")
    return value


def flag(value: object, where: str) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise Unusable(where, "must be true or false")
    return value


def whole(value: object, where: str, low: int, high: int) -> int:
    """A whole number within bounds."""
    # True is an int to Python, but a slip in a control document.
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise Unusable(where, f"must be a whole number from {low} to {high}")
    return value


def number(value: object, where: str, high: float = 1e9) -> float:
    """A number from 0 up."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= high:
        raise Unusable(where, f"must be a number from 0 to {high:g}")
    return float(value)
