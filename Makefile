# Everything a person types. A fresh machine needs Python 3.11 or later with venv, and make.

PYTHON ?= python3
# The installer's own version; what it installs is in requirements.lock, by hash.
UV_VERSION := 0.13.8

BIN := .venv/bin
UV := $(BIN)/uv
READY := .venv/.ready
TESTS ?= tests

# Trust what the machine trusts: a company's own certificates are there, and not in uv.
export UV_SYSTEM_CERTS := true
# Code bases of their own on purpose: their app.py and tasks.py carry the names that ours have.
CALLERS := --exclude '^tests/.*/caller/'

.DEFAULT_GOAL := help
.PHONY: help setup demo up test test-all test-ops soak test-faults test-sdk check screenshots bench memory lock clean

help: ## Say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## Install everything into .venv, as requirements.lock says

demo: $(READY) ## The whole road on this machine, on real documents, without a key
	@$(BIN)/python -m dev.demo

up: $(READY) ## Run the service here; SIM=1 simulates the providers and catches mail
	@$(BIN)/python -m dev.up

test: $(READY) ## Run the tests, without those marked full or ops
	$(BIN)/python -m pytest -m "not full and not ops" $(TESTS)

test-all: $(READY) ## Run every test but those marked ops, and 6,000 simulated schedules
	$(BIN)/python -m pytest -m "not ops" $(TESTS)
	$(BIN)/python -m tests.simulation full

test-ops: $(READY) ## Run the tests marked ops: what people on call are told, by alerts, pages and commands
	@for one in chromium prometheus promtool; do command -v $$one >/dev/null || \
	  { echo "No $$one on PATH: apt-get install chromium prometheus" >&2; exit 1; }; done
	$(BIN)/python -m pytest -m ops $(TESTS)

soak: $(READY) ## Simulate for HOURS (8), from SEED on; REPLAY=seed prints one schedule again
	@$(BIN)/python -m tests.simulation $(if $(REPLAY),replay --seed $(REPLAY),soak --hours $(or $(HOURS),8) --seed $(or $(SEED),1))

test-faults: $(READY) ## Play every fault and count; BREAK=name takes a guard away, BREAK=all each
	@$(BIN)/python -m tests.faults $(if $(ONLY),--only "$(ONLY)")

test-sdk: $(READY) ## Run the official SDKs' own tests against the simulator
	@$(BIN)/python -m dev.sdk_suites

check: $(READY) ## Lint, format, types, and which module may import which
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy tests benchmarks $(CALLERS)
	$(BIN)/lint-imports

screenshots: $(READY) ## Take the pictures of docs/flower.md anew; needs chromium
	@$(BIN)/python -m tests.flower.screenshots

bench: $(READY) ## Measure throughput
	@$(BIN)/python -m benchmarks

memory: $(READY) ## Measure what the service keeps in memory
	@$(BIN)/python -m benchmarks.memory

lock: $(UV) ## Write requirements.lock anew; UPGRADE=1 takes newer versions
	$(UV) pip compile pyproject.toml \
	  --extra service --extra simulator --extra otel --group dev --universal --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
	  $(if $(UPGRADE),--upgrade) --quiet --output-file requirements.lock

clean: ## Remove what was made here: .venv, caches, data of the demo and of make up
	rm -rf .venv .demo .run .sdk-suites build dist *.egg-info
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# Compiled once here, not by each of the service's ten processes at each start.
$(READY): requirements.lock pyproject.toml | $(UV)
	$(UV) pip install --quiet --python $(BIN)/python --require-hashes --compile-bytecode -r requirements.lock
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

# Another version of uv is another name to make, so that changing it above installs it.
$(UV): .venv/.uv-$(UV_VERSION)

.venv/.uv-$(UV_VERSION):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or later is needed; '$(PYTHON)' is not. Say which: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@touch $@
