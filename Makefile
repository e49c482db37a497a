# Everything runs inside .venv, which is made from pins with hashes. Needs Python 3.11 or newer, make and git.
PYTHON ?= python3
BIN := .venv/bin
LOCK := .ci/requirements.txt

.PHONY: demo test stress check bench bench-quick docs lock clean
.DEFAULT_GOAL := demo

demo: .venv/ready ## one real export, start to end, against the local sandbox
	@$(BIN)/connector demo

test: .venv/ready ## the whole test suite
	@$(BIN)/pytest

check: .venv/ready ## format, lint, types, import rules, generated pages
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/cog --check -r $(COGGED)

docs: .venv/ready ## write the generated pages again
	$(BIN)/cog -r $(COGGED)

stress: .venv/ready ## the long ones: kill storms, a million rows, a fault storm
	@$(BIN)/pytest -m stress --dist worksteal

bench: .venv/ready ## measure; writes docs/reference/performance.md
	$(BIN)/python -m bench

bench-quick: .venv/ready ## a short look, three minutes at most; prints only
	$(BIN)/python -m bench --quick

lock: .venv/ready ## pin the newest versions of everything again
	$(BIN)/pip install -q uv
	$(BIN)/uv pip compile pyproject.toml --python-version 3.11 --universal --all-extras --group tests --group types \
	  --group docs --group build --generate-hashes --no-emit-index-url --no-annotate --no-header -q --upgrade -o $(LOCK)

clean:
	rm -rf .venv .connector .mypy_cache .ruff_cache .pytest_cache .hypothesis

COGGED := $(shell grep -lR '\[\[\[cog' docs README.md 2>/dev/null)

.venv/ready: $(LOCK) pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "connector needs Python 3.11 or newer. Name one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	  { echo "This Python has no venv module: install your system's package for it (Debian, Ubuntu: python3-venv), then try again."; exit 1; }
	@echo "Installing into .venv (once) …"
	@$(PYTHON) -m venv --clear .venv
	@$(BIN)/pip install -q --disable-pip-version-check --require-hashes --no-deps -r $(LOCK)
	@$(BIN)/pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
