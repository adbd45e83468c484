"""Reads control documents with pydantic models and names the field that is wrong. No I/O here."""

import json
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, WrapValidator
from pydantic import ValidatorFunctionWrapHandler as Validate

T = TypeVar("T")


class InvalidDocument(ValueError):
    """A document that the simulator cannot use: `field` names the place, `problem` says what is wrong in words.

    `kind` is pydantic's name for it, like "missing".
    """

    def __init__(self, field: str, problem: str, kind: str = "value_error") -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem
        self.kind = kind


class Document(BaseModel):
    """Base of all control documents: strict types, no unknown fields, and no values in errors."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True, allow_inf_nan=False)


def parse(kind: type[T], value: object, name: str) -> T:
    """Read `value`, which came from JSON, as `kind`. `name` is how errors call the whole document.

    Raises:
        InvalidDocument: the value does not fit; the first wrong field is named.
    """
    try:
        return TypeAdapter(kind).validate_json(json.dumps(value))
    except ValidationError as error:
        first, *_ = error.errors(include_url=False, include_context=False, include_input=False)
        raise InvalidDocument(name + _path(first["loc"]), first["msg"], first["type"]) from None


def _path(places: tuple[int | str, ...]) -> str:
    return "".join(f"[{place}]" if isinstance(place, int) else f".{place}" for place in places)


def _pass_blank(value: Any, validate: Validate) -> Any:
    return value if value is None or value == "" else validate(value)


# OMS shows null, and by its own text an empty string, where there is nothing to say.
Blank = WrapValidator(_pass_blank)

Seconds = Annotated[float, Field(ge=0, le=1e9)]
Times = Annotated[int, Field(ge=0, le=2**31)]
Count = Annotated[int, Field(ge=0, le=2**63 - 1)]
ProjectId = Annotated[str, Field(min_length=1, max_length=1024)]
