"""The sample deliveries of events/: HTTP requests in files, with what they show in the lines above them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

EVENTS = Path(__file__).parents[2] / "events"
FOLDERS = ("valid", "ignored", "invalid")


@dataclass(frozen=True)
class Sample:
    """One delivery; `folder` and `outcome` say what must become of it."""

    folder: str
    name: str
    about: str
    outcome: str
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def by_platform(self) -> bool:
        """FunctionGraph posts to /invoke, and has proved the caller itself."""
        return self.path == "/invoke"


def read_all() -> Iterator[Sample]:
    """Every sample, folder by folder."""
    for folder in FOLDERS:
        for file in sorted((EVENTS / folder).glob("*.http")):
            yield read(file)


def read(file: Path) -> Sample:
    """`# about`, `# outcome: word`, request line, headers, an empty line, and the body without its last newline."""
    head, _, body = file.read_text("utf-8").replace("{{now}}", _now()).partition("\n\n")
    lines = head.splitlines()
    notes = [line.removeprefix("#").strip() for line in lines if line.startswith("#")]
    request_line, *headers = [line for line in lines if not line.startswith("#")]
    method, path, _ = request_line.split(" ")
    outcome = [note.removeprefix("outcome:").strip() for note in notes if note.startswith("outcome:")]
    return Sample(
        folder=file.parent.name,
        name=file.stem,
        about=" ".join(note for note in notes if not note.startswith("outcome:")),
        outcome=outcome[0],
        method=method,
        path=path,
        headers={name: value.strip() for name, _, value in (header.partition(":") for header in headers)},
        body=body.removesuffix("\n").encode(),
    )


def _now() -> str:
    """Events of today: an old one is refused."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
