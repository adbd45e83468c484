# `make` alone says what there is. A fresh machine needs Python 3.11 or newer, its pip of whatever age, and make.
PYTHON ?= python3
WORKERS ?= 4
SECONDS ?= 3600
# Where make run writes the settings of the playground, for make operator.
PLAYGROUND ?= .venv/playground.env
BIN := .venv/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
RUNTIME := function/requirements.txt
SHARED := function/requirements-redis.txt
WATCHED := function/requirements-otel.txt
TOLD := function/requirements-notify.txt
DEMO := infra/demo/requirements.txt
DEV := tests/requirements.txt
BENCH := tests/bench/requirements.txt
# Pins that are there are kept, so a second run changes nothing; extras stay in them, for pip's resolver asks for them.
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	--no-strip-extras --no-emit-index-url --custom-compile-command "make lock" $(UPGRADE) pyproject.toml
WORKFLOWS := $(wildcard .github/workflows/*.yml)

.DEFAULT_GOAL := help
.PHONY: help demo run operator night test test-long test-any-day prove check lock upgrade package fuzz bench clean anew

help: ## this list
	@echo "Targets; all that they write is in this folder, but for the caches of pip and uv:"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile
	@echo "PYTHON=python3.12 chooses the Python (3.11 or newer), WORKERS=1 the processes that run tests."

demo: .venv/demo ## start simulator and function, play every sample of events/, print each result as it comes
	$(BIN)/python infra/demo/demo.py

run: .venv/demo ## the playground: simulator, function and a page for the browser until Ctrl-C; JSON=1 prints receipts as they are
	@$(BIN)/python infra/demo/playground.py $(if $(JSON),--json)

operator: .venv/demo ## the operator's command on the playground: make operator ARGS="failed --prefix r"
	@test -f $(PLAYGROUND) || { echo "Start the playground first, in another terminal: make run" >&2; exit 1; }
	@. $(PLAYGROUND) && PYTHONPATH=function $(BIN)/python -m restarter $(ARGS) || test $$? = 1 # which says that something is not well

night: .venv/demo ## play a night of twelve tasks with a fast clock, and draw README's picture of it
	$(BIN)/python infra/demo/night.py

# More workers than cores, for many tests wait; files in their order, so those that wait begin first. Bytecode is kept
# whatever the environment says, for each worker imports every test.
TEST := PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile --no-loadscope-reorder

test: .venv/dev check ## make check, then the tests that take no minutes, with every branch of function/
	$(TEST) -m "not long" --cov

test-long: .venv/dev ## the tests that make test leaves out: nights, storms, failovers, floods, a browser, packages
	$(TEST) -m long

test-any-day: .venv/dev ## all tests, long ones as well, with the clock moved: 400 days, midnights, time zones
	PYTHONDONTWRITEBYTECODE= $(BIN)/python tests/any_day.py --workers $(WORKERS)

prove: .venv/dev ## every order of the steps of deliveries, with faults: README's promises on each, some 20 minutes
	EXAMPLES=500 $(BIN)/python -m pytest -q tests/unit/test_ledger.py -k any_sequence
	PYTHONPATH=tests:infra/demo $(BIN)/python tests/proving.py

check: .venv/dev ## locks, dates, words, format, lint, docstrings, workflows, layers, types; without the network
	$(BIN)/python tests/locks.py
	$(BIN)/python tests/dates.py
	$(BIN)/python tests/house.py
	$(BIN)/ruff format --check --quiet
	$(BIN)/ruff check --quiet
	$(BIN)/ruff check --quiet --preview --select DOC102,DOC202,DOC403 function infra tests
	$(BIN)/actionlint -shellcheck= -pyflakes= $(WORKFLOWS)
	$(BIN)/zizmor --quiet --offline --no-progress .github
	cd function && ../$(BIN)/lint-imports --config ../pyproject.toml
	$(BIN)/mypy

lock: .venv/dev ## make the requirement files anew from pyproject.toml; pins change only where they must
	$(LOCK) --output-file $(RUNTIME)
	$(LOCK) --extra redis --constraint $(RUNTIME) --output-file $(SHARED)
	$(LOCK) --extra otel --constraint $(RUNTIME) --output-file $(WATCHED)
	$(LOCK) --extra demo --constraint $(RUNTIME) --output-file $(DEMO)
	$(LOCK) --extra redis --extra otel --extra notify --extra demo --extra operator --extra dev --constraint $(RUNTIME) --output-file $(DEV)
	$(LOCK) --extra redis --extra notify --constraint $(DEV) --output-file $(TOLD)
	$(LOCK) --extra bench --constraint $(DEV) --output-file $(BENCH)

upgrade: ## make lock, with the newest of everything
	$(MAKE) lock UPGRADE=--upgrade

package: .venv/dev ## into build/: the zip for FunctionGraph and the bill of what is in it, the wheel and the sdist
	$(BIN)/python infra/package/build.py
	$(BIN)/python infra/package/dist.py

fuzz: .venv/dev ## send hostile deliveries for an hour, or for SECONDS=60
	$(BIN)/python tests/fuzz.py --seconds $(SECONDS)

bench: .venv/bench ## measure it beside a bare function and one around the official SDK
	PYTHONPATH=infra/simulator:infra/demo:tests/bench MPLCONFIGDIR=$(CURDIR)/.venv/matplotlib \
		$(BIN)/python tests/bench/bench.py --plot .github/bench.png

clean: ## remove .venv and all that was built
	rm -rf .venv build dist .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

# A .venv that does not run, or is not of the Python that PYTHON names, is made anew; otherwise the one there will do.
VERSION := -c "import sys; print('%d.%d' % sys.version_info[:2])"
THERE := $(shell $(BIN)/python $(VERSION) 2>/dev/null)
WANTED := $(if $(filter file,$(origin PYTHON)),$(THERE),$(shell $(PYTHON) $(VERSION) 2>/dev/null))
ANEW := $(if $(THERE),$(if $(filter $(THERE),$(WANTED)),,anew),anew)

# The first Python here that would do; none is asked once one was found, and each once.
DOES = $(shell $(1) -c "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))" 2>/dev/null && echo $(1))
HERE = $(eval HERE := $(or $(call DOES,python3),$(call DOES,python3.13),$(call DOES,python3.12),$(call DOES,python3.11)))$(HERE)
ANOTHER = $(if $(HERE),or name one that is here: make PYTHON=$(HERE) $(firstword $(MAKECMDGOALS)),and try again)

.venv/pyvenv.cfg: $(ANEW)
	@$(PYTHON) -c "" 2>/dev/null || { exec >&2; \
		echo "There is no $(PYTHON) that runs: install Python 3.11 or newer, $(ANOTHER)"; exit 1; }
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" || { exec >&2; \
		echo "$(PYTHON) is `$(PYTHON) --version 2>&1`: install Python 3.11 or newer, $(ANOTHER)"; exit 1; }
	@$(PYTHON) -c "import venv, ensurepip" 2>/dev/null || { exec >&2; \
		echo "$(PYTHON) has no venv module: install it (Debian, Ubuntu: apt install python3-venv), $(ANOTHER)"; exit 1; }
	$(PYTHON) -m venv --clear .venv

# Nothing is left for pip to decide: each lock is whole (tests/locks.py), and pip check looks at the result.
define install
	@echo "Installing $(1) into .venv"
	@said=$$($(PIP) install --no-deps --require-hashes --requirement $(1) 2>&1) || { exec >&2; case "$$said" in \
		*"connection broken by"*) echo "No network: connect to it, or tell pip of an index within reach" \
			"(pip config set global.index-url ADDRESS), and try again" ;; \
		*) echo "$$said" ;; esac; exit 1; }
	@$(PIP) check
endef

.venv/demo: .venv/pyvenv.cfg $(DEMO)
	$(call install,$(DEMO))
	@touch $@

.venv/bench: .venv/dev $(BENCH)
	$(call install,$(BENCH))
	@touch $@

.venv/dev: .venv/pyvenv.cfg $(DEV)
	$(call install,$(DEV))
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@ .venv/demo
