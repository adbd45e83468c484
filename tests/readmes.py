"""What the READMEs consist of: headings, tables, code blocks, links."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Document:
    """A Markdown file of the repository, read once."""

    path: Path
    text: str

    @classmethod
    def read(cls, name: str) -> "Document":
        """Read the file of that name; it is relative to the repository."""
        return cls(ROOT / name, (ROOT / name).read_text("utf-8"))

    @property
    def prose(self) -> str:
        """The text without its code blocks."""
        return "".join(part for part in _parts(self.text) if not _is_code(part))

    @property
    def code_blocks(self) -> list[str]:
        """Fenced and indented blocks, in order."""
        return [part.strip("\n") for part in _parts(self.text) if _is_code(part)]

    @property
    def headings(self) -> list[tuple[int, str]]:
        """Level and text of each heading."""
        found = re.findall(r"^(#{1,6}) (.+)$", self.prose, re.MULTILINE)
        return [(len(marks), text.strip()) for marks, text in found]

    @property
    def tables(self) -> list[list[list[str]]]:
        """The cells of each table, its head and the line below it included."""
        blocks = re.findall(r"(?:^ *\|.*\n)+", self.prose, re.MULTILINE)
        return [[_cells(line) for line in block.splitlines()] for block in blocks]

    @property
    def anchors(self) -> set[str]:
        """The anchors of the headings, as GitHub makes them."""
        names: set[str] = set()
        for _, text in self.headings:
            name = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
            names.add(next(one for one in (name, *(f"{name}-{n}" for n in range(1, 99))) if one not in names))
        return names

    @property
    def links(self) -> list[str]:
        """The target of each link and picture."""
        return re.findall(r"\]\(([^()\s]+)\)", re.sub(r"`[^`\n]*`", "", self.prose))

    def section(self, heading: str) -> "Document":
        """From a heading, given with its marks, to the next one of its level or above."""
        marks = heading.split(" ", maxsplit=1)[0]
        after = self.text.split(f"\n{heading}\n", 1)[1]
        inside = re.split(rf"^#{{1,{len(marks)}}} ", after, maxsplit=1, flags=re.MULTILINE)[0]
        return Document(self.path, f"\n{inside}")


def _parts(text: str) -> list[str]:
    """Code blocks (fenced ones, and lines indented by 4 after an empty line) and what lies between them, in order."""
    return re.split(r"(^```(?:.*\n)+?```\n|(?<=\n\n)(?: {4}.*\n|\n(?= {4}))+)", text, flags=re.MULTILINE)


def _is_code(part: str) -> bool:
    return part.startswith(("```", "    "))


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip()[1:-1])]
