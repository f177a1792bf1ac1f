# Resecta. `make help` lists what can be made.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV   := .venv
BIN    := $(VENV)/bin
# Test workers; two suit two cores. JOBS=0 runs the tests in one process.
JOBS   ?= 2
IMAGE  ?= resecta:0.1.0
MODEL  ?= models:/resecta@champion
UV     ?= uv

# Libraries decide these at import, so they are set before Python starts.
export MLFLOW_DISABLE_TELEMETRY = true
export BENTOML_DO_NOT_TRACK = True
export GX_ANALYTICS_ENABLED = false
export GOMP_SPINCOUNT = 1000

.PHONY: help run test test-all bench bench-serving bench-learning lint lock bento bundle image clean

help:  ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' Makefile

run: $(BIN)/.run  ## everything: environment, models, service and MLflow page; Ctrl-C stops it
	@$(BIN)/resecta up

test: $(BIN)/.dev lint  ## style, types and the fast tests
	$(BIN)/pytest -n $(JOBS) --dist loadfile

test-all: $(BIN)/.dev lint  ## the same with the slow tests
	$(BIN)/pytest -n $(JOBS) --dist loadfile -m "not bench"

bench: $(BIN)/.dev  ## measure: latency, training time
	$(BIN)/python -m benchmarks

bench-serving: $(BIN)/.run  ## measure: POST /predict beside constant endpoints, mlflow models serve and bare boosters
	@test -f "$${RESECTA_STORE:-mlruns}/mlflow.db" || $(BIN)/resecta train --no-data
	$(BIN)/python -m benchmarks.serving

bench-learning: $(BIN)/.dev  ## measure: how candidates learn from registries whose truth differs from the evidence
	$(BIN)/python -m benchmarks.learning --track

lint: $(BIN)/.dev  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/hadolint Dockerfile

lock:  ## write the lock files anew; UPGRADE=--upgrade takes newer versions
	@command -v $(UV) >/dev/null || { echo "make lock needs uv: pip install uv, or make lock UV=/path/to/uv"; exit 2; }
	$(call compile,requirements-dev,)
	$(call compile,requirements,-c requirements-dev.lock)
	$(call compile,requirements-serve,-c requirements-dev.lock)

define compile
$(UV) pip compile $(1).in $(2) $(UPGRADE) -q --python-version 3.11 --prerelease if-necessary-or-explicit \
  --no-header --no-annotate --no-emit-index-url --no-emit-find-links -o $(1).lock
endef

bundle: $(BIN)/.run  ## the model as a folder, for an image or a Bento; MODEL= chooses it
	@rm -rf bundle
	@test -f "$${RESECTA_STORE:-mlruns}/mlflow.db" || $(BIN)/resecta train --no-data
	$(BIN)/resecta export --model $(MODEL) --out bundle

bento: bundle  ## a Bento that answers: bentoml serve resecta:latest
	$(BIN)/bentoml build

image: bundle  ## the container image, by docker or else buildah
	docker/build.sh $(IMAGE)

clean:  ## what can be made again; the environment and mlruns/ stay
	rm -rf build dist bundle *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

# The environment. A stamp is newer than the lock file that it was made from, so a second make installs nothing.
$(BIN)/python:
	@for python in $(PYTHON) python3.11 python3; do \
	  if $$python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then \
	    echo "Making $(VENV) with $$(command -v $$python)"; exec $$python -m venv $(VENV); \
	  fi; \
	done; echo "Python 3.11 was not found. Install it, or say where: make PYTHON=/path/to/python3.11"; exit 2

# `--no-deps`: the lock is complete, and a resolver would only disagree with it.
# `compat`: the folder itself goes on the path, so that a package added later is found.
define install
@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r $(1)
@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation \
  --config-settings editable_mode=compat -e .
endef

$(BIN)/.run: requirements.lock pyproject.toml | $(BIN)/python
	@echo "Installing requirements.lock: about a minute, once"
	$(call install,requirements.lock)
	@touch $@

$(BIN)/.dev: requirements-dev.lock requirements.lock pyproject.toml | $(BIN)/python
	@echo "Installing requirements-dev.lock: about a minute, once"
	$(call install,requirements-dev.lock)
	@touch $(BIN)/.run $@
