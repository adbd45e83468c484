"""Check that the locks are complete: each requirement of pyproject.toml and of every pinned part has a fitting pin.

Run as a program it reads every lock, prints one line for each fault, and exits with 1 where there is any. It evaluates
markers for the Python that runs it, takes requirements from the metadata of what is installed, and needs no network.
"""

import re
import sys
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
# Each lock, and the extras of pyproject.toml that it is for. `make lock` names the same ones.
LOCKS = {
    "function/requirements.txt": (),
    "function/requirements-redis.txt": ("redis",),
    "function/requirements-otel.txt": ("otel",),
    "function/requirements-notify.txt": ("redis", "notify"),
    "infra/demo/requirements.txt": ("demo",),
    "tests/requirements.txt": ("redis", "otel", "notify", "demo", "operator", "dev"),
    "tests/bench/requirements.txt": ("bench",),
}
# What only `make bench` installs: without it the check stops there instead of calling it missing.
OPTIONAL = {"tests/bench/requirements.txt"}

HASH = re.compile(r"\s+--hash=sha256:[0-9a-f]{64}(?=\s|$)")


@dataclass(frozen=True, slots=True)
class Installed:
    """A distribution that is installed here: its version, and what it asks for, of every extra and marker."""

    version: str
    requires: tuple[Requirement, ...]


Lookup = Callable[[str], Installed | None]


@cache
def installed(name: str) -> Installed | None:
    """The metadata of `name` in this environment, or None where it is not installed."""
    try:
        found = distribution(name)
    except PackageNotFoundError:
        return None
    return Installed(found.version, tuple(Requirement(line) for line in found.requires or ()))


def wanted(extras: Iterable[str]) -> list[Requirement]:
    """What pyproject.toml asks for: the dependencies of the function, and those of the extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    lines = [*project["dependencies"]]
    for extra in extras:
        lines += project["optional-dependencies"][extra]
    return [Requirement(line) for line in lines]


def applies(requirement: Requirement, extras: Iterable[str] = ()) -> bool:
    """Whether its marker is true for this Python and platform, plain or with one of these extras of its parent."""
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras))


def lines_of(text: str) -> list[str]:
    """The requirements of a lock, each as one line with its hashes; comments and empty lines are left out."""
    whole = re.sub(r"\\\n", " ", text).splitlines()
    return [line for line in whole if line.strip() and not line.lstrip().startswith("#")]


@dataclass(slots=True)
class Check:
    """One lock being looked at: its pins by name, who asked for what of each, and the faults found so far."""

    lookup: Lookup
    optional: bool = False
    pins: dict[str, Requirement] = field(default_factory=dict)
    extras: dict[str, set[str]] = field(default_factory=dict)
    stopped: bool = False
    faults: list[str] = field(default_factory=list)

    def read(self, text: str) -> None:
        """Take the pins that apply here; each is one exact version with a hash, and there is one for a name."""
        for line in lines_of(text):
            pin = Requirement(HASH.sub("", line).strip())
            if not HASH.search(line):
                self.faults.append(f"{pin} has no hash")
            if [one.operator for one in pin.specifier] != ["=="]:
                self.faults.append(f"{pin} is not one exact version")
            elif applies(pin):
                name = canonicalize_name(pin.name)
                if name in self.pins:
                    self.faults.append(f"{name} is pinned twice")
                self.pins[name] = pin

    def walk(self, need: Requirement, by: str) -> None:
        """Look at one requirement of `by`, and then at all that it brings with it; each name and extra once."""
        name, extras = canonicalize_name(need.name), set(need.extras)
        known = self.extras.get(name)
        pin = self.pins.get(name)
        self.extras[name] = (known or set()) | extras
        if pin is None:
            self.faults.append(f"{by} asks for {need}, which has no pin")
            return
        if not need.specifier.contains(version(pin), prereleases=True):
            self.faults.append(f"{by} asks for {need}, and the pin is {plain(pin)}")
        if known is None or extras - known:
            self.enter(name, pin)

    def enter(self, name: str, pin: Requirement) -> None:
        """Look at what a pinned distribution asks for, by its own metadata; it must be installed as pinned."""
        found = self.lookup(name)
        if found is None and self.optional:
            self.stopped = True
        elif found is None or not pin.specifier.contains(found.version, prereleases=True):
            self.faults.append(f"{plain(pin)} is pinned, and {found.version if found else 'none'} is installed")
        else:
            for need in found.requires:
                if applies(need, self.extras[name]):
                    self.walk(need, name)

    def compare(self) -> None:
        """Every pin has exactly the extras that are asked for, and somebody who asks for it."""
        for name, pin in self.pins.items():
            asked = self.extras.get(name)
            if asked is None:
                if not self.stopped:
                    self.faults.append(f"{plain(pin)} is pinned, and nobody asks for it")
            elif asked - pin.extras or (pin.extras - asked and not self.stopped):
                self.faults.append(f"{name} is asked for with the extras {sorted(asked)}, and the pin is {plain(pin)}")


def version(pin: Requirement) -> str:
    """The version of a pin."""
    return next(iter(pin.specifier)).version


def plain(pin: Requirement) -> str:
    """A pin without its marker, for people."""
    return f"{pin.name}{'[' + ','.join(sorted(pin.extras)) + ']' if pin.extras else ''}{pin.specifier}"


def faults(text: str, roots: Iterable[Requirement], lookup: Lookup = installed, *, optional: bool = False) -> list[str]:
    """What is wrong with one lock, one sentence each and each once.

    Args:
        text: The lock.
        roots: What pyproject.toml asks for; their markers are looked at here.
        lookup: Finds the metadata of a distribution by its name.
        optional: Whether a part that is not installed ends the search there, instead of being a fault.
    """
    check = Check(lookup, optional)
    check.read(text)
    for root in roots:
        if applies(root):
            check.walk(root, "pyproject.toml")
    check.compare()
    return list(dict.fromkeys(check.faults))


def disagreements(texts: Iterable[str]) -> list[str]:
    """Names that are pinned at several versions: development sets are installed one upon the other."""
    versions: dict[str, set[str]] = {}
    for text in texts:
        check = Check(installed)
        check.read(text)
        for name, pin in check.pins.items():
            versions.setdefault(name, set()).add(version(pin))
    return [f"{name} is pinned as {sorted(found)}" for name, found in versions.items() if len(found) > 1]


def main() -> list[str]:
    """The faults of every lock of this repository, each with the name of its file."""
    texts = {name: (ROOT / name).read_text("utf-8") for name in LOCKS}
    found = [
        f"{name}: {fault}"
        for name, text in texts.items()
        for fault in faults(text, wanted(LOCKS[name]), optional=name in OPTIONAL)
    ]
    return found + [f"between the locks: {fault}" for fault in disagreements(texts.values())]


if __name__ == "__main__":
    if found := main():
        sys.exit("\n".join([*found, "Run `make lock` where pyproject.toml changed, and `make .venv/dev` to install."]))
