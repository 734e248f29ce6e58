# One way in: `make demo` tunes a real model on this machine, `make test` proves the project.
# Both set up what they need in .venv from requirements/dev.txt, which pins every package by its hash.

PYTHON ?= python3
UV_VERSION := 0.13.8
BIN := .venv/bin
STORE := .trialjob
# All but gp, which brings PyTorch.
EXTRAS := pandas fake-aws qmc examples

.PHONY: demo test check lint types contracts bench lock clean

demo: .venv/.ready
	$(BIN)/trialjob run examples/digits/sweep.yaml --store $(STORE)

test: .venv/.ready
	$(BIN)/python -m pytest -n auto

check: lint types contracts test

lint: .venv/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.ready
	$(BIN)/mypy

contracts: .venv/.ready
	$(BIN)/lint-imports

bench: .venv/.ready
	$(BIN)/python benchmarks/run.py

lock: .venv/.ready
	$(BIN)/uv pip compile pyproject.toml $(EXTRAS:%=--extra %) --group dev --universal --generate-hashes \
	    --no-emit-index-url --no-header --quiet -o requirements/dev.txt

.venv/.ready: requirements/dev.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("trialjob needs Python 3.11 or newer" if sys.version_info < (3, 11) else 0)'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	VIRTUAL_ENV=.venv $(BIN)/uv pip sync --quiet --require-hashes requirements/dev.txt
	VIRTUAL_ENV=.venv $(BIN)/uv pip install --quiet --no-deps --editable .
	touch $@

clean:
	rm -rf .venv .mypy_cache .ruff_cache .import_linter_cache .hypothesis $(STORE)
