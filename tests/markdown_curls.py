"""The curl commands of a Markdown text, and the convention that makes them testable.

In a code block (fenced or indented) each curl that goes to the playground begins its line, goes to localhost:8080 (the
function) or localhost:9090 (the simulator), and is followed by a comment line with the status that it promises:

    curl -X POST http://localhost:9090/_sim/reset
    # 204

What follows the number in the comment is free text. A curl to another host is passed over, but only in a block that
says that it is an example: it contains `$URL` or `example.com`. Anything else is a ValueError.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from textwrap import dedent

CURL = re.compile(r"(?<![\w/.-])curl\s+[-'\"h$]")
STATUS = re.compile(r"# ?([1-5][0-9]{2})\b")
PLAYGROUND = re.compile(r"\bhttp://localhost:(8080|9090)\b")
FOR_ELSEWHERE = ("$URL", "example.com")


@dataclass(frozen=True)
class Curl:
    """One command, and the status that the text promises."""

    command: str
    status: int


def curls_of(markdown: str) -> list[Curl]:
    """Every curl that goes to the playground, in order.

    Raises:
        ValueError: A curl does not keep the convention; the message has the command.
    """
    return [curl for block in code_blocks(markdown) for curl in _curls_of_block(block)]


def code_blocks(markdown: str) -> Iterator[str]:
    """What is fenced, and what is indented by four or more, without the indentation they have in common."""
    fenced, lines = False, list[str]()
    for line in [*markdown.splitlines(), "end"]:
        fence = line.lstrip().startswith("```")
        if not fence and (fenced or line.startswith("    ") or not line.strip()):
            lines.append(line)
            continue
        yield dedent("\n".join(lines))
        fenced, lines = fenced != fence, []


def _curls_of_block(block: str) -> Iterator[Curl]:
    """A command goes on until its status, an empty line, or the next command."""
    elsewhere = any(mark in block for mark in FOR_ELSEWHERE)
    command = list[str]()
    for line in [*block.splitlines(), ""]:
        begins, status = CURL.match(line), STATUS.match(line)
        if not begins and CURL.search(line) and not elsewhere:
            raise ValueError(f"a curl must begin its line: {line}")
        if command and (begins or status or not line.strip()):
            yield from _curl("\n".join(command), int(status[1]) if status else None, elsewhere=elsewhere)
            command = []
        if begins or command:
            command.append(line)


def _curl(command: str, status: int | None, *, elsewhere: bool) -> Iterator[Curl]:
    if not PLAYGROUND.search(command):
        if not elsewhere:
            raise ValueError(f"goes neither to the playground nor, said so, elsewhere: {command}")
    elif status is None:
        raise ValueError(f"promises no status: {command}")
    else:
        yield Curl(command, status)
