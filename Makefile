# Sendoff. `make run` and `make test` need nothing before them but Python 3.11+, and the network the first time.

.DEFAULT_GOAL := help
.PHONY: messages help run setup dev test check format bench faults lock clean

# The first Python on this machine that is new enough; if there is none, set-up says so with the one there is.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.14 python; do \
  command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; exit; }; done; echo python3)
BIN := .venv/bin
SETUP = @command -v $(PYTHON) >/dev/null 2>&1 || { echo "Sendoff needs Python 3.11 or later, and there is no $(PYTHON) here" >&2; exit 1; }; \
  $(PYTHON) -I webapp/local/environment.py

export PORT HOST SENDOFF_VAR DEMO DATABASE_URL REDIS_URL NAME SCALE RUNS SEED

help: ## list the commands
	@awk 'BEGIN {FS = ":.*## "; print "make …"} /^[a-z]+:.*## / {printf "  %-8s %s\n", $$1, $$2}' Makefile

run: setup ## start Sendoff on this machine; PORT=8000 HOST=127.0.0.1 SENDOFF_VAR=var DEMO=1
	@exec $(BIN)/python -m webapp.local.run

setup: ## install what `make run` needs, without starting it
	$(SETUP)

dev: ## install what the checks and tests need, a browser included
	$(SETUP) --dev --browser

test: dev ## every check and every test, from nothing
	@$(MAKE) --no-print-directory check
	@exec $(BIN)/python -m pytest -q -n 2 --dist loadfile $(ARGS)

check: ## formatting, lint, types, import contracts, templates
	@$(BIN)/ruff format --check --quiet . || { echo "run: make format" >&2; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@if [ -d templates ]; then $(BIN)/djlint --quiet --lint templates; fi

format: ## format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix --quiet .

messages: ## bring the catalogs of translations up to date with the code; then translate what is empty
	@mkdir -p var
	@$(BIN)/pybabel -q extract -F pyproject.toml -k _l -k lazy_gettext -k Counted:1,2 --no-location --no-wrap -o var/messages.pot .
	@$(BIN)/pybabel -q update -i var/messages.pot -d webapp/translations --no-fuzzy-matching --ignore-obsolete --no-wrap

bench: ## benchmarks: all, or NAME=send; SCALE=0.1 for a smaller one
	@exec $(BIN)/python -m tests.bench $(NAME)

faults: ## things go wrong while 100,000 messages are sent, and everybody is counted; RUNS=20 SCALE=1 SEED=
	@exec $(BIN)/python -m tests.faults

lock: ## make the lock files anew from pyproject.toml and package.json
	@$(COMPILE) --output-file requirements.txt pyproject.toml
	@$(COMPILE) --extra dev --output-file requirements-dev.txt pyproject.toml
	@npm install --package-lock-only --ignore-scripts

clean: ## remove what set-up and tests made; data in var/ stays
	@rm -rf .venv static/vendor node_modules .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
	@find webapp -name '*.mo' -delete

COMPILE = $(BIN)/pip-compile --quiet --generate-hashes --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --strip-extras --allow-unsafe
