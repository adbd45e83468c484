"""FunctionGraph's built-in runtime as a process of its own: `handler` is called for each event that it reads.

    python tests/functiongraph_instance.py EVENTS

EVENTS is a named pipe with one event of JSON a line. The result of each is a line `{"returned": …}` or
`{"raised": …}` on stdout, among the receipts.
"""

import json
import sys
from pathlib import Path
from typing import Any

import functiongraph


class Context:
    """What the platform hands over with each event."""

    def getRemainingTimeInMilliSeconds(self) -> int:  # noqa: N802  # the platform's names, here and below
        return 30_000

    def getSecurityAccessKey(self) -> str:  # noqa: N802
        return ""

    def getSecuritySecretKey(self) -> str:  # noqa: N802
        return ""

    def getSecurityToken(self) -> str:  # noqa: N802
        return ""

    def getUserData(self, _name: str) -> str:  # noqa: N802
        return ""


def handle(event: Any) -> dict[str, Any]:
    """What the handler returned or raised for one event."""
    try:
        return {"returned": functiongraph.handler(event, Context())}
    except functiongraph.EventNotHandled as error:
        return {"raised": str(error)}


def main() -> None:
    """Handle events until the pipe is closed."""
    functiongraph.initializer(Context())
    with Path(sys.argv[1]).open(encoding="utf-8") as events:
        for line in events:
            sys.stdout.write(json.dumps(handle(json.loads(line))) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
