"""Errors of settings: all of them at once, by name and never by value. No I/O here."""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError, ValidatorFunctionWrapHandler, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError


class SettingsError(Exception):
    """The program cannot start. `messages` has one line for each error, with the setting's name and never its value."""

    def __init__(self, messages: Iterable[str]) -> None:
        self.messages = sorted(set(messages))
        super().__init__("\n".join(self.messages))


class CollectedErrors(BaseModel):
    """A model that reports the errors of single fields and those between fields together."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    NEEDS: ClassVar[dict[str, str]] = {}
    """Fields that are of no use without another."""

    @classmethod
    def errors_between(cls, given: dict[str, Any]) -> list[tuple[str, str]]:
        """Field and message for what is wrong between fields; `given` has those that are set."""
        return needed(cls.NEEDS, given.keys())

    @model_validator(mode="wrap")
    @classmethod
    def _report(cls, data: Any, handler: ValidatorFunctionWrapHandler) -> Self:
        errors: list[InitErrorDetails] = []
        if isinstance(data, dict):
            given = {str(name).lower(): value for name, value in data.items() if value is not None}
            for name, message in cls.errors_between(given):
                errors.append({"type": PydanticCustomError("between", message), "loc": (name,), "input": None})
        try:
            model: Self = handler(data)
        except ValidationError as error:
            for one in error.errors(include_url=False, include_input=False, include_context=False):
                kind = PydanticCustomError("single", "{msg}", {"msg": one["msg"]})
                errors.append({"type": kind, "loc": one["loc"], "input": None})
        if errors:
            raise ValidationError.from_exception_data(cls.__name__, errors, hide_input=True)
        return model


def needed(needs: dict[str, str], given: AbstractSet[str]) -> list[tuple[str, str]]:
    """Field and message for each field that another one, which is given, requires."""
    missing = [(other, name) for name, other in needs.items() if name in given and other not in given]
    return [(other, f"required with {name.upper()}") for other, name in missing]


def messages_of(error: ValidationError) -> list[str]:
    """Name and message, one line each. Inside a value only a profile's field is named, because it is a setting."""
    lines = []
    for one in error.errors(include_url=False, include_input=False, include_context=False):
        loc = [str(part).upper() for part in one["loc"]]
        lines.append(f"{'__'.join(loc) if loc[0] == 'OMS_PROFILES' else loc[0]}: {one['msg']}")
    return lines
