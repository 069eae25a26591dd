# Two commands set everything up on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SEED ?= 1
KILLS ?= 50
NETWORK_RUNS ?= 3

.PHONY: all demo drill up example-dns test check lint types contracts unit system sim compiled unit-compiled wheel \
	bench bench-stages bench-edge bench-replication bench-control bench-patterns bench-neighbours \
	bench-recovery oracle moto docs lock clean

all: check

# The demo and the tests use one environment, installed from the lock file, hashes checked.
$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Farspan needs Python 3.11 or later; try: make PYTHON=python3.12"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $(STAMP)

demo: $(STAMP) ## a Region dies in mid-stream, and every event is counted
	$(BIN)/farspan demo $(ARGS)

drill: $(STAMP) ## proves failover, and writes drill.html: make drill ARGS="region-cut --for 10s"
	$(BIN)/farspan drill --up --html drill.html $(or $(ARGS),region-down)

up: $(STAMP) ## two Regions and an edge on this machine, until Ctrl-C
	$(BIN)/farspan up $(ARGS)

example-dns: $(STAMP) ## boto3 without a URL, through its own host names, while a Region dies
	$(BIN)/python examples/dns/run.py

test: $(STAMP) lint types contracts ## everything that CI runs
	$(BIN)/pytest -q
	$(MAKE) unit-compiled

check: $(STAMP) lint types contracts unit ## what to run before each commit

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

contracts: $(STAMP)
	$(BIN)/lint-imports --no-cache

unit: $(STAMP)
	$(BIN)/pytest -q tests/unit tests/conformance tests/scenarios tests/simulation tests/test_*.py

compiled: $(STAMP) ## the package with its hot modules as machine code, in build/compiled
	$(BIN)/python hatch_build.py build/compiled

unit-compiled: $(STAMP) ## the matcher's tests on its compiled form, where there is a C compiler
	@if $(BIN)/python hatch_build.py; then \
		$(BIN)/python hatch_build.py build/compiled && \
		PYTHONPATH=build/compiled FARSPAN_FORM=compiled $(BIN)/pytest -q tests/unit/pattern; \
	else echo "the compiled form is not tested"; fi

wheel: $(STAMP) ## dist/*.whl, compiled where there is a C compiler
	$(BIN)/python -m hatchling build --target wheel

system: $(STAMP) ## real processes, real faults; nightly: make system KILLS=200 NETWORK_RUNS=20 SEED=7
	FARSPAN_KILLS=$(KILLS) FARSPAN_NETWORK_RUNS=$(NETWORK_RUNS) $(if $(filter command line,$(origin SEED)),FARSPAN_SEED=$(SEED)) $(BIN)/pytest -q tests/system

sim: $(STAMP) ## one simulated history, narrated: make sim SEED=7; any number of them, checked: make sim SEEDS=10000
	$(BIN)/python tests/simulation/run.py $(if $(SEEDS),--seeds $(SEEDS),$(SEED))

bench: $(STAMP) ## measures and writes bench/results/<date>-<commit>.json
	$(BIN)/python bench/run.py $(ARGS)

bench-stages: $(STAMP) ## where one event's processor time goes
	$(BIN)/python bench/stages.py

bench-edge: $(STAMP) ## what an edge adds to a call, side by side with the Region
	$(BIN)/python bench/edge.py $(ARGS)

bench-control: $(STAMP) ## the control plane: calls with many rules, start-up, memory per rule
	$(BIN)/python bench/control.py $(ARGS)

bench-replication: $(STAMP) ## replication's rate, lag, modes and catching up
	$(BIN)/python bench/replication.py $(ARGS)

bench-patterns: $(STAMP) ## the matcher, pure and compiled; ARGS=--ruler beside event-ruler (Java)
	-$(BIN)/python hatch_build.py build/compiled
	$(BIN)/python bench/patterns.py $(ARGS)

bench-neighbours: $(STAMP) ## what a bad target costs those beside it
	$(BIN)/python bench/neighbours.py $(ARGS)

bench-recovery: $(STAMP) ## start-up and memory with a million events stored
	$(BIN)/python bench/recovery.py $(ARGS)

oracle: ## the independent IAM evaluator of tests/differential (needs node; AGPL, never shipped)
	npm ci --prefix tests/differential/policy --ignore-scripts --no-audit --no-fund

moto: $(STAMP) ## targets of other AWS services against a moto server, in an environment of its own
	test -x .venv-moto/bin/moto_server || { $(PYTHON) -m venv .venv-moto && \
		.venv-moto/bin/python -m pip install --quiet --disable-pip-version-check -r tests/moto-requirements.txt; }
	$(BIN)/pytest -q tests/parity/test_moto.py

docs: $(STAMP) ## renew the generated parts of docs/
	$(BIN)/python docs/render.py

lock: ## renew requirements.lock from pyproject.toml
	$(BIN)/uv pip compile pyproject.toml --extra demo --group dev --universal --python-version 3.11 \
		--generate-hashes --no-header --no-annotate --quiet --output-file requirements.lock

clean:
	rm -rf $(VENV) .venv-moto build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
