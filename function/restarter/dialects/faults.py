"""What is wrong with a delivery, in sentences that name fields and never values. No I/O here."""

import re
from collections.abc import Iterable, Mapping

from pydantic import ValidationError

from restarter.model.errors import DeliveryError

MAX_FAULTS = 10
MAX_SHOWN_NAME = 40
FIELD_NAME = re.compile(r"[A-Za-z]+([_-][A-Za-z]+){0,5}")


class faults_of:  # noqa: N801  # it is used as contextlib's are, and is faster than one of those
    """A block whose errors tell of which dialect the delivery is, and which event; what an inner block said stays."""

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
    """A field's name, if it looks like one: a sender may have put a key in its place."""
    return name if len(name) <= MAX_SHOWN_NAME and FIELD_NAME.fullmatch(name) else "a field"


def faults(error: ValidationError | None, unknown: Iterable[str], rules: Mapping[str, str]) -> str:
    """What is wrong with a request, one clause for each fault; of more than MAX_FAULTS the others are counted.

    Args:
        error: What the model found. A fault of one field is told by its rule, any other by its own message.
        unknown: Names of fields that the model does not have.
        rules: Of each field that it has, what its value must be.
    """
    errors = error.errors(include_url=False, include_input=False, include_context=False) if error else []
    unknown = list(unknown)
    clauses = [f"{one['loc'][0]}: {rules[str(one['loc'][0])]}" if one["loc"] else one["msg"] for one in errors]
    clauses = [*clauses, *(_unknown_field(name, rules) for name in unknown[:MAX_FAULTS])][:MAX_FAULTS]
    rest = len(errors) + len(unknown) - len(clauses)
    return "; ".join([*clauses, f"and {rest} more"] if rest else clauses)


def _unknown_field(name: str, known: Iterable[str]) -> str:
    """The clause about an unknown field; a likely name is looked for among the known ones alone."""
    from difflib import get_close_matches  # noqa: PLC0415  # for an unknown field only

    place = shown(name)
    likely = get_close_matches(name.lower(), list(known), n=1) if place == name else []
    return f"unknown field: {place}" + (f" (did you mean {likely[0]}?)" if likely else "")
