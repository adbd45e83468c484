"""Reads JSON from outside within bounds on its nesting and its size. No I/O here."""

import re
from typing import Any

from pydantic_core import from_json

MAX_CONTAINERS = 20_000
STRING = re.compile(rb'"(?:[^"\\]++|\\.?+)*+"?+', re.DOTALL)  # possessive quantifiers: one pass over any text


class TooManyContainers(ValueError):
    """The text has over MAX_CONTAINERS objects and arrays; building them would block the event loop for too long."""


def read_json(text: bytes | str) -> Any:
    """The value of a JSON text: at most 200 levels and MAX_CONTAINERS containers, no NaN, no lone surrogates.

    Raises:
        TooManyContainers: It has more objects and arrays.
        ValueError: It is not JSON within these bounds.
    """
    raw = text.encode() if isinstance(text, str) else text
    # Brackets within strings do not count, but few texts have so many brackets that strings must be excluded.
    if len(raw) > MAX_CONTAINERS and brackets(raw) > MAX_CONTAINERS and brackets(STRING.sub(b"", raw)) > MAX_CONTAINERS:
        raise TooManyContainers
    return from_json(raw, allow_inf_nan=False)


def brackets(text: bytes) -> int:
    """The number of opening brackets and braces in a text, including those within strings."""
    return text.count(b"{") + text.count(b"[")
