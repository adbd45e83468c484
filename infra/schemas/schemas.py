"""Write the schemas of events/ from the function's own models: JSON Schema of a request, OpenAPI of the whole surface.

python infra/schemas/schemas.py           write them
python infra/schemas/schemas.py --check   only say whether they are as they should be
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from openapi_document import openapi
from schema_shapes import Document, restart_request

SCHEMAS = Path(__file__).parents[2] / "events" / "schemas"


def standalone() -> Document:
    """The schema in a file of its own, with an address relative to wherever that is kept."""
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "restart_request.schema.json"}
    return head | restart_request()


def texts() -> dict[Path, str]:
    """What each file must hold."""
    documents = {"restart_request.schema.json": standalone(), "openapi.json": openapi()}
    return {SCHEMAS / name: json.dumps(document, indent=2) + "\n" for name, document in documents.items()}


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when the files are current."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args(arguments).check
    stale = {path: text for path, text in texts().items() if not path.is_file() or path.read_text("utf-8") != text}
    for path, text in stale.items():
        print(f"{path.name} {'is not current' if check else 'written'}")
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
