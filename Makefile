# Everything a newcomer needs: make up, make down, make test, make bench.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help install up down test lint types layers unit service again bench clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# What ONNX Runtime runs on: a GPU where the driver finds one, the processor elsewhere.
DEVICE ?= $(shell nvidia-smi -L >/dev/null 2>&1 && echo gpu || echo cpu)
WORKERS ?= 2

help: ## Tell what can be made
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit("Facefleet needs Python 3.10 or newer, this is " + sys.version.split()[0] + "; choose another with PYTHON=python3.x") if sys.version_info < (3, 10) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"

$(VENV)/.installed-$(DEVICE): $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install -qq --constraint constraints.txt --editable ".[$(DEVICE)]"
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed-$(DEVICE)
	$(BIN)/python -m pip install -qq --constraint constraints.txt --editable ".[$(DEVICE),dev]"
	@touch $@

install: $(VENV)/.installed-$(DEVICE) ## Install into .venv

up: install ## Start the service here and print how to call it
	@$(BIN)/facefleet up

down: install ## Stop the service; what it has stored stays
	@$(BIN)/facefleet down

test: lint types layers unit service ## Everything that must be green

lint: $(VENV)/.installed-dev ## Style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-dev ## Types
	$(BIN)/mypy .

layers: $(VENV)/.installed-dev ## The direction of imports
	$(BIN)/lint-imports

unit: $(VENV)/.installed-dev ## Tests without Ray, on every core
	$(BIN)/pytest -q -n $(WORKERS) --dist loadgroup --ignore tests/deployments --ignore tests/e2e --ignore tests/cluster

service: $(VENV)/.installed-dev ## Tests of running services, one at a time: some of them are about time
	$(BIN)/pytest -q tests/cluster tests/deployments tests/e2e

again: $(VENV)/.installed-dev ## Tests that failed in the last run, one at a time
	$(BIN)/pytest -v --last-failed --last-failed-no-failures none

bench: $(VENV)/.installed-dev ## Measure on this machine; tables here, JSON in bench/
	$(BIN)/python -m cluster.bench

clean: ## Drop the virtual environment and the caches
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache .import_linter_cache bench
