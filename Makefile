# Winnow: one command set. Every target does its own set-up; `make help` lists them.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet
LEAN   := $(VENV)/.installed-cpu
DEV    := $(VENV)/.installed-dev
UV     := .cache/lock/bin/uv
WALLS  := facedata crawlers cleaning training flows demo benchmarks

export DO_NOT_TRACK := 1
export PREFECT_SERVER_ANALYTICS_ENABLED := false

.DEFAULT_GOAL := help
.PHONY: help demo test check bench format lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(LEAN) ## crawl the rendered celebrity web, clean it, release a version, say how right it was
	$(BIN)/winnow demo

test: $(DEV) ## run all tests; those skipped are named with the reason
	$(BIN)/python -m pytest

check: $(DEV) ## ruff, mypy --strict and the walls between the rooms
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(DEV) ## measure speed, memory and accuracy against what people would use instead
	$(BIN)/python -m benchmarks

format: $(DEV) ## let ruff put the sources in order
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean: ## remove the environment, caches and the demo's workspace
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	rm -rf build dist *.egg-info demo-workspace
	find $(WALLS) tests -name __pycache__ -type d -prune -exec rm -rf {} +

# --- the environment: rebuilt when a lock or the project file changes ----------------------------

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Winnow needs Python 3.11 or later; name one with 'make PYTHON=python3.12 ...'" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(LEAN): requirements/cpu.txt pyproject.toml | $(BIN)/python
	$(PIP) install -r requirements/cpu.txt
	$(PIP) install --no-deps -e .
	@touch $@

# The development lock holds every pin of the default one, so it serves `make demo` as well.
$(DEV): requirements/dev.txt requirements/cpu.txt pyproject.toml | $(BIN)/python
	$(PIP) install -r requirements/dev.txt
	$(PIP) install --no-deps -e .
	@touch $(LEAN) $@

# --- the locks: see docs/decisions/dependencies.md -----------------------------------------------

COMPILE = $(UV) pip compile pyproject.toml --universal --python-version 3.11 --upgrade --quiet \
          --no-header --no-annotate --no-emit-index-url --no-emit-find-links
TITLE   = { echo "\# $(1)"; echo "\# Made by 'make lock' from pyproject.toml; do not edit."; cat; }

lock: SHELL := bash
lock: .SHELLFLAGS := -euo pipefail -c
lock: $(UV) ## pin the newest versions that pyproject.toml allows
	$(COMPILE) | $(call TITLE,Default install on CPU: pip install -r requirements/cpu.txt) \
	  > requirements/cpu.txt
	$(COMPILE) --constraint requirements/cpu.txt --extra train --extra s3 --extra dev \
	  | grep -vE '^(nvidia-|cuda-|triton)' \
	  | $(call TITLE,Development install on CPU: pip install -r requirements/dev.txt) \
	  > requirements/dev.txt
	$(COMPILE) --constraint requirements/cpu.txt --extra gpu --extra s3 \
	  --no-emit-package onnxruntime --no-emit-package faiss-cpu \
	  | $(call TITLE,Install on NVIDIA GPUs: pip install --no-deps -r requirements/gpu.txt) \
	  > requirements/gpu.txt

$(UV):
	$(PYTHON) -m venv .cache/lock
	.cache/lock/bin/python -m pip install --quiet uv==0.13.9
