# Every target sets up what it needs in .venv, with uv where it is installed and venv + pip where it isn't.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null)
ARGS ?=

# Peers that need older versions of what lakeflow uses have an environment of their own.
PEERS := $(VENV)/bench-peers
INTEROP := $(VENV)/interop

ifdef UV
install = VIRTUAL_ENV=$(CURDIR)/$(1) $(UV) pip install --quiet
make_venv = $(UV) venv --quiet --python $(PYTHON) $(1)
else
install = $(1)/bin/python -m pip install --quiet --disable-pip-version-check
# Dependency groups need pip 25.1, newer than what Python 3.11 brings.
make_venv = $(PYTHON) -m venv $(1) && $(call install,$(1)) --upgrade 'pip>=25.1'
endif
INSTALL := $(call install,$(VENV))

# A DynamoDB server for the tests, which have moto alone where there is no npm. Nothing in it has to be compiled: no scripts.
NPM := $(shell command -v npm 2>/dev/null)
ifdef NPM
install_dynalite = $(NPM) install --loglevel=error --no-audit --no-fund --no-save --ignore-scripts --prefix $(VENV)/npm dynalite@4.0.0
else
install_dynalite = @echo "npm isn't installed: tests of DynamoDB run against moto alone."
endif

# What the editable install is made of: a change of the C sources compiles them anew.
BUILT_FROM := pyproject.toml hatch_build.py $(wildcard io/lakeflow_io/parquet/native/*.[ch]) $(wildcard io/lakeflow_io/iceberg/manifests/native/*.[ch]) $(wildcard io/lakeflow_io/keyed/native/*.[ch]) $(wildcard io/lakeflow_io/parquet/native/build.py)

.DEFAULT_GOAL := help
.PHONY: help demo test interop fuzz soak check bench clean

help:  ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## (.*)/  make \1\t\2/' | expand -t 16

demo: $(VENV)/.demo  ## Match place names to places: Iceberg tables, foreach, one commit, a cache (ARGS="--s3 --fresh")
	$(BIN)/lakeflow demo $(ARGS)

test: $(VENV)/.test  ## Run the tests; they start the servers they need
	$(BIN)/python -m pytest $(ARGS)

interop: $(VENV)/.interop  ## Spark, pyiceberg, Polars, DuckDB and Daft over the same tables; needs Java 17 (ARGS=--cells)
	$(INTEROP)/bin/python -m pytest -n 0 tests/interop $(ARGS)

fuzz: $(VENV)/.test  ## Damage Parquet chunks and manifests at random under sanitizers (ARGS="--mutations 5000000 --seed 7")
	$(BIN)/python tests/fuzzing/fuzz.py $(ARGS)

soak: $(VENV)/.test  ## A thousand random histories of tables against plain Python (ARGS="--hypothesis-seed 7")
	$(BIN)/python -m pytest -n 0 --timeout 0 --hypothesis-profile long tests/lakeflow/writing/test_machine.py $(ARGS)

check: $(VENV)/.check  ## Lint, formatting, types and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pyright
	$(BIN)/lint-imports

bench: $(VENV)/.bench  ## Read tables from S3: lakeflow beside its peers (ARGS="--profile loopback --workloads full")
	$(BIN)/python -m benchmarks $(ARGS)

clean:  ## Remove the environment and what the demo made
	rm -rf $(VENV) lakehouse lakehouse-s3 caches

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit("lakeflow needs Python 3.11 or later; this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.13" if sys.version_info < (3, 11) else 0)'
	$(call make_venv,$(VENV))

$(VENV)/.demo: $(BUILT_FROM) | $(BIN)/python
	$(INSTALL) --editable '.[demo]'
	@touch $@

$(VENV)/.test: $(BUILT_FROM) | $(BIN)/python
	$(INSTALL) --editable '.[avro,demo,dynamodb,pandas,serve]' --group test
	$(INSTALL) --no-deps --group operator
	$(install_dynalite)
	@touch $@

$(INTEROP)/bin/python: | $(BIN)/python
	$(call make_venv,$(INTEROP))

$(VENV)/.interop: $(BUILT_FROM) | $(INTEROP)/bin/python
	$(call install,$(INTEROP)) --editable '.[avro,demo]' --group interop
	@touch $@

$(VENV)/.check: $(BUILT_FROM) | $(BIN)/python
	$(INSTALL) --editable '.[avro,demo,dynamodb,pandas,serve]' --group test --group check
	@touch $@

$(PEERS)/bin/python: | $(BIN)/python
	$(call make_venv,$(PEERS))

$(VENV)/.bench: $(BUILT_FROM) | $(BIN)/python $(PEERS)/bin/python
	$(INSTALL) --editable '.[demo,serve]' --group bench
	$(call install,$(PEERS)) --group bench-peers
	@touch $@
