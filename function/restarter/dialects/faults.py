"""Describes what is wrong with a delivery, in clauses that name fields and never values. No I/O here."""

import re
from collections.abc import Iterable, Mapping

from pydantic import ValidationError

from restarter.model.errors import DeliveryError

MAX_FAULTS = 10
MAX_SHOWN_NAME = 40
FIELD_NAME = re.compile(r"[A-Za-z]+([_-][A-Za-z]+){0,5}")


class faults_of:  # noqa: N801  # it is used like those of contextlib, and is faster
    """Adds dialect and event id to a DeliveryError of the block, unless an inner block has already added them."""

    __slots__ = ("_dialect", "_event_id")

    def __init__(self, dialect: str, event_id: str | None = None) -> None:
        self._dialect = dialect
        self._event_id = event_id

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, DeliveryError):
            error.dialect = error.dialect or self._dialect
            error.event_id = error.event_id or self._event_id


def shown(name: str) -> str:
    """The name, if it looks like a field's; else `a field`: a sender may have put a secret there."""
    return name if len(name) <= MAX_SHOWN_NAME and FIELD_NAME.fullmatch(name) else "a field"


def faults(error: ValidationError | None, unknown: Iterable[str], rules: Mapping[str, str]) -> str:
    """What is wrong with a request: one clause for each fault, up to MAX_FAULTS, and the number of the rest.

    Args:
        error: What the model found. A fault of one field is described by its rule, any other by its own message.
        unknown: Names of fields that the model does not have.
        rules: For each field of the model, what its value must be.
    """
    errors = error.errors(include_url=False, include_input=False, include_context=False) if error else []
    unknown = list(unknown)
    clauses = [f"{one['loc'][0]}: {rules[str(one['loc'][0])]}" if one["loc"] else one["msg"] for one in errors]
    clauses = [*clauses, *(_unknown_field(name, rules) for name in unknown[:MAX_FAULTS])][:MAX_FAULTS]
    rest = len(errors) + len(unknown) - len(clauses)
    return "; ".join([*clauses, f"and {rest} more"] if rest else clauses)


def _unknown_field(name: str, known: Iterable[str]) -> str:
    """The clause about an unknown field, with the known name that it resembles, if there is one."""
    from difflib import get_close_matches  # noqa: PLC0415  # for an unknown field only

    place = shown(name)
    likely = get_close_matches(name.lower(), list(known), n=1) if place == name else []
    return f"unknown field: {place}" + (f" (did you mean {likely[0]}?)" if likely else "")
