PYTHON ?= python3
UV = .uv/bin/uv
SPIKEBENCH = .venv/bin/spikebench
export UV_PYTHON_DOWNLOADS = never
ifdef TORCH_BACKEND
export UV_TORCH_BACKEND = $(TORCH_BACKEND)
endif

# $(call option,NAME): --name 'value' where the variable NAME is set
option = $(if $($1),--$(shell echo $1 | tr A-Z a-z) '$($1)')
RUN_OPTIONS = $(foreach name,PROFILE ONLY DEVICE PRECISION THREADS DATA ENV ADAPTERS,$(call option,$(name))) \
	$(if $(FRESH),--fresh)

COMPILE = $(UV) pip compile --quiet --upgrade --generate-hashes --no-emit-index-url --no-header --no-annotate \
	--python-version 3.11 --python-platform x86_64-unknown-linux-gnu

.PHONY: help bench parity test conform adapter lint lock report publish clean
.DELETE_ON_ERROR:

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile | expand -t 18

bench: .venv/ready  ## prepare everything and run; options: PROFILE ONLY DEVICE PRECISION THREADS DATA ENV ADAPTERS FRESH=1
	@$(SPIKEBENCH) run $(RUN_OPTIONS)

PARITY_OPTIONS = $(foreach name,ONLY DEVICE PRECISION ENV ADAPTERS,$(call option,$(name))) $(if $(FRESH),--fresh)

parity: .venv/ready  ## certify every variant of every adapter; options: ONLY DEVICE PRECISION ENV ADAPTERS FRESH=1
	@$(SPIKEBENCH) parity $(PARITY_OPTIONS)

conform: .venv/ready  ## the conformance suite; options: ADAPTER=... ADAPTERS=...
	@.venv/bin/python -m pytest tests/conformance/test_conformance.py $(call option,ADAPTER) $(call option,ADAPTERS)

adapter: .venv/ready  ## a folder for a new adapter; NAME=... ADAPTERS=...
	@$(SPIKEBENCH) new-adapter '$(NAME)' $(call option,ADAPTERS)

test: .venv/ready  ## every test, conformance of every adapter included
	@$(SPIKEBENCH) setup $(call option,DATA)
	@.venv/bin/python -m pytest

lint: .venv/ready  ## ruff and types
	@.venv/bin/ruff check
	@.venv/bin/ruff format --check
	@.venv/bin/mypy

report: .venv/ready  ## the report again, from records alone; RUN=... (else the latest)
	@$(SPIKEBENCH) report $(if $(RUN),'$(RUN)')

publish: .venv/ready  ## copy a run to results/published; RUN=... (else the latest)
	@$(SPIKEBENCH) publish $(if $(RUN),'$(RUN)')

FAMILIES = $(wildcard adapters/*_family/requirements.in)
LOCKED = $(filter-out $(FAMILIES),$(wildcard adapters/*/requirements.in))
FOLDER = $(or $(ADAPTERS),adapters)/$(NAME)

# Families first: the locks of their adapters are held to their constraints.
ifdef NAME
lock: .uv/ready
	$(COMPILE) $(FOLDER)/requirements.in --output-file $(FOLDER)/requirements.txt
else
lock: .uv/ready  ## renew every lock, or that of one adapter: NAME=... ADAPTERS=...
	$(COMPILE) bench/uv.in --output-file bench/uv.txt
	$(COMPILE) pyproject.toml bench/requirements.in --output-file bench/requirements.txt
	set -e; for folder in $(dir $(FAMILIES)); do \
		$(COMPILE) $${folder}requirements.in --output-file $${folder}constraints.txt; done
	set -e; for folder in $(dir $(LOCKED)); do \
		$(COMPILE) $${folder}requirements.in --output-file $${folder}requirements.txt; done
	set -e; for lock in $(basename $(wildcard adapters/*/requirements-cuda.in)); do \
		$(COMPILE) $$lock.in --output-file $$lock.txt; done
endif

clean:  ## remove the environments and caches; results stay
	rm -rf .uv .venv .envs .mypy_cache .pytest_cache .ruff_cache

# The stamps are written last, so an interrupted step runs again.
.uv/ready: bench/uv.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo \
		"Spikebench needs Python 3.11 or newer, and $(PYTHON) isn't: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo \
		"$(PYTHON) can't make environments: install its venv package (python3-venv on Debian)" >&2; exit 1; }
	@echo "Preparing uv ..."
	@rm -rf .uv
	@$(PYTHON) -m venv .uv
	@.uv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r bench/uv.txt
	@touch $@

.venv/ready: .uv/ready bench/requirements.txt pyproject.toml
	@echo "Preparing the harness ..."
	@rm -f $@
	@$(UV) venv --quiet --clear --python .uv/bin/python .venv
	@$(UV) pip sync --quiet --require-hashes --python .venv bench/requirements.txt
	@$(UV) pip install --quiet --no-deps --python .venv --editable .
	@touch $@
