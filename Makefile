# `make` prints the targets. Everything is made inside this folder, most of it in .venv and _build.

# Named on the command line or in the environment it also decides whether .venv is made anew.
PYTHON ?= python3
UV_VERSION := 0.13.9

python := .venv/bin/python
locked := .venv/.locked
installed := .venv/.installed

# nft lives in /usr/sbin, which an ordinary user's PATH may lack.
export PATH := $(PATH):/usr/sbin:/sbin

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help setup book notebooks verify test lint bench lock clean
.PHONY: packages test-packages ready

# An environment that was moved or copied points to its old place: it does not count.
ifneq ($(shell cat $(locked) 2>/dev/null),$(CURDIR))
.PHONY: $(locked)
endif
ifneq ($(origin PYTHON),file)
minor := import sys; print(sys.version_info[:2])
ifneq ($(shell $(PYTHON) -c '$(minor)' 2>/dev/null),$(shell $(python) -c '$(minor)' 2>/dev/null))
.PHONY: $(locked)
endif
endif

help: ## Print this list
	@awk -F ': .*## ' '/^[a-z]+:.* ## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile

setup: ready ## Make .venv with exactly the packages of requirements.txt and install nodeport-lab in it
	@echo "Ready. See what this machine can run: .venv/bin/nodeport-lab doctor"

book: ready ## Run the notebooks and build the site in _build/html
	@$(python) -m nodeport_lab.book build

notebooks: ready ## Run the notebooks and write the results to notebooks/runs, to be committed
	@$(python) -m nodeport_lab.book notebooks

verify: ready ## Run the notebooks of notebooks/runs again and compare their outputs
	@$(python) -m pytest $(parallel) --nbval --nbval-current-env notebooks/runs

test: test-packages $(installed) lint ## Run all checks and tests, those of verify included
	@$(python) -m pytest $(parallel) --nbval --nbval-current-env tests notebooks/runs

lint: $(installed) ## Check style, format and types
	@$(python) -m ruff check
	@$(python) -m ruff format --check
	@$(python) -m mypy

bench: ready ## Measure the speed of the lab on this machine
	@$(python) benchmarks/bench.py

lock: ## Write requirements.txt anew; newest versions: make lock UPGRADE=--upgrade
	@scratch=$$(mktemp -d) && trap 'rm -rf "$$scratch"' EXIT \
	&& $(PYTHON) -m venv "$$scratch" \
	&& "$$scratch/bin/python" -m pip install --quiet uv==$(UV_VERSION) \
	&& "$$scratch/bin/uv" --quiet pip compile pyproject.toml --group dev --group build \
		--universal --python-version 3.11 --generate-hashes --no-annotate \
		--no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' \
		$(UPGRADE) --output-file requirements.txt

clean: ## Remove what was built and every cache; .venv stays
	@rm -rf _build .hypothesis .mypy_cache .pytest_cache .ruff_cache dist
	@find . -path ./.venv -prune -o \( -name __pycache__ -o -name .ipynb_checkpoints \) -prune -exec rm -rf {} +

# The cells of one notebook, and the tests of one module, stay with one process. Most of them
# wait for packets or a browser, so one process more than there are processors is quicker.
workers := $(shell cores=$$(nproc); echo $$((cores < 7 ? cores + 1 : 8)))
parallel := --numprocesses $(workers) --dist loadscope

ready: packages $(installed)

# Without these the stored outputs still make a book.
packages:
	@scripts/system-packages -- nft curl

test-packages:
	@scripts/system-packages nft curl -- chromium

$(locked): requirements.txt
	@scripts/environment '$(PYTHON)'
	@printf '%s' '$(CURDIR)' > $@

$(installed): $(locked) pyproject.toml
	@$(python) -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@
