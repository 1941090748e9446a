# make demo  the main job on real digits, and its report
# make test  the suite without its slow tests, which CI runs, too: make test-all
# Both make .venv first, and are quick the second time.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OUT ?= demo-report
NODE := tests/bundle/node
PIP := $(BIN)/python -m pip --disable-pip-version-check
# The pins are all that is needed, so nothing is resolved. Modules are compiled when they are first
# imported: compiling all of them took twice as long as the rest of the installation.
INSTALL := $(PIP) install --quiet --no-deps --no-compile --requirement
# The project is installed as it stands, without a download of its own build tools.
INSTALL_SELF := $(PIP) install --quiet --no-deps --no-build-isolation --editable .
# Files of tests side by side, in the order in which they are found, which is that of
# tests/conftest.py: the longest first. Each file has one thread, as the others have the rest of
# the processor, and more threads would only wait for one another.
WORKERS ?= 2
PYTEST_BESIDE := OMP_NUM_THREADS=1 TF_NUM_INTRAOP_THREADS=1 \
  $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

# Bytecode is written, whatever the environment says: every worker, and every process that a test
# starts, imports all of it.
export PYTHONDONTWRITEBYTECODE =

.PHONY: demo test test-all npm-packages test-beside test-serial test-torch test-jax test-mlflow test-schema sanitize fuzz lint types check coverage benchmark clean

demo: $(VENV)/.demo
	$(BIN)/penultimate demo --out $(OUT)

# Tests over a second are marked slow: six percent of the tests, and three fifths of the time.
test: LEFT_OUT = and not slow
test test-all: test-beside test-serial

test-beside: $(VENV)/.test npm-packages
	$(PYTEST_BESIDE) -m "not serial $(LEFT_OUT)"

test-serial: $(VENV)/.test
	$(BIN)/python -m pytest -m "serial $(LEFT_OUT)" $(shell grep -rl --include='test_*.py' 'mark\.serial' tests)

# ONNX Runtime for node and for browsers, where there is npm; its tests are skipped otherwise.
# No script of a package is run: one would download a build for graphics processors. There is no
# lock file, which would name the registry of this machine; versions are pinned in package.json.
npm-packages: $(NODE)/node_modules/.package-lock.json

$(NODE)/node_modules/.package-lock.json: $(NODE)/package.json
	@if command -v npm >/dev/null; then cd $(NODE) && \
	  npm install --ignore-scripts --no-package-lock --no-audit --no-fund --loglevel=error && \
	  touch node_modules/.package-lock.json; else echo "npm is not installed: its tests are skipped."; fi

# On the other backends: what computes, trains or follows a graph, and a few uses of it. Reading
# arguments, naming networks, comparing and adapters of other frameworks than Keras do not differ by
# backend, nor do single tests that are marked so. JAX compiles for every shape, which takes long:
# there it is the computations alone.
NOT_OF_KERAS := --ignore-glob '*/test_torch_*' --ignore-glob '*/test_onnx_*'
ON_ALL_BACKENDS := not serial and not one_backend
BACKEND_TESTS := $(NOT_OF_KERAS) $(addprefix tests/networks/,frameworks training margins test_forward.py \
  test_extraction.py test_building.py)

test-torch: $(VENV)/.test $(VENV)/.torch
	KERAS_BACKEND=torch $(PYTEST_BESIDE) -m "$(ON_ALL_BACKENDS)" $(BACKEND_TESTS) \
	  tests/networks/test_applications.py tests/classifiers/test_deep_svc.py \
	  tests/classifiers/test_margin.py tests/comparison/test_method.py

# XLA compiles a program in a third of the time if it does not optimize it, and generates its
# loops as in earlier versions; the same program of another network is read from a folder.
test-jax: export PYTHONPATH := $(CURDIR)/$(VENV)/jax$(addprefix :,$(PYTHONPATH))
test-jax: export XLA_FLAGS = --xla_backend_optimization_level=0 \
  --xla_llvm_disable_expensive_passes=true --xla_cpu_use_fusion_emitters=false
test-jax: export JAX_COMPILATION_CACHE_DIR = $(CURDIR)/build/jax
test-jax: export JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS = 0
test-jax: export JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES = -1
test-jax: $(VENV)/.test $(VENV)/.jax
	KERAS_BACKEND=jax $(PYTEST_BESIDE) -m "$(ON_ALL_BACKENDS)" $(filter-out %/test_building.py,$(BACKEND_TESTS)) \
	  --ignore tests/networks/training/test_checkpoints.py

# MLflow brings 20 packages for one test: here, not in CI.
test-mlflow: $(VENV)/.test $(VENV)/.mlflow
	$(BIN)/python -m pytest tests/bundle/test_mlflow_model.py

# The service against its OpenAPI document.
test-schema: $(VENV)/.test $(VENV)/.schema
	$(BIN)/python -m pytest tests/serve/test_schema.py

# The solver's tests on a core that stops at its first memory error or undefined behavior (Linux,
# g++). It goes into an environment of its own, which sees what .venv has, but not its editable
# install: that is found through a .pth file, and those of a folder named in another are not read.
# - Python itself is not built with the sanitizers: their runtime has to be loaded before it, and
#   with it libstdc++, whose exceptions it watches.
# - Leaks are not looked for: Python never frees much of what it makes, and would drown ours.
# - What is found is printed to the process's own stderr, which pytest must not catch.
# - Python's own allocator carves small objects out of large blocks, whose inner ends are not seen.
sanitize: SITE = $$(echo $(SANITIZED)/lib/python3*/site-packages)
sanitize: SANITIZED = build/sanitize
sanitize: LIBRARY = $$($(CXX) -print-file-name=$(1))
sanitize: $(VENV)/.test
	$(BIN)/python -m venv --without-pip $(SANITIZED)
	$(BIN)/python -c 'import sys; print(*[p for p in sys.path if p.endswith("site-packages")], sep="\n")' \
	  > $(SITE)/outer.pth
	PATH="$(CURDIR)/$(BIN):$$PATH" CXX="$(CXX)" $(PIP) --python $(SANITIZED)/bin/python install \
	  --quiet --no-deps --no-build-isolation -C build-dir=build/sanitize/core \
	  -C cmake.build-type=RelWithDebInfo -C cmake.define.PENULTIMATE_SANITIZE=ON .
	LD_PRELOAD="$(call LIBRARY,libasan.so) $(call LIBRARY,libstdc++.so)" PYTHONMALLOC=malloc \
	  ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 \
	  $(SANITIZED)/bin/python -m pytest --capture=sys -o pythonpath= -m "not serial" tests/svm

# Random problems for the solver, many times as many as in the suite.
fuzz: $(VENV)/.test
	PENULTIMATE_FUZZ=20 $(BIN)/python -m pytest -o timeout=0 tests/svm/test_fuzz.py

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache
	$(PIP) check

types: $(VENV)/.test
	$(BIN)/mypy

check: lint types test

# The branches of src/penultimate that the tests take: of all of them, as in CI. Slower than they.
coverage: $(VENV)/.test $(VENV)/.torch $(VENV)/.coverage
	$(PYTEST_BESIDE) -m "not serial" --cov=penultimate --cov-branch --cov-report=term

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
	$(INSTALL) requirements/demo.txt
	PATH="$(CURDIR)/$(BIN):$$PATH" $(INSTALL_SELF)
	@touch $@

$(VENV)/.test: $(VENV)/.demo $(VENV)/.tools
	@touch $@

$(VENV)/.tools: requirements/test.txt | $(VENV)/bin/python
	$(INSTALL) $<
	@touch $@

# Independent of the others, so that `make -j2` installs them side by side.
$(VENV)/.torch $(VENV)/.coverage $(VENV)/.mlflow $(VENV)/.schema: $(VENV)/.%: requirements/%.txt | $(VENV)/bin/python
	$(INSTALL) requirements/$*.txt
	@touch $@

# Out of the way of the others: TensorFlow imports JAX where it is installed, in every process.
$(VENV)/.jax: requirements/jax.txt | $(VENV)/bin/python
	$(PIP) install --quiet --no-deps --no-compile --upgrade --target $(VENV)/jax --requirement $<
	@touch $@
