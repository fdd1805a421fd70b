# What a person sets stands on the command line: variables of these names in the environment are others' affair.
OPTIONS = PROFILE ONLY DEVICE PRECISION THREADS DATA ENV ADAPTERS RESULTS FRESH RETRY RUN FORMAT PLOTS A B NAME KIND ADAPTER CHECK TORCH_BACKEND
$(foreach name,$(OPTIONS),$(if $(filter command,$(origin $(name))),,$(eval undefine $(name))))
unexport $(OPTIONS)
# Of what sets up git, pip, uv and Python in the environment, only this is handed on: how a network is reached, and
# where the interpreter at hand (ENV=current) finds packages, which -E keeps from the harness itself.
REACH = $(addprefix PIP_,CACHE_DIR CERT CLIENT_CERT CONFIG_FILE DEFAULT_TIMEOUT EXTRA_INDEX_URL FIND_LINKS INDEX_URL \
	NO_INDEX PROXY RETRIES TRUSTED_HOST) $(addprefix UV_,CACHE_DIR CONFIG_FILE DEFAULT_INDEX EXTRA_INDEX_URL \
	FIND_LINKS HTTP_TIMEOUT INDEX INDEX_% INSECURE_HOST LINK_MODE NATIVE_TLS NO_INDEX OFFLINE SYSTEM_CERTS)
unexport $(filter-out PYTHON PYTHONPATH PYTHONUSERBASE $(REACH),$(filter GIT_% PIP_% PYTHON% UV_%,$(.VARIABLES)))

PYTHON = python3
# the Python by which uv compiles what it installs would find PYTHONPATH's modules first
UV = env -u PYTHONPATH .uv/bin/uv
SPIKEBENCH = .venv/bin/python -E -m bench
export UV_PYTHON_DOWNLOADS = never
ifdef TORCH_BACKEND
$(error TORCH_BACKEND asks for another torch than the locks hold by its hash: leave it out, or install that torch \
	yourself and use ENV=current)
endif

# $(call quoted,NAME): the value of the variable NAME as one word of the shell, whatever is in it
quoted = '$(subst ','\'',$(value $1))'
# $(call written,NAME): the value with ~ at its beginning, which ^ marks, written out
written = $(if $(filter ~/%,$(firstword $(value $1))),$(HOME)$(subst ^~,,^$(value $1)),$(value $1))
# $(call option,NAME): --name with that value, where there is one
option = $(if $(value $1),--$(shell echo $1 | tr A-Z a-z) $(call quoted,$1))
# $(call switch,NAME): --name, unless its value says no
switch = $(if $(filter-out 0 no false,$(value $1)),--$(shell echo $1 | tr A-Z a-z))
options = $(foreach name,$1,$(call option,$(name))) $(call switch,FRESH)

COMPILE = $(UV) pip compile --quiet --upgrade --generate-hashes --no-emit-index-url --no-header --no-annotate \
	--python-version 3.11 --python-platform x86_64-unknown-linux-gnu

# as in bench/process.py: glibc otherwise gives large temporaries back and faults them in again
ALLOCATOR = MALLOC_TRIM_THRESHOLD_=-1 MALLOC_MMAP_THRESHOLD_=4294967296

.PHONY: help bench doctor parity layers versus report compare claims tensorboard publish check test conform lint readme adapter lock clean
.DELETE_ON_ERROR:

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile | expand -t 20

bench: .venv/ready  ## prepare everything and run; PROFILE ONLY DEVICE PRECISION THREADS DATA ENV ADAPTERS RESULTS FRESH=1 RETRY=1
	@$(SPIKEBENCH) run $(call options,PROFILE ONLY DEVICE PRECISION THREADS DATA ENV ADAPTERS RESULTS) $(call switch,RETRY)

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
	@OMP_NUM_THREADS=1 $(ALLOCATOR) .venv/bin/python -E -m pytest -n auto -m 'not frameworks and not long'

test: .venv/ready  ## every test, conformance of every adapter included; DATA=...
	@$(SPIKEBENCH) setup $(call option,DATA)
	@$(if $(value DATA),DATA=$(call quoted,DATA)) OMP_NUM_THREADS=1 .venv/bin/python -E -m pytest -n auto

conform: .venv/ready  ## the conformance suite; ADAPTER=... CHECK=... ADAPTERS=... DEVICE=cuda
	@.venv/bin/python -E -m pytest -v -rs tests/conformance/test_conformance.py $(call option,ADAPTER) $(call option,CHECK) $(call option,ADAPTERS) $(call option,DEVICE)

lint: .venv/ready  ## ruff and types
	@.venv/bin/ruff check
	@.venv/bin/ruff format --check
	@.venv/bin/python -E -m mypy

readme: .venv/ready  ## renew the parts of the documents that are made from published runs
	@.venv/bin/python -E -m scripts.readme

adapter: .venv/ready  ## a folder for a new adapter; NAME=... KIND=plain ADAPTERS=...
	@$(SPIKEBENCH) new-adapter $(call quoted,NAME) $(call option,KIND) $(call option,ADAPTERS)

FAMILIES = $(wildcard adapters/*_family/requirements.in)
LOCKED = $(filter-out $(FAMILIES),$(wildcard adapters/*/requirements.in tests/*/requirements.in))
FOLDER := $(or $(call written,ADAPTERS),adapters)/$(value NAME)
LOCKABLE = test -f $(call quoted,FOLDER)/requirements.in || { echo $(call quoted,FOLDER) has no requirements.in to \
	make a lock of: NAME is a folder in adapters, or in ADAPTERS=... >&2; exit 2; };

# Families first: the locks of their adapters are held to their constraints.
ifdef NAME
lock: .uv/ready
	@$(LOCKABLE) $(COMPILE) $(call quoted,FOLDER)/requirements.in --output-file $(call quoted,FOLDER)/requirements.txt
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

# A stamp is written last, when the work is shown to be done.  It says for which place and by which Python: a folder
# that was copied, moved, or whose Python has gone or changed is made again, as if "again" were newer.
PROGRAM := $(call written,PYTHON)
PREFIX = 'import sys; print(sys.base_prefix, sys.version.replace("\n", " "))'
made = cd ./$1 && pwd -P && bin/python -Ic $(PREFIX)
stale = $(shell [ "$$( ($(made)) 2>/dev/null)" = "$$(cat $1/ready 2>/dev/null)" ] || echo again)
.PHONY: again
# So it is for a Python that is named; with ENV=current that is the one which has the frameworks.
ifeq ($(strip $(origin PYTHON) $(value ENV)),command line)
ifneq ($(shell $(call quoted,PROGRAM) -Ic $(PREFIX) 2>/dev/null),$(shell sed -n 2p .uv/ready 2>/dev/null))
.uv/ready: again
endif
endif

.uv/ready: bench/uv.txt $(call stale,.uv)
	@$(call quoted,PROGRAM) -Ic 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo \
		"Spikebench needs Python 3.11 or newer, and" $(call quoted,PROGRAM) "isn't: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(call quoted,PROGRAM) -Ic 'import ensurepip, venv' 2>/dev/null || { echo \
		$(call quoted,PROGRAM) "can't make environments: install its venv package (python3-venv on Debian)" >&2; exit 1; }
	@echo "Preparing uv ..."
	@rm -rf .uv
	@$(call quoted,PROGRAM) -E -m venv .uv
	@.uv/bin/python -E -m pip install --quiet --disable-pip-version-check --require-hashes -r bench/uv.txt
	@$(UV) --version >/dev/null || { echo "pip has installed no uv that runs: look at \`pip config list\`" >&2; exit 1; }
	@($(call made,.uv)) >$@

# What uv has in its cache needs no network.  Python 3.11 reads .pth files in the locale's encoding, which may lack a
# letter of the place: where the project lies is said from there.
.venv/ready: .uv/ready bench/requirements.txt pyproject.toml $(call stale,.venv)
	@echo "Preparing the harness ..."
	@rm -rf .venv
	@$(UV) venv --quiet --python .uv/bin/python .venv
	@$(UV) pip sync --offline $(SYNC) 2>/dev/null || $(UV) pip sync $(SYNC)
	@$(UV) pip install --offline $(OWN) 2>/dev/null || $(UV) pip install $(OWN)
	@for place in .venv/lib/python3*/site-packages/spikebench.pth; do [ ! -e "$$place" ] || echo ../../../.. >"$$place"; done
	@.venv/bin/python -E -c 'import bench.cli'
	@($(call made,.venv)) >$@

SYNC = --quiet --compile-bytecode --require-hashes --python .venv bench/requirements.txt
OWN = --quiet --no-deps --python .venv --editable .
