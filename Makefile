# `make help` lists what can be made; every target makes the environment first where it is missing.
.DEFAULT_GOAL := help
.PHONY: help setup compare test test-all test-lowest lint docs bench tensorboard clean-cache lock

PYTHON ?= python3
VENV := .venv
LOWEST := .venv-lowest
RUN := $(VENV)/bin/python
READY := $(VENV)/.ready
RUNS ?= outputs
TORCH_INDEX ?=

help: ## This list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

setup: $(READY) ## The environment alone, in .venv, from requirements.lock [TORCH_INDEX=URL of another PyTorch build]

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --upgrade pip
ifneq ($(TORCH_INDEX),)
	$(RUN) -m pip install --quiet --no-deps --constraint requirements.lock --index-url $(TORCH_INDEX) torch torchaudio
endif
	$(RUN) -m pip install --quiet --constraint requirements.lock --editable '.[dev,launchers,export,serve,tune]'
	touch $@

compare: $(READY) ## The main job: both transforms over five folds, twice, on the built-in corpus, and their comparison
	$(RUN) train.py experiment=compare data.per_class=56 data.kits=56

test: $(READY) ## Every test but the slow ones, with the share of lines they run
	OMP_NUM_THREADS=1 $(RUN) -m pytest --numprocesses logical --cov --cov-report=term --cov-fail-under=95

test-all: $(READY) ## Every test, the slow ones too
	$(RUN) -m pytest -m 'slow or not slow'

test-lowest: $(READY) ## Every test but the slow ones with the oldest libraries that pyproject.toml allows, in .venv-lowest
	$(RUN) -m pip install --quiet uv
	$(VENV)/bin/uv venv --quiet --seed --clear --python $(RUN) $(LOWEST)
	$(VENV)/bin/uv pip install --quiet --python $(LOWEST) --resolution lowest-direct --editable .
	$(VENV)/bin/uv pip install --quiet --python $(LOWEST) --editable '.[dev]'
	$(LOWEST)/bin/python -m pytest

lint: $(READY) ## Style and types
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy
	$(VENV)/bin/mypy --platform win32 audioid train.py

docs: $(READY) ## The API reference from the docstrings, in site/
	$(RUN) -m pip install --quiet --constraint requirements.lock --editable '.[docs]'
	$(VENV)/bin/mkdocs build --strict

bench: $(READY) ## Benchmarks that need no recordings, no GPU and no cluster, beside other programs where they install
	$(RUN) -m pip install --quiet --constraint requirements.lock --editable '.[bench]'
	for name in transforms index store near_duplicates hostile; do $(RUN) scripts/bench_$$name.py || exit 1; done

tensorboard: $(READY) ## Look at the runs under RUNS (default: outputs) in a browser, at localhost:6006
	$(VENV)/bin/tensorboard --host localhost --logdir '$(RUNS)'

clean-cache: ## Forget stored waveforms and images; they are computed again when needed
	rm -rf outputs/cache

lock: $(READY) ## Renew requirements.lock from pyproject.toml
	$(RUN) -m pip install --quiet uv
	$(VENV)/bin/uv pip compile --universal --python-version 3.11 --all-extras --no-annotate --no-header --upgrade pyproject.toml --output-file requirements.lock
