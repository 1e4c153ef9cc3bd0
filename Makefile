# Winnow: one command set. Every target does its own set-up; `make help` lists them.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet
LEAN   := $(VENV)/.installed-cpu
DEV    := $(VENV)/.installed-dev
REVIEW := .cache/label-studio/.installed
UV     := .cache/lock/bin/uv
PORT   ?= 8080
JOBS   ?= 2
WORKSPACE ?= work
WALLS  := facedata crawlers cleaning training flows demo benchmarks

export DO_NOT_TRACK := 1
export PREFECT_SERVER_ANALYTICS_ENABLED := false

.DEFAULT_GOAL := help
.PHONY: help demo test check bench format lock clean label-studio

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(LEAN) ## crawl the rendered celebrity web, clean it, release a version, say how right it was
	$(BIN)/winnow demo

label-studio: $(LEAN) $(REVIEW) ## run a review server on loopback, with a user and a token (PORT=8080 WORKSPACE=work)
	$(BIN)/python -m demo.label_studio --port $(PORT) --document-root $(WORKSPACE)

test: $(DEV) $(REVIEW) ## run all tests, two files at a time (JOBS=2); those skipped are named with the reason
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

check: $(DEV) ## ruff, mypy --strict and the walls between the rooms
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(DEV) $(REVIEW) ## measure speed, memory and accuracy against what people would use instead
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

# The locks are complete, and pip must not add what label-studio-sdk asks for besides: --no-deps.
$(LEAN): requirements/cpu.txt pyproject.toml | $(BIN)/python
	$(PIP) install --no-deps -r requirements/cpu.txt
	$(PIP) install --no-deps -e .
	@touch $@

# The development lock holds every pin of the default one, so it serves `make demo` as well. It has
# no CUDA packages: torch is named once more, so that a CUDA build of it brings its own.
$(DEV): requirements/dev.txt requirements/cpu.txt pyproject.toml | $(BIN)/python
	$(PIP) install --no-deps -r requirements/dev.txt
	$(PIP) install "$$(grep '^torch==' requirements/dev.txt)"
	$(PIP) install --no-deps -e .
	@touch $(LEAN) $@

# The review server shares nothing with Winnow but HTTP; it has an environment of its own.
$(REVIEW): requirements/label-studio.txt
	rm -rf .cache/label-studio
	$(PYTHON) -m venv .cache/label-studio
	.cache/label-studio/bin/python -m pip --disable-pip-version-check --quiet \
	  install --no-deps -r requirements/label-studio.txt
	@touch $@

# --- the locks: see docs/decisions/dependencies.md -----------------------------------------------

PINNING = $(UV) pip compile --universal --python-version 3.11 --upgrade --quiet \
          --no-header --no-annotate --no-emit-index-url --no-emit-find-links
COMPILE = $(PINNING) pyproject.toml --extra label-studio \
          --override requirements/overrides.txt --no-emit-package opencv-python-headless
TITLE   = { echo "\# $(1): pip install --no-deps -r requirements/$(2).txt"; \
          echo "\# Made by 'make lock' from $(3); do not edit."; cat; }

lock: SHELL := bash
lock: .SHELLFLAGS := -euo pipefail -c
lock: $(UV) ## pin the newest versions that pyproject.toml allows
	$(COMPILE) | $(call TITLE,Default install on CPU,cpu,pyproject.toml) > requirements/cpu.txt
	$(COMPILE) --constraint requirements/cpu.txt --extra train --extra s3 --extra dev \
	  | grep -vE '^(nvidia-|cuda-|triton)' \
	  | $(call TITLE,Development install on CPU,dev,pyproject.toml) > requirements/dev.txt
	$(COMPILE) --constraint requirements/cpu.txt --extra gpu --extra s3 \
	  --no-emit-package onnxruntime --no-emit-package faiss-cpu \
	  | $(call TITLE,Install on NVIDIA GPUs,gpu,pyproject.toml) > requirements/gpu.txt
	echo 'label-studio==1.23.2' | $(PINNING) - \
	  | $(call TITLE,The review server in an environment of its own,label-studio,the Makefile) \
	  > requirements/label-studio.txt

$(UV):
	$(PYTHON) -m venv .cache/lock
	.cache/lock/bin/python -m pip install --quiet uv==0.13.9
