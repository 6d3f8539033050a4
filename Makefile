# Needs make and Python 3.11 to 3.13; everything else goes into $(VENV).
#
# On Linux the public registry's torch brings CUDA with it. For the smaller CPU build:
#   PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu make demo

PYTHON ?= python3
VENV ?= .venv
WORKERS ?= 2
ZOO_FUZZ ?= 500
PYTEST_ARGS ?=
# Of the tests: as they stand in the files, or "random", by the seed SEED.
ORDER ?= files
SEED ?= 1

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
PYTEST := -n $(WORKERS) --dist worksteal \
  $(if $(filter random,$(ORDER)),--randomly-seed=$(SEED),-p no:randomly)
NEEDS := pyproject.toml constraints.txt
ALL := $(VENV)/.installed-all
DEV := $(VENV)/.installed-dev

.PHONY: help demo test quick test-browser browser check proof fuzz bench clean
.DELETE_ON_ERROR:
.NOTPARALLEL:

help:
	@echo "make demo    proves six networks in three frameworks, then measures two"
	@echo "make test    all tests        (PYTEST_ARGS='-k unet', WORKERS=4, ORDER=random)"
	@echo "make quick   those tests that take seconds, in under two minutes"
	@echo "make test-browser  a study's report in headless Chromium"
	@echo "make check   lint, format, types, import contracts"
	@echo "make proof   the whole matrix of the training proof, into docs/ (about 45 min)"
	@echo "make fuzz    parity of many more random configs          (ZOO_FUZZ=500)"
	@echo "make bench   the zoo against plain native models, paired"
	@echo "make clean   remove .venv and caches"

demo: $(ALL)
	$(BIN)/zoo demo
	$(BIN)/zoo compare studies/quick.toml --out study/quick

test: $(DEV)
	$(BIN)/pytest $(PYTEST) tests parity_tests --ignore=tests/browser $(PYTEST_ARGS)

quick: $(DEV)  # for daily work: every test that takes seconds
	$(BIN)/pytest $(PYTEST) -m quick tests parity_tests --ignore=tests/browser \
	  $(PYTEST_ARGS)

test-browser: $(DEV) browser
	$(BIN)/pytest tests/browser $(PYTEST_ARGS)

browser:  # Debian's, installed where it is missing and this may
	@{ command -v chromium && command -v chromedriver; } >/dev/null || \
	{ test "$$(id -u)" = 0 && apt-get update -qq && \
	  apt-get install -qq --no-install-recommends chromium chromium-driver; } || \
	{ echo "make test-browser needs a browser:" \
	  "apt-get install chromium chromium-driver" >&2; exit 1; }

check: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyrefly check --python-interpreter-path $(BIN)/python
	$(BIN)/lint-imports --no-logo

proof: $(DEV)
	$(BIN)/python -m parity_tests.proof

fuzz: $(DEV)  # the tests drawn by hypothesis, with ZOO_FUZZ examples each
	ZOO_FUZZ=$(ZOO_FUZZ) $(BIN)/pytest -m hypothesis parity_tests $(PYTEST_ARGS)

bench: $(ALL)
	$(BIN)/python -m benchmarks

clean:
	rm -rf .venv build dist .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Set-up: again whenever pyproject.toml or constraints.txt change.

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
	  2>/dev/null || { echo "zoo needs Python 3.11 to 3.13 (TensorFlow has none newer);" \
	  "'$(PYTHON)' is not: make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(ALL): $(NEEDS) | $(BIN)/python
	$(PIP) install --constraint constraints.txt --editable '.[all]'
	@touch $@

$(DEV): $(NEEDS) | $(BIN)/python
	$(PIP) install --constraint constraints.txt --editable '.[dev]'
	@touch $(ALL) $@
