# Five words: build, check, test, bench, run. Each sets up what it needs (a virtual environment in .venv, the compiled
# kernels), picks up where an interrupted one was, and does nothing twice: what is done has a stamp under .venv.
#
#   make run      set up, then `gambit demo`        make check    ruff, mypy, cython-lint, import-linter
#   make test     set up, then the whole suite      make build    source archive and wheel in dist/
#   make bench    set up, then the benchmarks       make doctor   what this machine has and lacks
#
#   make lock     pin anew what is installed                    make sbom     what is installed, in dist/gambit.cdx.json
#
#   make test-checked   the suite against the checked build      make docs    write the generated files
#   make fuzz           the kernels under AddressSanitizer       make clean   remove what was built (not .venv)
#   make fuzz-libfuzzer   one target under libFuzzer; needs clang and libclang-rt-dev (tests/fuzz/libfuzzer.sh)
#
# PYTHON=... picks the interpreter, JOBS=... the number of test processes, SECONDS=... how long to fuzz, TARGET=...
# what libFuzzer gets (scan), ARGS=... goes to pytest, the fuzzers or the demo.

PYTHON ?= python3
JOBS ?= 2
SECONDS ?= 60
TARGET ?= scan
ARGS ?=
export PYTHON

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
PINNED := $(PIP) install --require-hashes --only-binary :all: -r
PYTEST := $(BIN)/python -m pytest
KERNELS := $(wildcard gambit/_core/*.pyx)
SOURCES := $(KERNELS) $(wildcard gambit/_core/*.pxd gambit/_core/*.h) setup.py
# A kernel whose compiled form is gone makes the stamp worthless, and so does another flavour in place.
GONE := $(strip $(foreach kernel,$(KERNELS),$(if $(wildcard $(kernel:.pyx=.*.so)),,$(kernel))))

# What the dashboard draws charts with, from the npm registry; without it everything else works, a next start tries again.
ASSETS := gambit/web/static/vendor/complete

PLACED := $(shell cat build/in-place 2>/dev/null)

.PHONY: run test bench check build doctor test-checked fuzz fuzz-libfuzzer docs lock sbom clean core again
.DELETE_ON_ERROR:
.NOTPARALLEL:

run: $(VENV)/.core $(ASSETS)
	$(BIN)/gambit demo $(ARGS)

test: $(VENV)/.core $(VENV)/.test $(ASSETS)
	$(PYTEST) -n $(JOBS) -rs $(ARGS)

bench: $(VENV)/.core $(VENV)/.test
	$(PYTEST) benchmarks/ -rs $(ARGS)

check: $(VENV)/.core $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/cython-lint gambit
	$(BIN)/lint-imports

build: $(VENV)/.dev $(ASSETS)
	$(BIN)/python -m build --no-isolation --outdir dist .

doctor:
	@.ci/needs >/dev/null && echo "gambit: everything that a build needs is there"
	@if [ -x $(BIN)/gambit ]; then $(BIN)/gambit doctor; fi

# Whatever interrupts this, the next start sees the other flavour and puts the release build back in place.
test-checked: $(VENV)/.core $(VENV)/.test
	GAMBIT_CHECKED=1 $(BIN)/python setup.py -q build_ext --inplace
	$(PYTEST) -n $(JOBS) -rs $(ARGS)
	$(MAKE) core

fuzz: $(VENV)/.core
	tests/fuzz/run.sh $(SECONDS) $(ARGS)

fuzz-libfuzzer: $(VENV)/.core $(VENV)/.test
	tests/fuzz/libfuzzer.sh $(SECONDS) $(TARGET) $(ARGS)

docs: $(VENV)/.core
	$(BIN)/gambit config schema --format markdown > docs/configuration.md
	$(BIN)/gambit config schema --format json > configs/gambit.schema.json
	$(BIN)/gambit schema show > configs/schemas/events.json
	sed -i '/^### A:/,$$d' docs/drills.md
	$(BIN)/gambit drill list --markdown >> docs/drills.md

# Everything that is ever installed, with its hashes; one lock for every supported Python and platform.
LOCK := $(BIN)/python -m uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --quiet
lock: $(VENV)/.made
	$(PIP) install uv
	$(LOCK) $(ARGS) pyproject.toml locks/build.in --extra test --extra dev -o locks/dev.txt
	$(LOCK) pyproject.toml locks/build.in --extra test -c locks/dev.txt -o locks/test.txt
	$(LOCK) pyproject.toml locks/build.in -c locks/dev.txt -o locks/run.txt

sbom: $(VENV)/.dev
	mkdir -p dist
	$(BIN)/cyclonedx-py environment --output-reproducible --pyproject pyproject.toml -o dist/gambit.cdx.json $(BIN)/python

clean:
	rm -rf build dist *.egg-info gambit/_core/*.so $(VENV)/.core
	rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .benchmarks
	find gambit tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

core: $(VENV)/.core

$(VENV)/.made:
	@.ci/needs >/dev/null
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.run: pyproject.toml locks/run.txt | $(VENV)/.made
	$(PINNED) locks/run.txt
	$(PIP) install --no-build-isolation --no-deps -e .
	@touch $@

$(VENV)/.test: $(VENV)/.run locks/test.txt
	$(PINNED) locks/test.txt
	@touch $@

$(VENV)/.dev: $(VENV)/.test locks/dev.txt
	$(PINNED) locks/dev.txt
	@touch $@

$(ASSETS): gambit/web/vendor.py | $(VENV)/.run
	$(BIN)/python -m gambit.web.vendor

$(VENV)/.core: $(SOURCES) $(VENV)/.run $(if $(GONE),again) $(if $(filter release,$(PLACED)),,again)
	$(BIN)/python setup.py -q build_ext --inplace
	@touch $@
