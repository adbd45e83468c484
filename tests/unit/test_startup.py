"""What start-up imports: only what the first delivery needs; the rest comes when it is needed."""

import json
import subprocess
import sys
from pathlib import Path

from child_processes import child_environment
from example import ENVIRONMENT

FUNCTION = Path(__file__).parents[2] / "function"
CODE = """
import json, sys
import functions_framework.aio, gunicorn.app.base, uvicorn_worker, uvicorn.protocols.http.h11_impl
before = set(sys.modules)
import main
print(json.dumps(sorted({name.partition(".")[0] for name in set(sys.modules) - before})))
"""

# What httpx, its transport, pydantic and the log need, and what they bring.
MAY = {"annotated_types", "certifi", "dotenv", "httpx", "idna", "pydantic", "pydantic_core", "pydantic_settings"}
MAY |= {"restarter", "main", "typing_inspection", "typing_extensions", "cachetools", "anyio", "sniffio"}
MAY |= {"httpcore", "h11", "httptools", "cython_runtime"}
# httpx looks for its own command's table and colours, and finds them only where rich is installed.
MAY |= {"rich", "pygments", "markdown_it", "mdurl", "click"}


def imported(**settings: str) -> set[str]:
    """Top-level names that start-up adds to those of the framework; of Python's own, those that it can do without."""
    environment = child_environment(**ENVIRONMENT, **settings)
    command = [sys.executable, "-c", CODE]
    done = subprocess.run(command, cwd=FUNCTION, env=environment, capture_output=True, check=True)  # noqa: S603
    own = sys.stdlib_module_names - {"sqlite3"}
    return {name for name in json.loads(done.stdout) if name not in own and not name.startswith("_")}


def test_start_up_imports_nothing_that_not_every_delivery_needs() -> None:
    assert imported() - MAY == set()


def test_a_shared_ledger_adds_its_client_and_what_that_finds_by_itself() -> None:
    added = imported(RESTART_LEDGER="redis://localhost") - MAY
    assert {"redis"} <= added <= {"redis", "cryptography", "opentelemetry"}


def test_authenticators_are_imported_when_a_caller_needs_them() -> None:
    ways = {"CALLER_WEBHOOK_SECRETS": "whsec_" + "A" * 32, "CALLER_OIDC_AUDIENCE": "a", "CALLER_OIDC_EMAILS": "a@b"}
    ways |= {"CALLER_SMN_TOPICS": "urn:smn:cn-north-4:p:t"}
    assert imported(**ways) - MAY == set()
