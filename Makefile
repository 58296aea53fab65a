# Everything from a fresh clone with Python 3.11 to 3.14 and make; nothing else is needed.
# `make run` serves, `make test` checks everything. `make help` lists the rest.

# The environment's own Python first: it was chosen before. Then one that can make an environment.
FITS := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))
PYTHON := $(or $(PYTHON),$(shell for needed in "import ensurepip" ""; do \
	for p in .venv/bin/python python3 python3.14 python3.13 python3.12 python3.11 python; do \
	"$$p" -c '$(FITS)' && "$$p" -c "$$needed" && { echo "$$p"; exit; }; done; done 2>/dev/null))
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: $(shell sed -n 's/^\([a-z-]*\):.*/\1/p' $(MAKEFILE_LIST))

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

python:
	@"$(PYTHON)" -c '$(FITS)' 2>/dev/null || { echo "taskchat needs Python 3.11 to 3.14; $${PYTHON:-none that was found} is not one. Name one with: make PYTHON=/path/to/python" >&2; exit 1; }

serving: python
	@"$(PYTHON)" scripts/environment.py requirements.lock

environment: python ## what serving and all checks need, in .venv
	@"$(PYTHON)" scripts/environment.py requirements.lock requirements-dev.lock

run: serving ## serve on 127.0.0.1:8000 with nothing configured
	@exec $(BIN)/taskchat dev $(ARGS)

check: environment ## formatter, linter, types, import rules, contracts
	# By module: what an installer writes into bin names the folder, which some characters break.
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m ruff check .
	$(BIN)/python -m mypy
	$(BIN)/python $(BIN)/lint-imports
	$(BIN)/taskchat contracts --check

# Of the hundreds of processes that tests start, each would compile the whole package again.
test: export PYTHONDONTWRITEBYTECODE :=
test: environment ## everything: check, beside the tests
	$(BIN)/python -m pytest -p tests.checking -n 4 --dist=worksteal $(ARGS)

coverage: environment ## the tests once more, and which branches they leave out; takes twice as long
	$(BIN)/python -m pytest -n 4 --dist=worksteal --cov --cov-report=term --cov-fail-under=90 $(ARGS)

format: environment ## mend what the formatter and the linter can
	$(BIN)/python -m ruff format .
	$(BIN)/python -m ruff check --fix .

bench: environment ## processor time of a turn beside the leanest one that can be written
	@$(BIN)/python -m benchmarks.turn $(ARGS)

bench-round-trips: environment ## what a turn asks of the database, statement by statement
	@$(BIN)/python -m benchmarks.round_trips $(ARGS)

bench-growth: environment ## a turn in long conversations, in full tables, among many others
	@$(BIN)/python -m benchmarks.growth $(ARGS)

bench-size: environment ## pages and exports of long conversations, and of users with many
	@$(BIN)/python -m benchmarks.size $(ARGS)

bench-start: environment ## until `taskchat dev` is ready, first turns of a process, imports
	$(BIN)/python -m benchmarks.start $(ARGS)

bench-live: environment ## sockets and streams: memory, acknowledgments, added delay
	$(BIN)/python -m benchmarks.live $(ARGS)

bench-burst: environment ## a thousand turns at once on a process that has little of a core
	$(BIN)/python -m benchmarks.burst $(ARGS)

bench-search: environment ## what a search finds, and how its time grows with what was said
	@$(BIN)/python -m benchmarks.search $(ARGS)

bench-scale: environment ## plans and times of what is asked of ten thousand to ten million turns
	@$(BIN)/python -m benchmarks.scale $(ARGS)

bench-listeners: environment ## what a notification costs, by how many processes listen
	@$(BIN)/python -m benchmarks.listeners $(ARGS)

bench-models: environment ## what is seen of each fault of a model, and what it costs upstream
	$(BIN)/python -m benchmarks.model_faults $(ARGS)

bench-instruments: environment ## processor time of a turn with metrics, Server-Timing and traces, and without
	@$(BIN)/python -m benchmarks.instruments $(ARGS)

bench-login: environment ## what the time of a refused sign-in tells, and what a flood of them costs
	@$(BIN)/python -m benchmarks.login $(ARGS)

page-libraries: environment ## fetch the libraries of the chat page anew; ARGS="marked@…" takes another version
	$(BIN)/python scripts/page_libraries.py $(ARGS)

types: environment ## write the types for TypeScript anew, from contracts/
	@$(BIN)/python -m scripts.typescript_types

AUDIT := .venv-audit

# Apart from what it looks at, whose versions it would decide.
$(AUDIT)/.ready: requirements-audit.lock | python
	@"$(PYTHON)" -m venv --clear $(AUDIT)
	@$(AUDIT)/bin/python -I -m pip install --quiet --disable-pip-version-check --no-deps \
		--require-hashes -r requirements-audit.lock
	@touch $@

audit: environment $(AUDIT)/.ready ## known vulnerabilities of what the locks name; says so if nobody can be asked
	@$(BIN)/python scripts/audit.py $(AUDIT)/bin/pip-audit requirements.lock requirements-dev.lock

licences: environment ## write docs/licences.md anew from what requirements.lock names
	@$(BIN)/python scripts/licences.py

release: environment $(AUDIT)/.ready ## dist/: the wheel, its sources and what is in them (SBOM), the same bytes for the same commit
	@$(BIN)/python scripts/release.py $(AUDIT)/bin/cyclonedx-py

deploy-check: environment ## check what is in deploy/ by the tools that are here
	@$(BIN)/python scripts/deploy_check.py

hostile: environment ## every spelling of every hostile row to every way in, and ten thousand requests at random; `make test` sends the first of them
	HOSTILE_EXAMPLES=10000 $(BIN)/python -m pytest tests/test_hostile_inputs.py tests/hostile $(ARGS)

access: environment ## every state of the chat page by axe, in each window in either scheme; needs Chromium
	ACCESS_CROSSED=1 $(BIN)/python -m pytest tests/browser/test_access.py -k axe $(ARGS)

migrations: environment ## kill migrations at every statement, beside a writer; `make test` at some
	MIGRATION_STATEMENTS_APART=1 $(BIN)/python -m pytest tests/test_migrations.py -k killed $(ARGS)

fuzz: environment ## requests, frames and orders of calls at random, and schemathesis; ARGS="--minutes 10 --seed 1 --only requests"
	@$(BIN)/python -m tests.fuzz $(ARGS)

train: environment ## train the offline model anew, from src/taskchat_offline/data/; the same bytes for the same data
	$(BIN)/python -m taskchat_offline.train $(ARGS)

offline-curve: environment ## how often the offline model is right and wrong, at each threshold, over files that it was not trained on
	@$(BIN)/python -m tests.assistant.offline.curve $(or $(ARGS),$(addprefix tests/assistant/offline/data/,unseen.jsonl held_out.jsonl phrasings.jsonl))

pictures: environment ## take the pictures of the chat page in docs/pictures anew; needs Chromium
	$(BIN)/python -m pytest -q tests/browser/pictures.py $(ARGS)

chaos: environment ## kill, freeze and restart real processes under load, then check nineteen invariants
	$(BIN)/python -m tests.faults.chaos $(ARGS)

failover: environment ## kill the primary under fifty turns a second, promote its standby, and check what was told
	$(BIN)/python -m tests.faults.failover $(ARGS)

rolling: environment ## replace three processes under load; ARGS="--from COMMIT" those of an earlier release
	$(BIN)/python -m tests.faults.rolling $(ARGS)

soak: environment ## a modest load for an hour: memory, connections, descriptors and tables must stay as they are
	$(BIN)/python -m tests.faults.soak $(ARGS)

reloads: environment ## reload pages of AI SDK and AG-UI clients in the middle of turns, each on another process
	$(BIN)/python -m tests.ui.reloads $(ARGS)
	$(BIN)/python -m tests.ag_ui.reloads $(ARGS)

newcomer: python ## the README and the quickstart word for word, in an empty folder; ARGS=--test tests there, too
	@"$(PYTHON)" scripts/newcomer.py $(ARGS)

LOCK = uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	--no-emit-index-url --no-emit-find-links --no-strip-extras --custom-compile-command "make lock"
COMPILE = $(LOCK) pyproject.toml --extra embedded --extra otel
# A pip that resolves needs pins with extras and without: old ones take neither for the other.
PIN_BOTH = awk '{ lines = lines $$0 "\n" } /^[^ ]/ { extra = sub(/\[[^]]*\]/, "") } \
	extra { bare = bare $$0 "\n" } END { printf "%s%s", lines, bare > FILENAME }'

lock: ## compile the locks anew, keeping versions; ARGS=--upgrade takes newer ones (needs uv)
	$(COMPILE) -o requirements.lock $(ARGS)
	# What serving has is there already; the second lock names only what is added.
	$(COMPILE) --group dev -c requirements.lock -o requirements-dev.lock $(ARGS) \
		$$(sed -n 's/^\([a-z0-9.-]*\).*==.*/--no-emit-package \1/p' requirements.lock)
	$(PIN_BOTH) requirements.lock
	$(PIN_BOTH) requirements-dev.lock
	# What looks at the others stands alone.
	$(LOCK) --group pyproject.toml:audit -o requirements-audit.lock $(ARGS)
	$(PIN_BOTH) requirements-audit.lock

clean: ## remove the environment and what tools left behind
	rm -rf .venv .venv-audit .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage .coverage.* dist
