"""JSON from outside, read within bounds on its nesting and its size. No I/O here."""

import re
from typing import Any

from pydantic_core import from_json

MAX_CONTAINERS = 20_000
STRING = re.compile(rb'"(?:[^"\\]++|\\.?+)*+"?+', re.DOTALL)  # possessive: one pass, whatever the text is


class TooManyContainers(ValueError):
    """The text has over MAX_CONTAINERS objects and arrays, which take the event loop too long to build."""


def read_json(text: bytes | str) -> Any:
    """The value of a JSON text: at most 200 levels and MAX_CONTAINERS containers, no NaN, no lone surrogates.

    Raises:
        TooManyContainers: It has more objects and arrays.
        ValueError: It is no such text.
    """
    raw = text.encode() if isinstance(text, str) else text
    # Brackets in strings are no containers, but few texts have so many that they must be told apart.
    if len(raw) > MAX_CONTAINERS and brackets(raw) > MAX_CONTAINERS and brackets(STRING.sub(b"", raw)) > MAX_CONTAINERS:
        raise TooManyContainers
    return from_json(raw, allow_inf_nan=False)


def brackets(text: bytes) -> int:
    """How many brackets open in a text, those within strings included."""
    return text.count(b"{") + text.count(b"[")
