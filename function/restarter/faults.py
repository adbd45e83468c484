"""How faults of settings are found and told: all of them at once, by name and never by value. No I/O here."""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError, ValidatorFunctionWrapHandler, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError


class SettingsError(Exception):
    """The program cannot start; one line a fault, each with the setting's name and never its value."""

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = sorted(set(faults))
        super().__init__("\n".join(self.faults))


class AllFaults(BaseModel):
    """A model that reports the faults of single fields and those between fields together."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    NEEDS: ClassVar[dict[str, str]] = {}
    """Fields that are of no use without another."""

    @classmethod
    def faults_between(cls, given: dict[str, Any]) -> list[tuple[str, str]]:
        """Field and fault for what is wrong with the fields as a whole; `given` has those that are set."""
        return needed(cls.NEEDS, given.keys())

    @model_validator(mode="wrap")
    @classmethod
    def _report(cls, data: Any, handler: ValidatorFunctionWrapHandler) -> Self:
        faults: list[InitErrorDetails] = []
        if isinstance(data, dict):
            given = {str(name).lower(): value for name, value in data.items() if value is not None}
            for name, message in cls.faults_between(given):
                faults.append({"type": PydanticCustomError("between", message), "loc": (name,), "input": None})
        try:
            model: Self = handler(data)
        except ValidationError as error:
            for fault in error.errors(include_url=False, include_input=False, include_context=False):
                kind = PydanticCustomError("single", "{msg}", {"msg": fault["msg"]})
                faults.append({"type": kind, "loc": fault["loc"], "input": None})
        if faults:
            raise ValidationError.from_exception_data(cls.__name__, faults, hide_input=True)
        return model


def needed(needs: dict[str, str], given: AbstractSet[str]) -> list[tuple[str, str]]:
    """What is missing beside something that is given."""
    missing = [(other, name) for name, other in needs.items() if name in given and other not in given]
    return [(other, f"required with {name.upper()}") for other, name in missing]


def faults_of(error: ValidationError) -> list[str]:
    """Name and fault, one line each. Inside a value only a profile's field is named: it is a setting."""
    lines = []
    for fault in error.errors(include_url=False, include_input=False, include_context=False):
        loc = [str(part).upper() for part in fault["loc"]]
        lines.append(f"{'__'.join(loc) if loc[0] == 'OMS_PROFILES' else loc[0]}: {fault['msg']}")
    return lines
