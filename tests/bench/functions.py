"""The functions that are compared, and the settings that they start with. No I/O here."""

from dataclasses import dataclass, field, replace
from pathlib import Path

HERE = Path(__file__).parent
TOKEN = "example-caller-token-0001"
# The keys open nothing: the stand-in takes every signature.
SETTINGS = {
    "OMS_REGION": "cn-north-4",
    "OMS_PROJECT_ID": "2c0689c860ad4728a497ffffc0844383",
    "HUAWEICLOUD_SDK_AK": "AKEXAMPLE0000000001",
    "HUAWEICLOUD_SDK_SK": "SKEXAMPLE00000000000000000000000000000001",
    "OMS_SRC_AK": "source-access-key",
    "OMS_SRC_SK": "source-secret-key",
    "OMS_DST_AK": "destination-access-key",
    "OMS_DST_SK": "destination-secret-key",
    "CALLER_BEARER_TOKENS": TOKEN,
}


@dataclass(frozen=True)
class Function:
    """A function to measure: its folder, its environment, its settings, its calls to OMS for each start.

    `receipts`: it is ours, which writes them.
    """

    name: str
    source: Path
    calls: int
    receipts: bool = False
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> str:
        """The name of the environment that it runs in."""
        return "deployed" if self.receipts else "framework"


OURS = Function("ours", HERE.parents[1] / "function", 2, receipts=True)
SDK = Function("SDK function", HERE / "sdk_function", 1)
SDK_CHECKED = Function("SDK function, checked", HERE / "sdk_checked_function", 1)
EMPTY = Function("empty function", HERE / "empty_function", 0)
FUNCTIONS = (OURS, SDK, SDK_CHECKED, EMPTY)
OTHER = "the other release"


def other_release(folder: Path) -> Function:
    """The function of another checkout; it runs with the packages of ours."""
    return replace(OURS, name=OTHER, source=folder.resolve())
