# The front door for every routine job. Needs GNU make and CPython 3.11 to 3.14;
# everything else is installed, hash-checked, into .venv by `make install`.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# Two jobs would share .venv and .run; the recipes are sequences anyway.
.NOTPARALLEL:

VENV   := .venv
BIN    := $(VENV)/bin
PYTHON := $(BIN)/python
UV     := $(BIN)/uv
STAMP  := $(VENV)/.installed

# The broker under the tests and `make run`: embedded or apache.
BROKER ?= embedded
# More arguments for the command behind a target: make test ARGS="-k roster".
ARGS   ?=
# Which benchmarks `make bench` runs; empty: all.
CASE   ?=
# The interpreter that .venv is made with; empty: the first suitable one found.
BASE_PYTHON ?=

export BROKER
# Python's output reaches a pipe line by line, so that progress can be followed.
export PYTHONUNBUFFERED := 1
# A machine may forbid Python to keep what it has compiled; each start of the service, and each
# process that runs tests, would compile all of it anew.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help
help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: install venv
install: $(STAMP) ## make .venv with everything that the locks name
venv: install

# pip itself installs, since only pip follows all of its own configuration (an index, a certificate, a
# proxy, in files or in PIP_ variables), and says what it is doing. The lock is complete: pip need not look
# for dependencies.
$(STAMP): requirements-dev.lock pyproject.toml | base-python
	@if $(PYTHON) -m pip --version >/dev/null 2>&1; then exit 0; fi; \
	$(find_python); \
	echo "install: $(VENV) with $$("$$python" --version)"; \
	"$$python" -m venv --clear $(VENV) || { \
	    echo "install: '$$python -m venv' failed; on Debian: apt-get install python3-venv" >&2; \
	    rm -rf $(VENV); exit 1; }
	@$(PIP) --require-hashes --only-binary :all: --no-compile -r requirements-dev.lock
# Editable: the folder itself is on the path, so that a room added later is found.
	@PIP_REQUIRE_HASHES=0 $(PIP) --quiet --no-build-isolation --no-compile --editable .
# Compiled here, since a machine may forbid Python to do so when it imports: starts took 1.3 s more.
	@echo "install: compiling what is installed"; $(PYTHON) -m compileall -q -j 0 $(VENV)/lib
	@touch $@

PIP = PIP_USER=0 $(PYTHON) -m pip install --disable-pip-version-check --no-deps

# An interpreter that was named and is none is an error, and so is a .venv that has another.
.PHONY: base-python
base-python:
	@[ -z "$(BASE_PYTHON)" ] || { \
	$(find_python); \
	wanted=$$("$$python" --version); \
	found=$$($(PYTHON) --version 2>/dev/null) || exit 0; \
	[ "$$found" = "$$wanted" ] || { \
	    echo "install: $(VENV) has $$found, BASE_PYTHON is $$wanted; make clean first" >&2; exit 1; }; }

# Sets $$python to an interpreter that the locks hold for, or ends with a message.
define find_python
python=; \
for candidate in $(or $(BASE_PYTHON),python3.11 python3.12 python3.13 python3.14 python3 python); do \
    if "$$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' \
        >/dev/null 2>&1; then python=$$candidate; break; fi; \
done; \
if [ -z "$$python" ]; then \
    echo "install: $(if $(BASE_PYTHON),BASE_PYTHON=$(BASE_PYTHON) is,there is) no Python 3.11 to 3.14$(if \
	$(BASE_PYTHON),, on PATH); install one or name it: make BASE_PYTHON=... install" >&2; \
    exit 1; \
fi
endef

# `exec`: no shell stands between make and the program, so each signal arrives once.
.PHONY: run
run: $(STAMP) ## the service on an embedded PostgreSQL, broker and Valkey
	@exec $(PYTHON) -m devstack run $(ARGS)

.PHONY: demo
demo: $(STAMP) ## play a teacher's day against a running service
	@exec $(PYTHON) -m devstack.demo $(ARGS)

.PHONY: bench
bench: $(STAMP) ## measure; CASE=name runs one
	@exec $(PYTHON) -m bench $(CASE) $(ARGS)

.PHONY: test
test: $(STAMP) ## run all tests, side by side; BROKER=embedded|apache, ARGS=...
	@exec $(PYTHON) -m pytest $(ARGS)

.PHONY: test-long
test-long: $(STAMP) ## run the tests that have a long profile, with it
	@exec $(PYTHON) -m pytest -m long --hypothesis-profile=long --timeout=1200 $(ARGS)

.PHONY: faults
faults: $(STAMP) ## look for what faults lose; ARGS=--short or --help
	@exec $(PYTHON) -m faults $(ARGS)

.PHONY: lint
lint: $(STAMP) ## ruff, mypy and the import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# mypy computes on one core while the tests have the other, mostly.
.PHONY: check
check: $(STAMP) ## what to run before each commit: lint and the unit tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@$(BIN)/mypy & types=$$!; failed=; \
	$(BIN)/lint-imports || failed=1; \
	$(PYTHON) -m pytest tests/unit $(ARGS) || failed=1; \
	wait $$types || failed=1; \
	[ -z "$$failed" ]

# uv by way of a program that tells it what pip's configuration says.
COMPILE = $(PYTHON) -m devstack.uv $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
    --no-header --no-emit-index-url

.PHONY: lock
lock: $(STAMP) ## resolve the requirements anew; UPGRADE=1 takes newer versions
	$(COMPILE) $(if $(UPGRADE),--upgrade) --extra dev pyproject.toml -o requirements-dev.lock
	$(COMPILE) -c requirements-dev.lock pyproject.toml -o requirements.lock
	echo uv | $(COMPILE) --no-annotate -c requirements-dev.lock - -o requirements-uv.lock

.PHONY: clean
clean: ## remove .run (all data of the embedded servers), .venv and caches
# The kernel releases the lock with the run that holds it: what a killed one left behind is no hindrance.
	@[ ! -e .run/lock ] || flock --nonblock .run/lock true || { \
	    echo "clean: process $$(cat .run/lock) runs the service from .run; stop it first" >&2; exit 1; }
	rm -rf .run $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
