# `make demo` and `make test` set themselves up in .venv. The second time they start at once.
#   make demo TORCH=cuda     uses PyPI's own build of PyTorch (CUDA on Linux) instead of the CPU build
#   make test PYTHON=python3.13
#   make test JOBS=1         one process; the default is one for each core
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
TORCH ?= cpu
BIN := $(VENV)/bin
JOBS ?= auto
PYTEST := $(BIN)/python -m pytest --numprocesses $(JOBS) --dist worksteal
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
# Where PyTorch publishes its CPU builds; asked only if no other source that pip knows has one.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
ifeq ($(TORCH),cpu)
CONSTRAINTS := --constraint constraints-cpu.txt
TORCH_FALLBACK := --extra-index-url $(TORCH_INDEX)
endif

.PHONY: help demo test test-slow test-interop lint check format docs bench clean
help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

demo: $(VENV)/.core  ## PPO and RLOO improve a small language model on two tasks: table, curves, completions (minutes)
	$(BIN)/textgym benchmark --algos ppo,rloo --tasks SentimentContinuation,Copy --seeds 3 --jobs 2 \
	  --timesteps SentimentContinuation=10000,Copy=65000 --eval-prompts 200 --out demo-results

test: $(VENV)/.test  ## the tests, in one process a core
	$(PYTEST)

test-slow: $(VENV)/.test  ## the tests that take minutes
	$(PYTEST) -m slow

# One library at a time, each with the wheel of this checkout in an environment of its own.
LIBRARIES := cleanrl sb3 tianshou torchrl rllib minari
test-interop: $(VENV)/.test $(LIBRARIES:%=.venv-interop/%/.textgym)  ## other libraries learn in textgym (set-up: 6 GB)
	$(BIN)/python -m pytest -m "slow or not slow" tests/interop

lint: $(VENV)/.dev  ## format, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

check: lint test  ## format, lint, types, tests

format: $(VENV)/.dev  ## format the code and mend what ruff can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(VENV)/.docs  ## the site, into site/; it needs no network to read
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo "Open site/index.html, or for the search too: $(BIN)/python -m http.server --directory site"

bench: $(VENV)/.core  ## speed, as ratios to what you would use instead (twenty minutes)
	$(BIN)/textgym speed

clean:  ## remove the virtual environment and caches
	rm -rf $(VENV) .venv-interop .pytest_cache .mypy_cache .ruff_cache dist build site

# Each stamp is newer than what it was made from; a change of pyproject.toml installs again.
$(VENV)/.torch: constraints-cpu.txt
	@echo "Setting up $(VENV) with $(PYTHON) (once; a few minutes)"
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "error: $(PYTHON) is not Python 3.11 to 3.13. Name one: make PYTHON=python3.12" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) $(CONSTRAINTS) torch 2>$(VENV)/torch.log || $(PIP) $(CONSTRAINTS) $(TORCH_FALLBACK) torch || \
	  { echo "error: no build of PyTorch found (see above). TORCH=cuda takes PyPI's own." >&2; exit 1; }
	@touch $@

$(VENV)/.core: $(VENV)/.torch pyproject.toml
	@$(PIP) $(CONSTRAINTS) --editable .
	@touch $@

$(VENV)/.test: $(VENV)/.core
	@$(PIP) $(CONSTRAINTS) --editable ".[test]"
	@touch $@

$(VENV)/.dev: $(VENV)/.test
	@$(PIP) $(CONSTRAINTS) --editable ".[dev]"
	@touch $@

$(VENV)/.docs: $(VENV)/.core
	@$(PIP) $(CONSTRAINTS) --editable ".[docs,contrib]"
	@touch $@

SOURCES = $(shell find textgym agents -name '*.py')
.venv-interop/%/.textgym: .venv-interop/%/.library $(SOURCES)
	@.venv-interop/$*/bin/python -m pip --disable-pip-version-check install --quiet --no-deps --force-reinstall .
	@touch $@

.PRECIOUS: .venv-interop/%/.library
.venv-interop/%/.library: examples/other_libraries/requirements/%.txt constraints-cpu.txt pyproject.toml
	@$(MAKE) --no-print-directory VENV=.venv-interop/$* .venv-interop/$*/.torch
	@.venv-interop/$*/bin/python -m pip --disable-pip-version-check install --quiet $(CONSTRAINTS) \
	  --requirement $< .
	@touch $@
