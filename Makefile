# What one types here. Needs make and Python >= 3.11, nothing else; everything goes into .venv.

VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

# The first interpreter that is new enough and can make virtual environments; PYTHON overrides.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& { echo $$p; break; }; done)

.DEFAULT_GOAL := help
.PHONY: help run test test-long test-faults test-mcp test-real lint lock openapi screenshots clean

help:  ## Show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F '\t' '{printf "  make %-11s %s\n", $$1, $$2}'

# One shell that becomes the supervisor: signals and exit code are its own.
run: $(VENV)/.base  ## Install what is missing and run Remembrancer (Ctrl-C stops it)
	@exec $(BIN)/python manage.py serve

# Python starts hundreds of times in a run: each module is compiled once, also where the environment
# asks for no bytecode, as containers do.
test: export PYTHONDONTWRITEBYTECODE :=
test-long: export PYTHONDONTWRITEBYTECODE :=
test-faults: export PYTHONDONTWRITEBYTECODE :=
# On several processes, each with a database server of its own, files in the order of
# tests/conftest.py; a choice on one.
ALL := -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder
test: $(VENV)/.test  ## Run the tests; ARGS="tests/unit -k name" chooses among them
	@exec $(BIN)/python -m pytest $(or $(ARGS),$(ALL) -m "not long and not faults")

test-long: $(VENV)/.test  ## Run what takes minutes: browsers, races, many rows, hostile values, imports of all kinds
	@exec $(BIN)/python -m pytest $(or $(ARGS),$(ALL) -m long)

test-faults: $(VENV)/.test  ## Run what goes wrong: processes killed, disks full, shared connections, the API against its document
	@exec $(BIN)/python -m pytest $(or $(ARGS),$(ALL) -m faults)

# Other people's programs, which need npm. Its node serves where the system's is too old for them.
NPM := var/npm
NPM_PACKAGES := node@22.23.3 @modelcontextprotocol/conformance@0.2.0-alpha.12 \
	@modelcontextprotocol/inspector@2.12.0

test-mcp: $(VENV)/.test  ## Ask the MCP server what others' conformance suite and Inspector ask
	@if ! command -v npm >/dev/null 2>&1; then \
		echo "skipped: npm is not installed, and the conformance suite and the Inspector come from it"; \
	elif ! npm install --silent --no-audit --no-fund --no-save --prefix $(NPM) $(NPM_PACKAGES); then \
		echo "skipped: npm could not install the conformance suite and the Inspector"; \
	else \
		MCP_NPM=$(CURDIR)/$(NPM) $(BIN)/python -m pytest tests/mcp/test_npm.py; \
	fi

# Agents as users run them, each at the version that was tried; one and a half gigabytes.
REAL := var/agents
REAL_PACKAGES := node@22.23.3 @anthropic-ai/claude-code@2.1.330 @openai/codex@0.169.0 \
	@google/gemini-cli@0.61.0 opencode-ai@1.18.33 @cursor/sdk@1.0.32 \
	@ampcode/cli@0.0.1790142911-g7618fb typescript@7.0.2 @types/node@22.20.5

test-real: $(VENV)/.test  ## Let real agents work with our plugins, against a model that tests play
	@if ! command -v npm >/dev/null 2>&1; then \
		echo "skipped: npm is not installed, and the agents come from it"; \
	elif ! npm install --silent --no-audit --no-fund --no-save --prefix $(REAL) $(REAL_PACKAGES); then \
		echo "skipped: npm could not install the agents"; \
	else \
		REAL_NPM=$(CURDIR)/$(REAL) $(BIN)/python -m pytest tests/real; \
	fi

lint: $(VENV)/.test  ## Check style, types, import direction and missing migrations
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python manage.py makemigrations --check --dry-run

# Universal and hashed, and naming no index: `pip install --require-hashes` installs exactly these.
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header --override requirements/overrides.txt

lock: $(VENV)/.test  ## Resolve requirements/*.in anew into the hashed *.txt
	$(COMPILE) requirements/base.in -o requirements/base.txt
	$(COMPILE) requirements/base.in requirements/test.in -o requirements/test.txt

openapi: $(VENV)/.test  ## Write docs/openapi.json as the server serves it
	@$(BIN)/python manage.py export_openapi_schema --api config.api.api --indent 2 --output docs/openapi.json

screenshots: $(VENV)/.test  ## Take the pictures of docs/images anew, from the demo; needs Chromium
	@exec $(BIN)/python .ci/screenshots.py $(ARGS)

clean:  ## Remove .venv and caches; the data in var/ stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# --- Installing -----------------------------------------------------------------------------

# Only when the file changed: the stamp is as old as the last installation.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --root-user-action=ignore \
	--no-deps --require-hashes

$(VENV)/.made:
	@test -n "$(PYTHON)" || { echo "Python >= 3.11 with its venv and ensurepip modules is needed (on Debian and Ubuntu: apt install python3 python3-venv); or name one: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is too old: Python >= 3.11 is needed" >&2; exit 1; }
	@echo "Making $(VENV) with $(PYTHON)"
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.base: requirements/base.txt | $(VENV)/.made
	@echo "Installing requirements/base.txt"
	@$(INSTALL) -r requirements/base.txt
	@touch $@

$(VENV)/.test: requirements/test.txt | $(VENV)/.made
	@echo "Installing requirements/test.txt"
	@$(INSTALL) -r requirements/test.txt
	@touch $@ $(VENV)/.base
