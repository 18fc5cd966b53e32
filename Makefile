# `make` lists the targets. POSIX sh and GNU make 3.81 are enough.
# PYTHON=python3.12 chooses the interpreter; UV= (empty) sets uv aside.

VENV  := .venv
PY    := $(VENV)/bin/python
STAMP := $(VENV)/.leapgrad-installed
DEV   := $(VENV)/.leapgrad-dev
BENCH := $(VENV)/.leapgrad-bench
DOCS  := $(VENV)/.leapgrad-docs
LOCK  := constraints/lock.txt
# Files of tests on all processors, up to four: beyond that compiling the same kernels side by side costs more.
SPREAD := --numprocesses auto --maxprocesses 4 --dist loadfile
SPREAD_ANY := $(patsubst loadfile,load,$(SPREAD))
# The files with tests that run again without compilation; collecting the others would take as long as the tests.
NOJIT = $$(find tests -name 'test_*.py' -exec grep -l nojit {} +)

# uv where it works, venv and pip where it does not. Neither may fetch an interpreter.
UV := $(shell uv --version >/dev/null 2>&1 && echo uv)
export UV_PYTHON_DOWNLOADS := never
ifneq ($(UV),)
MAKE_VENV = $(UV) venv --quiet --python "$$python" $(VENV)
INSTALL   = $(UV) pip install --quiet --python $(PY) --constraint $(LOCK)
else
# --no-compile: pip takes longer to make byte code of all it unpacks than to unpack it; see BYTE_CODE.
MAKE_VENV = "$$python" -m venv $(VENV)
INSTALL   = $(PY) -m pip install --quiet --no-compile --disable-pip-version-check --constraint $(LOCK)
endif

# Makes byte code of what a run imports, Numba's code generator included, also where PYTHONDONTWRITEBYTECODE is
# set: no run there would keep any, and each would take twice as long to its first number.
define BYTE_CODE
PYTHONDONTWRITEBYTECODE= $(PY) -m compileall -q integrators leapgrad proofs sensitivity && \
PYTHONDONTWRITEBYTECODE= $(PY) -c 'import leapgrad, matplotlib.backends.backend_agg, matplotlib.pyplot; \
from numba.core.registry import cpu_target; \
[getattr(leapgrad, name) for name in leapgrad.__all__]; cpu_target.target_context.refresh()'
endef

# The stamp holds the folder it was made for: an environment that is unfinished, was moved, or has lost
# its interpreter does not repeat it, and is made anew.
STAMPED = $(PY) -c 'print(open("$(STAMP)").read().strip())' 2>/dev/null
ifneq ($(shell $(STAMPED)),$(CURDIR))
$(STAMP): FORCE
endif

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: FORCE help setup reproduce test test-slow test-lowest test-python notebooks coverage lint format types docs bench dist lock clean
FORCE:

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1|\2/p' Makefile | while IFS='|' read -r target text; do \
	  printf '  %-16s %s\n' "$$target" "$$text"; done

setup: $(DEV) ## make .venv with the locked development set-up

$(STAMP): pyproject.toml $(LOCK)
	@[ "$$($(STAMPED))" = "$(CURDIR)" ] || rm -rf $(VENV)
	@rm -f $(STAMP)
	@if [ -z "$(UV)" ] && [ -d $(VENV) ]; then $(PY) -c 'import pip' 2>/dev/null || rm -rf $(VENV); fi
	@if [ ! -d $(VENV) ]; then \
	  if [ -n "$$PYTHON" ]; then set -- "$$PYTHON"; else set -- python3 python3.13 python3.12 python3.11 python; fi; \
	  for candidate do \
	    "$$candidate" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 \
	      && python=$$candidate && break; \
	  done; \
	  if [ -z "$$python" ]; then \
	    echo "leapgrad needs CPython 3.11 or newer with its venv module; tried: $$*; name one with PYTHON=/path/to/python3." >&2; \
	    exit 1; \
	  fi; \
	  echo "Setting up $(VENV) with $$("$$python" --version) and $(if $(UV),uv,pip) (once, some twenty seconds)" && \
	  $(MAKE_VENV); \
	fi
	@$(INSTALL) hatchling
	@$(INSTALL) --no-build-isolation --editable '.[certify]'
	@$(BYTE_CODE)
	@echo "$(CURDIR)" > $@

# Half of the packages serve the tests only; the main job does not wait for them.
$(DEV): $(STAMP)
	@echo "Adding the packages of the tests (once, about half a minute)"
	@$(INSTALL) --no-build-isolation --editable '.[dev]'
	@touch $@

$(BENCH): $(DEV)
	@echo "Adding the packages that the benchmarks compare with (once)"
	@$(INSTALL) --no-build-isolation --editable '.[dev,bench]'
	@touch $@

$(DOCS): $(STAMP)
	@echo "Adding the packages that build the documentation (once)"
	@$(INSTALL) --no-build-isolation --editable '.[dev,docs]'
	@touch $@

reproduce: $(STAMP) ## draw Figures 1 to 3 into build/figures and check the paper's claims into build/claims
	$(VENV)/bin/leapgrad reproduce figures --out build/figures
	$(VENV)/bin/leapgrad claims --out build/claims

# Byte code is kept, also where PYTHONDONTWRITEBYTECODE is set: without it each of the many processes that the tests
# start would compile pytest, scikit-learn, pandas and the tests themselves anew, which takes some ten seconds.
test coverage: export PYTHONDONTWRITEBYTECODE :=
test: $(DEV) ## run the tests, then the nojit subset again without compilation
	$(PY) -m pytest $(SPREAD)
	NUMBA_DISABLE_JIT=1 $(PY) -m pytest $(SPREAD_ANY) -m "nojit and not slow" $(NOJIT)

test-slow: $(DEV) ## run the slow tests
	$(PY) -m pytest -m slow

# Each in an environment of its own below build; TESTS= chooses files, and PYTHON= the interpreter.
test-lowest: ## run the tests on the lowest versions that pyproject.toml allows (needs uv)
	$(call TEST_APART,build/lowest,--resolution lowest-direct)

test-python: ## run the tests on another CPython with the locked versions (needs uv): PYTHON=python3.13
	$(call TEST_APART,build/$(notdir $(or $(PYTHON),python3)),--constraint $(LOCK))

define TEST_APART
@uv --version >/dev/null 2>&1 || { echo "make $@ needs uv on the PATH." >&2; exit 1; }
uv venv --quiet --allow-existing --python $(or $(PYTHON),python3) $(1)
env -u UV_CONSTRAINT -u UV_OVERRIDE uv pip install --quiet --no-config --python $(1)/bin/python $(2) --editable '.[dev]'
$(1)/bin/python -m pytest $(SPREAD) $(TESTS)
endef

notebooks: $(DEV) ## run the notebooks and keep their outputs
	$(PY) docs/execute.py

coverage: $(DEV) ## run the tests and print the combined coverage
	$(PY) -m pytest --cov --cov-report=
	NUMBA_DISABLE_JIT=1 $(PY) -m pytest -m "nojit and not slow" --cov --cov-append $(NOJIT)

lint: $(DEV) ## check style and formatting
	$(PY) -m ruff check
	$(PY) -m ruff format --check

format: $(DEV) ## mend style and formatting
	$(PY) -m ruff check --fix
	$(PY) -m ruff format

types: export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1
types: $(DEV) ## check the types
	$(PY) -m pyright

docs: $(DOCS) ## build the documentation into build/docs; warnings and broken links are errors
	$(PY) docs/generate.py
	$(PY) -m sphinx -W --keep-going -q -d build/doctrees docs build/docs
	$(PY) docs/links.py build/docs

bench: $(BENCH) ## run the benchmarks
	$(PY) -m benchmarks
	$(PY) -m benchmarks.check_cells

dist: $(STAMP) ## build the wheel and the source archive into dist
	$(PY) -m hatchling build

lock: ## renew constraints/lock.txt (needs uv)
	@uv --version >/dev/null 2>&1 || { echo "make lock needs uv on the PATH." >&2; exit 1; }
	env -u UV_CONSTRAINT -u UV_OVERRIDE uv pip compile pyproject.toml --no-config --quiet --upgrade --all-extras \
	  --universal --python-version 3.11 --fork-strategy fewest --constraint constraints/holds.txt \
	  --no-annotate --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
	  --output-file $(LOCK)

clean: ## remove .venv, build products and caches
	rm -rf $(VENV) build dist .coverage .hypothesis .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
