# The project's commands. 'make help' lists them; tools/bootstrap.sh makes the environment that they run in.
# Paths are relative, so a checkout whose path holds spaces works.

PY := .venv/bin/python
.DEFAULT_GOAL := help
.NOTPARALLEL:
# Tests start this code as hundreds of processes: each would compile it anew where bytecode may not be kept.
export PYTHONDONTWRITEBYTECODE :=
.PHONY: help demo test fuzz bench lint types docs docs-check screenshots runtime dev clean

help: ## list these commands
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | while IFS='|' read -r name what; do \
		printf '%-20s%s\n' "$$name" "$$what"; done

demo: runtime ## start a hub, six demo agents and the console on them
	@.venv/bin/opsconsole demo

test: dev ## run every test, three files at a time: most of them wait for processes, and the slow begin first
	$(PY) -m pytest -n 3 --dist loadfile --no-loadscope-reorder

fuzz: dev ## search every fuzz target for a minute with hypothesis, and one with atheris where it is installed in .venv
	$(PY) -m tests.fuzz
	$(PY) -m bench.gateway_fuzz

bench: dev ## run the benchmarks and write bench/results.json
	$(PY) -m bench

lint: dev ## check style, formatting and the layers
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	.venv/bin/lint-imports --no-logo

types: dev ## check the types
	$(PY) -m mypy

docs: dev ## write the generated protocol documents
	$(PY) -m opsconsole.protocol.schema docs/

docs-check: dev ## check that the generated protocol documents are current
	$(PY) -m opsconsole.protocol.schema --check docs/

screenshots: dev ## render the console's screenshots into docs/images
	OPSCONSOLE_SCREENSHOTS=docs/images $(PY) -m pytest tests/console -k screenshot

runtime: ## make the environment that the product needs
	@tools/bootstrap.sh runtime

dev: ## make the environment that tests and checks need
	@tools/bootstrap.sh dev

clean: ## remove the environment and every cache
	rm -rf .venv dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find opsconsole storage tests bench -name __pycache__ -type d -prune -exec rm -rf {} +
