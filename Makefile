# Everything from a fresh clone with Python 3.11 to 3.14 and make; nothing else is needed.
# `make run` serves, `make test` checks everything. `make help` lists the rest.

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' 2>/dev/null \
	&& { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help run test check format lock bench bench-live bench-burst bench-models chaos clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

$(READY): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "taskchat needs Python 3.11 to 3.14; none was found. Name one with: make PYTHON=/path/to/python $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

run: $(READY) ## serve on 127.0.0.1:8000 with nothing configured
	@exec $(BIN)/taskchat dev $(ARGS)

check: $(READY) ## formatter, linter, types, import rules, contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/taskchat contracts --check

test: check ## everything: check, then the tests with coverage
	# What kills and freezes processes has the machine to itself: its times are short.
	$(BIN)/python -m pytest tests/faults --cov --cov-report= $(ARGS)
	$(BIN)/python -m pytest --ignore=tests/faults -n 3 --dist=loadfile \
		--cov --cov-append --cov-report=term --cov-fail-under=90 $(ARGS)

format: $(READY) ## mend what the formatter and the linter can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY) ## processor time of a turn beside the leanest one that can be written
	$(BIN)/python -m benchmarks.turn $(ARGS)

bench-live: $(READY) ## sockets and streams: memory, acknowledgments, added delay
	$(BIN)/python -m benchmarks.live $(ARGS)

bench-burst: $(READY) ## a thousand turns at once on a process that has little of a core
	$(BIN)/python -m benchmarks.burst $(ARGS)

bench-models: $(READY) ## what is seen of each fault of a model, and what it costs upstream
	$(BIN)/python -m benchmarks.model_faults $(ARGS)

chaos: $(READY) ## kill, freeze and restart real processes under load, then check thirteen invariants
	$(BIN)/python -m tests.faults.chaos $(ARGS)

lock: ## compile requirements.lock anew (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-emit-find-links --no-annotate --no-strip-extras --custom-compile-command "make lock" \
		--extra embedded --group dev pyproject.toml -o requirements.lock

clean: ## remove the environment and what tools left behind
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage .coverage.* dist
