# What a person sets stands on the command line: variables of these names in the environment are others' affair.
OPTIONS = PROFILE ONLY DEVICE PRECISION THREADS DATA ENV ADAPTERS RESULTS FRESH RUN FORMAT PLOTS A B NAME ADAPTER TORCH_BACKEND
$(foreach name,$(OPTIONS),$(if $(filter command,$(origin $(name))),,$(eval undefine $(name))))
unexport $(OPTIONS)

PYTHON = python3
UV = .uv/bin/uv
SPIKEBENCH = .venv/bin/spikebench
export UV_PYTHON_DOWNLOADS = never
unexport UV_TORCH_BACKEND
# with it, every command would compile this project anew
unexport PYTHONDONTWRITEBYTECODE
ifdef TORCH_BACKEND
$(error TORCH_BACKEND asks for another torch than the locks hold by its hash: leave it out, or install that torch \
	yourself and use ENV=current)
endif

# $(call quoted,NAME): the value of the variable NAME as one word of the shell, whatever is in it
quoted = '$(subst ','\'',$(value $1))'
# $(call option,NAME): --name with that value, where there is one
option = $(if $(value $1),--$(shell echo $1 | tr A-Z a-z) $(call quoted,$1))
options = $(foreach name,$1,$(call option,$(name))) $(if $(FRESH),--fresh)

COMPILE = $(UV) pip compile --quiet --upgrade --generate-hashes --no-emit-index-url --no-header --no-annotate \
	--python-version 3.11 --python-platform x86_64-unknown-linux-gnu

# as in bench/process.py: glibc otherwise gives large temporaries back and faults them in again
ALLOCATOR = MALLOC_TRIM_THRESHOLD_=-1 MALLOC_MMAP_THRESHOLD_=4294967296

.PHONY: help bench doctor parity layers versus report compare claims tensorboard publish check test conform lint readme adapter lock clean
.DELETE_ON_ERROR:

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile | expand -t 20

bench: .venv/ready  ## prepare everything and run; PROFILE ONLY DEVICE PRECISION THREADS DATA ENV ADAPTERS RESULTS FRESH=1
	@$(SPIKEBENCH) run $(call options,PROFILE ONLY DEVICE PRECISION THREADS DATA ENV ADAPTERS RESULTS)

doctor: .venv/ready  ## what is missing on this machine, and how to get it
	@$(SPIKEBENCH) doctor

parity: .venv/ready  ## certify every variant of every adapter; ONLY DEVICE PRECISION ENV ADAPTERS RESULTS FRESH=1
	@$(SPIKEBENCH) parity $(call options,ONLY DEVICE PRECISION ENV ADAPTERS RESULTS)

layers: .venv/ready  ## one layer over neurons, steps and batch, in every framework; ONLY DEVICE PRECISION THREADS ENV ADAPTERS RESULTS FRESH=1
	@$(SPIKEBENCH) run --profile layers $(call options,ONLY DEVICE PRECISION THREADS ENV ADAPTERS RESULTS)

versus: .venv/ready  ## each framework beside its own example and the limit; ONLY DEVICE THREADS ENV ADAPTERS RESULTS FRESH=1
	@$(SPIKEBENCH) run --profile versus $(call options,ONLY DEVICE THREADS ENV ADAPTERS RESULTS)

report: .venv/ready  ## the report again, from records alone; RUN=... (else the latest) RESULTS FORMAT=md|csv|latex (printed)
	@$(SPIKEBENCH) report $(if $(RUN),$(call quoted,RUN)) $(call option,FORMAT) $(call option,RESULTS)

compare: .venv/ready  ## which of two is faster, and how sure that is: A=ADAPTER B=ADAPTER; RUN=... RESULTS
	@$(SPIKEBENCH) compare $(call quoted,A) $(call quoted,B) $(if $(RUN),$(call quoted,RUN)) $(call option,RESULTS)

claims: .venv/ready  ## published figures beside ours, from all records; RESULTS
	@$(SPIKEBENCH) claims $(call option,RESULTS)

tensorboard: .venv/ready  ## the curves of a run as TensorBoard's event files; RUN=... RESULTS
	@$(SPIKEBENCH) export tensorboard $(if $(RUN),$(call quoted,RUN)) $(call option,RESULTS)

publish: .venv/ready  ## a compact copy of a run in results/published; RUN=... PLOTS=name,name RESULTS
	@$(SPIKEBENCH) publish $(if $(RUN),$(call quoted,RUN)) $(call option,PLOTS) $(call option,RESULTS)

check: .venv/ready  ## the tests that need no framework and are not long: under two minutes
	@OMP_NUM_THREADS=1 $(ALLOCATOR) .venv/bin/python -m pytest -n auto --dist loadfile -m 'not frameworks and not long'

test: .venv/ready  ## every test, conformance of every adapter included; DATA=...
	@$(SPIKEBENCH) setup $(call option,DATA)
	@$(if $(value DATA),DATA=$(call quoted,DATA)) OMP_NUM_THREADS=1 .venv/bin/python -m pytest -n auto --dist loadgroup

conform: .venv/ready  ## the conformance suite; ADAPTER=... ADAPTERS=... DEVICE=cuda
	@.venv/bin/python -m pytest -rs tests/conformance/test_conformance.py $(call option,ADAPTER) $(call option,ADAPTERS) $(call option,DEVICE)

lint: .venv/ready  ## ruff and types
	@.venv/bin/ruff check
	@.venv/bin/ruff format --check
	@.venv/bin/mypy

readme: .venv/ready  ## renew the parts of the documents that are made from published runs
	@.venv/bin/python -m scripts.readme

adapter: .venv/ready  ## a folder for a new adapter; NAME=... ADAPTERS=...
	@$(SPIKEBENCH) new-adapter $(call quoted,NAME) $(call option,ADAPTERS)

FAMILIES = $(wildcard adapters/*_family/requirements.in)
LOCKED = $(filter-out $(FAMILIES),$(wildcard adapters/*/requirements.in tests/*/requirements.in))
FOLDER := $(patsubst ~/%,$(HOME)/%,$(or $(value ADAPTERS),adapters))/$(value NAME)

# Families first: the locks of their adapters are held to their constraints.
ifdef NAME
lock: .uv/ready
	$(COMPILE) $(call quoted,FOLDER)/requirements.in --output-file $(call quoted,FOLDER)/requirements.txt
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
	@$(UV) pip sync --quiet --compile-bytecode --require-hashes --python .venv bench/requirements.txt
	@$(UV) pip install --quiet --no-deps --python .venv --editable .
	@touch $@
