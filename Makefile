# Set-up, demonstration, tests. A fresh machine needs Python 3.11 or newer and make.
PYTHON ?= python3
WORKERS ?= auto
BIN := .venv/bin
RUNTIME := function/requirements.txt
SHARED := function/requirements-redis.txt
WATCHED := function/requirements-otel.txt
DEMO := infra/demo/requirements.txt
DEV := tests/requirements.txt
BENCH := tests/bench/requirements.txt
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	--no-emit-index-url --custom-compile-command "make lock" pyproject.toml

.PHONY: demo run test check lock package bench clean

demo: .venv/demo ## start simulator and function, play every sample of events/, print what became of each
	$(BIN)/python infra/demo/demo.py

run: .venv/demo ## keep simulator and function up until Ctrl-C, and show each receipt as one line
	$(BIN)/python infra/demo/playground.py

test: .venv/dev check ## everything that the gate runs
	$(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile --cov

check: .venv/dev ## format, lint, types, layers
	$(BIN)/ruff format --check --quiet
	$(BIN)/ruff check --quiet
	$(BIN)/mypy
	cd function && ../$(BIN)/lint-imports --config ../pyproject.toml

lock: .venv/dev ## make the requirement files anew from pyproject.toml, with hashes and without addresses
	$(LOCK) --output-file $(RUNTIME)
	$(LOCK) --extra redis --constraint $(RUNTIME) --output-file $(SHARED)
	$(LOCK) --extra otel --constraint $(RUNTIME) --output-file $(WATCHED)
	$(LOCK) --extra demo --constraint $(RUNTIME) --output-file $(DEMO)
	$(LOCK) --extra redis --extra otel --extra demo --extra dev --constraint $(RUNTIME) --output-file $(DEV)
	$(LOCK) --extra bench --constraint $(DEV) --output-file $(BENCH)

bench: .venv/bench ## measure it beside a bare function and one around the official SDK
	PYTHONPATH=infra/local:tests/bench $(BIN)/python tests/bench/bench.py --plot .github/bench.png

package: .venv/dev ## build/oms-task-restarter.zip for FunctionGraph, and the bill of what is in it
	$(BIN)/python infra/package/build.py

clean:
	rm -rf .venv build dist

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/demo: .venv/bin/python $(DEMO)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement $(DEMO)
	touch $@

.venv/bench: .venv/dev $(BENCH)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement $(BENCH)
	touch $@

.venv/dev: .venv/bin/python $(DEV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement $(DEV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@ .venv/demo
