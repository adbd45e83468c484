"""Reads JSON from outside within bounds on its nesting and its size. No I/O here."""

import re
from itertools import accumulate
from typing import Any

from pydantic_core import from_json

MAX_CONTAINERS = 20_000
MAX_LEVELS = 200
STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
NOT_BRACKETS = bytes(byte for byte in range(256) if byte not in STEPS)
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
    if brackets(raw) > MAX_LEVELS:  # brackets within strings do not count, but few texts have so many
        bare = STRING.sub(b"", raw)
        if brackets(bare) > MAX_CONTAINERS:
            raise TooManyContainers
        if max(accumulate((STEPS[byte] for byte in bare.translate(None, NOT_BRACKETS)), initial=0)) > MAX_LEVELS:
            raise ValueError("too many levels")
    return from_json(raw, allow_inf_nan=False)


def brackets(text: bytes) -> int:
    """The number of opening brackets and braces in a text, including those within strings."""
    return text.count(b"{") + text.count(b"[")
