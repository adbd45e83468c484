"""Reports all errors in the settings at once, by name and never by value. No I/O here."""

from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError, ValidatorFunctionWrapHandler, model_validator
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

# pydantic's errors as sentences; checks in settings/types.py have their own.
SENTENCES = {
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "dict_type": "must be a JSON object",
    "finite_number": "must be a finite number",
    "float_parsing": "must be a number",
    "greater_than": "must be more than {gt:.15g}",
    "greater_than_equal": "must be at least {ge:.15g}",
    "int_parsing": "must be a whole number",
    "less_than_equal": "must be at most {le:.15g}",
    "literal_error": "must be {expected}",
    "model_type": "must be a set of fields, each a file or a variable of its own",
    "string_type": "has a value that must be a string",
    "string_too_short": "must not be empty",
    "string_too_long": "may have {max_length} characters; it has more",
    "too_long": "may have {max_length} characters; it has {actual_length}",
    "too_short": "must not be empty",
    "value_error": "{error}",
}
Fault = tuple[str, str]
"""The name of a field, and what is wrong with it."""


class SettingsError(Exception):
    """The program cannot start. `messages` has one line for each error, with the setting's name and never its value."""

    def __init__(self, messages: Iterable[str]) -> None:
        self.messages = sorted(set(messages))
        super().__init__("\n".join(self.messages))


class CheckedTogether(BaseModel):
    """A model that reports all faults at once: those of single fields, those between fields, and missing fields.

    No field is required by its type: REQUIRED says which must be given, and why.
    """

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    REQUIRED: ClassVar[dict[str, str]] = {}
    """Fields that must be given, and why."""
    NEEDS: ClassVar[dict[str, str]] = {}
    """Fields that need another one."""

    def faults_between(self, given: AbstractSet[str]) -> Iterator[Fault]:
        """The faults between fields. `given`: the fields whose value is not their default, and the faulty ones."""
        for name, why in self.REQUIRED.items():
            if name not in given:
                yield name, f"required, because {why}"
        for name, other in self.NEEDS.items():
            if name in given and other not in given:
                yield other, f"required with {name.upper()}"

    @model_validator(mode="wrap")
    @classmethod
    def _check(cls, data: Any, handler: ValidatorFunctionWrapHandler) -> Self:
        errors: list[InitErrorDetails] = []
        try:
            model: Self = handler(data)
        except ValidationError as error:
            if not isinstance(data, dict):
                raise
            errors = [
                _fault(one["loc"], _sentence(one)) for one in error.errors(include_url=False, include_input=False)
            ]
            wrong = {one["loc"][0] for one in errors}
            model = handler({name: value for name, value in data.items() if name not in wrong})
        given = {str(one["loc"][0]).lower() for one in errors}
        given |= {
            name for name, field in cls.model_fields.items() if getattr(model, name) not in ("", (), field.default)
        }
        errors += [_fault((name,), fault) for name, fault in model.faults_between(given)]
        if errors:
            raise ValidationError.from_exception_data(cls.__name__, errors, hide_input=True)
        return model


def _sentence(error: ErrorDetails) -> str:
    said = SENTENCES.get(error["type"])
    return said.format(**error.get("ctx", {})) if said else error["msg"]


def _fault(loc: tuple[int | str, ...], said: str) -> InitErrorDetails:
    return {"type": PydanticCustomError("fault", "{it}", {"it": said}), "loc": loc, "input": None}


def messages_of(error: ValidationError) -> list[str]:
    """Name and message of each error, one a line. The only parts of a value that are named are a profile's fields."""
    lines = []
    for one in error.errors(include_url=False, include_input=False, include_context=False):
        loc = [str(part).upper() for part in one["loc"] if part != "[key]"]
        lines.append(f"{'__'.join(loc) if loc[0] == 'OMS_PROFILES' else loc[0]}: {one['msg']}")
    return lines
