# Everything here works from Python >= 3.11, make and a package index: the first target that needs
# it makes the virtual environment .venv from requirements.lock.

PYTHON ?= python3
PRESET ?= quick
DEVICE ?= auto
PORT   ?= 8000
ARGS   ?=

TRITON := triton==3.7.1; sys_platform == "linux"

# Tests of processes that wait for each other are four times as fast when nothing else runs. They
# come first, unless ARGS names paths (pytest ends with 5 where ARGS chooses none of them).
ALONE := tests/training/test_distributed.py tests/tools/test_torture.py
PATHS  = $(filter tests/% sparsecore/% tools/%,$(ARGS))

# Without bytecode each of some hundred processes would compile PyTorch anew. It is written below
# .venv, whatever the shell says about the folders of the sources.
unexport PYTHONDONTWRITEBYTECODE
export PYTHONPYCACHEPREFIX := $(CURDIR)/.venv/bytecode

BIN := .venv/bin
UV   = UV_FIND_LINKS='$(FIND_LINKS)' $(BIN)/uv pip install --quiet --python $(BIN)/python

# uv reads the same settings as pip under names of its own, with commas between several
comma := ,
space := $(subst ,, )
PIP_CONFIG = $(shell $(PYTHON) -m pip config get global.find-links 2>/dev/null)
FIND_LINKS = $(or $(UV_FIND_LINKS),$(subst $(space),$(comma),$(strip $(or $(PIP_FIND_LINKS),$(PIP_CONFIG)))))
ifdef PIP_INDEX_URL
export UV_DEFAULT_INDEX ?= $(PIP_INDEX_URL)
endif
ifdef PIP_EXTRA_INDEX_URL
export UV_INDEX ?= $(PIP_EXTRA_INDEX_URL)
endif

.DEFAULT_GOAL := help
.PHONY: help venv book pdf notebooks lab serve test unit test-slow fuzz torture reference gpu test-machines lint types format lock bench clean distclean

help:  ## this list
	@echo 'make TARGET [PRESET=quick|small|paper] [DEVICE=auto|cpu|cuda] [ARGS=…]'
	@grep -hE '^[a-z-]+:.*  ## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*  ## (.*)/  make \1 \t\2/' | expand -t 20

venv: .venv/.ready  ## the virtual environment .venv, every package as pinned in requirements.lock

.venv/.ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed, $(PYTHON) is " + sys.version.split()[0] + "; name another: make PYTHON=python3.12 …")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep '^uv==' requirements.lock)"
	$(UV) -r requirements.lock
	$(UV) --no-deps -e .
	@touch $@

# In its interpreter Triton runs the kernels for GPUs on any processor: the version that PyTorch for CUDA brings.
# Where it cannot be installed those tests are skipped.
.venv/.triton: .venv/.ready
	-@$(BIN)/python -c 'import triton' 2>/dev/null || $(UV) '$(TRITON)'
	@touch $@

book: .venv/.ready  ## run the notebooks that changed, build the book, print the page to open
	$(BIN)/python -m tools.book -p preset $(PRESET) -p device $(DEVICE) $(ARGS)

pdf: book  ## the whole book to print, _build/book.pdf (needs Chromium or Chrome)
	$(BIN)/python -m tools.pdf

notebooks: .venv/.ready  ## run the notebooks that changed (ARGS="-p seed 1" sets more parameters)
	$(BIN)/python -m tools.notebooks -p preset $(PRESET) -p device $(DEVICE) $(ARGS)

lab: .venv/.ready  ## JupyterLab on the notebooks: percent scripts, opened as notebooks
	JUPYTER_CONFIG_PATH=tools/jupyter $(BIN)/jupyter lab notebooks

serve: book  ## the book at http://localhost:8000 (PORT=…)
	$(BIN)/python -m http.server --directory _build/html --bind 127.0.0.1 $(PORT)

test: .venv/.triton  ## all of it: style, types, notebooks, the book with warnings as errors, tests
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory --jobs types book ARGS=
	$(if $(PATHS),,OMP_NUM_THREADS=1 $(BIN)/pytest -m 'not slow' $(ALONE) $(ARGS) || [ $$? = 5 ])
	OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --dist worksteal -m 'not slow' $(if $(PATHS),,$(ALONE:%=--ignore=%)) $(ARGS)

unit: .venv/.triton  ## the tests that need neither notebooks nor the book (ARGS=tests/data)
	OMP_NUM_THREADS=1 $(BIN)/pytest -m 'not slow' --ignore=tests/notebooks --ignore=tests/book $(ARGS)

test-slow: .venv/.triton  ## the long tests
	OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --dist worksteal -m slow $(ARGS)

fuzz: .venv/.ready  ## damaged files and wild values for every reader (ARGS="--inputs 2000 --reader text", ARGS=--giants)
	OMP_NUM_THREADS=1 $(BIN)/python -m tools.fuzz $(ARGS)

torture: .venv/.ready  ## kill runs at random moments; their tables must not notice (ARGS="--kills 200")
	$(BIN)/python -m tools.torture $(ARGS)

reference: .venv/.ready  ## every committed table from data: what it costs; ARGS="--yes tagging-2" makes it
	$(BIN)/sparsecore reproduce $(ARGS)

gpu: .venv/.triton  ## on a CUDA device, in 10 minutes: its tests, speeds, training (ARGS=--rehearse on a CPU)
	$(BIN)/python -m tools.gpu $(ARGS)

test-machines: .venv/.triton  ## the tests as on other processors: no AVX, AVX2 alone, one and two threads
	.ci/machines $(ARGS)

bench: .venv/.ready  ## speed and memory beside what a user would pick instead (ARGS="--suite lm lstm")
	$(BIN)/sparsecore bench $(ARGS)

lint: .venv/.ready  ## ruff: style and likely bugs
	$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: .venv/.ready  ## pyrefly over the library, tests and tools
	$(BIN)/pyrefly check

format: .venv/.ready  ## let ruff rewrite what it can
	$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

lock: .venv/.ready  ## pin every package anew: requirements.lock, environment.yml (ARGS=--upgrade)
	$(BIN)/uv pip compile --quiet pyproject.toml --universal --python-version 3.11 --extra dev --no-header --no-annotate $(ARGS) -o requirements.lock
	$(BIN)/python -m tools.lock

clean:  ## remove what make book and make test made (runs and caches under SPARSECORE_HOME stay)
	rm -rf _build notebooks/executed .pytest_cache .ruff_cache .hypothesis

distclean: clean  ## and the virtual environment
	rm -rf .venv
