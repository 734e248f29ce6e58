# One way in: `make demo` tunes a real model on this machine, `make test` proves the project.
# Both set up what they need by themselves, the first in .demo (small), the second in .venv (large), from
# requirements/, where packages are pinned by their hashes. Three are pinned or bounded by version only: uv, which
# checks the hashes, hatchling, which builds this package, and PyTorch, whose build depends on the machine.

PYTHON ?= python3
UV_VERSION := 0.13.8
BIN := .venv/bin
STORE := .trialjob
# All but gp, which is PyTorch alone.
EXTRAS := pandas fake-aws qmc examples syne-tune report serve mlflow tensorboard sagemaker huggingface tuners
COMPILE = $(BIN)/uv pip compile pyproject.toml --override requirements/overrides.txt --universal \
    --generate-hashes --no-emit-index-url --no-header --quiet

.PHONY: demo test test-fast test-lowest test-newest check lint types contracts docs bench bench-search soak fuzz-api dist lock clean

demo: .demo/.ready
	.demo/bin/trialjob run examples/digits/sweep.yaml --store $(STORE)

test: .venv/.ready
	$(BIN)/python -m pytest -n auto --dist worksteal

# Those that need no other process: the first to run, and soon over. tools/kinds_of_tests.py says which they are.
test-fast: .venv/.ready
	$(BIN)/python -m pytest -n auto --dist worksteal -m fast

# The quick tests on the lowest versions that pyproject.toml allows of what it names itself, or on the newest,
# resolved anew each time. Tests of tools that are not installed there are skipped, and the tools of the tests are
# those of the lock.
LOWEST_EXTRAS := pandas,fake-aws,qmc,examples,report,serve,tensorboard
test-lowest:
	$(call quick,.lowest,lowest-direct)

test-newest:
	$(call quick,.newest,highest)

define quick
	$(PYTHON) -m venv --clear $(1)
	$(1)/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	VIRTUAL_ENV=$(1) $(1)/bin/uv pip install --quiet --resolution $(2) --editable '.[$(LOWEST_EXTRAS)]'
	VIRTUAL_ENV=$(1) $(1)/bin/uv pip install --quiet --constraints requirements/dev.txt \
	    hypothesis pytest pytest-timeout pytest-xdist
	$(1)/bin/python -m pytest -n auto tests/unit tests/golden
endef

check: lint types contracts test

lint: .venv/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.ready
	$(BIN)/mypy

contracts: .venv/.ready
	$(BIN)/lint-imports

# The documentation as a site in .site, built in an environment of its own. A broken link ends it, as does a page
# that is not in the navigation or that would fetch something from elsewhere.
docs: .docs/.ready
	NO_MKDOCS_2_WARNING=1 .docs/bin/mkdocs build --strict

# Other faults at every call and other examples of each property than the suite has, for as long as one likes:
# make soak SCHEDULES=100000
SCHEDULES ?= 20000
soak: .venv/.ready
	$(BIN)/python -m pytest -n auto --hypothesis-profile=searching tests/properties tests/unit
	TRIALJOB_SCHEDULES=$(SCHEDULES) TRIALJOB_SEED=$${TRIALJOB_SEED:-$$(date +%s)} \
	    $(BIN)/python -m pytest -s tests/scenarios/test_chaos.py

# make fuzz-api SCHEMATHESIS=/tmp/fuzz/bin/schemathesis
fuzz-api: .venv/.ready
	$(BIN)/python tools/fuzz_api.py $(SCHEMATHESIS)

bench: .venv/.ready
	$(BIN)/python benchmarks/run.py

# Loops beside random search under ASHA on live trainings, judged by training each choice anew. What is here takes
# minutes and decides nothing; runs are kept, so more may follow: make bench-search SEARCH='--seeds 0 40'
# benchmarks/search/live/README.md says what else there is, and what it found.
SEARCH ?= --seeds 0 3 --tasks "dense digits" "kernel digits"
LIVE := OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.search.live
KEPT := build/bench-search
bench-search: .venv/.ready
	$(LIVE).runs --keep $(KEPT)/runs.jsonl $(SEARCH)
	$(LIVE).judge $(KEPT)/runs.jsonl --trainings $(KEPT)/made --judged $(KEPT)/judged.jsonl --ways best "confirm 3 x 2"
	$(LIVE).show $(KEPT)/judged.jsonl

# What is published for a tag: make dist TAG=v1.2.3. The table of prices in it is of that day.
dist: .demo/.ready
	$(PYTHON) tools/release_check.py "$(TAG)"
	.demo/bin/trialjob prices --update --all-regions --output src/trialjob/backends/sagemaker/prices.json
	.demo/bin/uv build --out-dir dist

lock: .venv/.ready
	$(COMPILE) $(EXTRAS:%=--extra %) --group dev -o requirements/dev.txt
	$(COMPILE) --extra examples -c requirements/dev.txt -o requirements/demo.txt
	$(subst pyproject.toml,--group docs,$(COMPILE)) -c requirements/dev.txt -o requirements/docs.txt

define install
	$(PYTHON) -c 'import sys; sys.exit("trialjob needs Python 3.11 or newer" if sys.version_info < (3, 11) else 0)'
	test -x $(1)/bin/python || $(PYTHON) -m venv $(1)
	$(1)/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	VIRTUAL_ENV=$(1) $(1)/bin/uv pip sync --quiet --require-hashes $(2)
	VIRTUAL_ENV=$(1) $(1)/bin/uv pip install --quiet --no-deps --editable .
endef

.demo/.ready: requirements/demo.txt pyproject.toml
	$(call install,.demo,$<)
	touch $@

.docs/.ready: requirements/docs.txt pyproject.toml
	$(call install,.docs,$<)
	touch $@

# pip and not uv for PyTorch: it takes a build without CUDA where the machine has been told of one.
.venv/.ready: requirements/dev.txt requirements/torch.txt pyproject.toml
	$(call install,.venv,$<)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements/torch.txt
	touch $@

clean:
	rm -rf .venv .demo .lowest .newest .docs .site .mypy_cache .ruff_cache .import_linter_cache .hypothesis $(STORE)
