# Every target sets up what it needs in .venv, with uv where it is installed and venv + pip where it isn't.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null)
ARGS ?=

ifdef UV
INSTALL := VIRTUAL_ENV=$(CURDIR)/$(VENV) $(UV) pip install --quiet
MAKE_VENV := $(UV) venv --quiet --python $(PYTHON) $(VENV)
else
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# Dependency groups need pip 25.1, newer than what Python 3.11 brings.
MAKE_VENV := $(PYTHON) -m venv $(VENV) && $(INSTALL) --upgrade 'pip>=25.1'
endif

# What the editable install is made of: a change of the C sources compiles them anew.
BUILT_FROM := pyproject.toml hatch_build.py $(wildcard io/lakeflow_io/parquet/native/*.[ch]) $(wildcard io/lakeflow_io/parquet/native/build.py)

.DEFAULT_GOAL := help
.PHONY: help demo test check bench clean

help:  ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## (.*)/  make \1\t\2/' | expand -t 16

demo: $(VENV)/.demo  ## Match place names to places: Iceberg tables, foreach, one commit, a cache (ARGS="--s3 --fresh")
	$(BIN)/lakeflow demo $(ARGS)

test: $(VENV)/.test  ## Run the tests; they start the servers they need
	$(BIN)/python -m pytest $(ARGS)

check: $(VENV)/.check  ## Lint, formatting, types and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pyright
	$(BIN)/lint-imports

bench: $(VENV)/.bench  ## Read a table from S3: lakeflow beside its peers
	$(BIN)/python -m benchmarks $(ARGS)

clean:  ## Remove the environment and what the demo made
	rm -rf $(VENV) lakehouse lakehouse-s3 caches

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit("lakeflow needs Python 3.11 or later; this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.13" if sys.version_info < (3, 11) else 0)'
	$(MAKE_VENV)

$(VENV)/.demo: $(BUILT_FROM) | $(BIN)/python
	$(INSTALL) --editable '.[demo]'
	@touch $@

$(VENV)/.test: $(BUILT_FROM) | $(BIN)/python
	$(INSTALL) --editable '.[demo,pandas,serve,valkey]' --group test
	@touch $@

$(VENV)/.check: $(BUILT_FROM) | $(BIN)/python
	$(INSTALL) --editable '.[demo,pandas,serve,valkey]' --group test --group check
	@touch $@

$(VENV)/.bench: $(BUILT_FROM) | $(BIN)/python
	$(INSTALL) --editable '.[demo]' --group bench
	@touch $@
