# make demo  the main job on real digits, and its report
# make test  the whole suite
# Both make .venv first, and are quick the second time.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OUT ?= demo-report
PIP := $(BIN)/python -m pip --disable-pip-version-check
# The project is installed as it stands, without a download of its own build tools.
INSTALL_SELF := $(PIP) install --quiet --no-deps --no-build-isolation --editable .

.PHONY: demo test test-torch lint types check benchmark clean

demo: $(VENV)/.demo
	$(BIN)/penultimate demo --out $(OUT)

test: $(VENV)/.test
	$(BIN)/python -m pytest

# What imports Keras, on the second backend.
test-torch: $(VENV)/.torch
	KERAS_BACKEND=torch $(BIN)/python -m pytest tests/networks tests/test_hybrid.py \
	  tests/test_comparison.py src/penultimate/networks

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache

types: $(VENV)/.test
	$(BIN)/mypy

check: lint types test

benchmark: $(VENV)/.test
	$(BIN)/python benchmarks/training.py

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
	  "Penultimate needs Python 3.11 or newer; $(PYTHON) is %s. Try: make PYTHON=python3.12" % sys.version.split()[0])'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: requirements/demo.txt pyproject.toml CMakeLists.txt $(wildcard src/core/*) | $(VENV)/bin/python
	@echo "Installing into $(VENV) (TensorFlow is large; once only) ..."
	$(PIP) install --quiet --requirement requirements/demo.txt
	PATH="$(CURDIR)/$(BIN):$$PATH" $(INSTALL_SELF)
	@touch $@

$(VENV)/.torch: requirements/torch.txt $(VENV)/.test
	$(PIP) install --quiet --requirement requirements/torch.txt
	@touch $@

$(VENV)/.test: requirements/test.txt $(VENV)/.demo
	$(PIP) install --quiet --requirement requirements/test.txt
	@touch $@
