"""What a check found, as a line for people or an object for scripts. No I/O here."""

import json
from dataclasses import dataclass

import click

from restarter.cli.terminal import plain


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was checked, whether it is well, and what to do where it is not."""

    check: str
    found: str
    ok: bool = True
    to_do: str | None = None

    def as_line(self) -> str:
        """One line, its verdict in colour."""
        verdict = click.style("ok    ", fg="green") if self.ok else click.style("FAILED", fg="red")
        to_do = f". To do: {self.to_do}" if self.to_do else ""
        return f"{verdict} {plain(self.check)}: {plain(self.found + to_do)}"

    def as_json(self) -> str:
        """The same facts as one object."""
        facts = {"kind": "check", "check": self.check, "ok": self.ok, "found": self.found, "to_do": self.to_do}
        return json.dumps({name: value for name, value in facts.items() if value is not None})
