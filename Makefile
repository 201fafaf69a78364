# Everything happens in .venv, from pinned packages; `make demo` on a fresh clone needs Python 3.11, pip, make and a
# C++ compiler (CMake and Ninja come with the lock). A second run starts at once: the stamps below say what is current.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   := .venv
BIN    := $(VENV)/bin
LOCKED := $(VENV)/.locked
BUILT  := $(VENV)/.built
NATIVE := $(wildcard CMakeLists.txt) $(shell find native -type f 2>/dev/null)

FITS   := import sys; sys.exit(1) if sys.version_info < (3, 11) else None

.DEFAULT_GOAL := help
.PHONY: help demo test slow check native sanitize aarch64 avx512 mutants dev bench lock clean distclean

help:  ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /make \1\t/' | expand -t 16

demo: $(BUILT)  ## train LeNet-5 on scikit-learn's digits and write a report
	$(BIN)/striate train digits

# A test keeps to one thread (tests/conftest.py), so several of them run at once; a process of theirs takes 1 GB.
test: $(BUILT)  ## the tests, but for those marked slow
	$(BIN)/python -m pytest -m "not slow" -n logical --maxprocesses 4 --dist worksteal

slow: $(BUILT)  ## the tests marked slow
	$(BIN)/python -m pytest -m slow tests

check: $(BUILT)  ## style, types, the arrows between the rooms, the book
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# The core and its programs alone, without Python, in build/native and build/sanitize.
native: $(LOCKED)  ## build the core's own programs and run the conformance suites
	$(BIN)/cmake -S . -B build/native -G Ninja -DCMAKE_MAKE_PROGRAM="$(CURDIR)/$(BIN)/ninja" -DSTRIATE_NATIVE_TESTS=ON >/dev/null
	$(BIN)/cmake --build build/native --parallel
	build/native/striate_conformance
	build/native/striate_warp
	build/native/striate_bfloat16
	build/native/striate_gemm
	build/native/striate_strassen

sanitize: $(LOCKED)  ## the conformance suites under AddressSanitizer and UndefinedBehaviorSanitizer
	$(BIN)/cmake -S . -B build/sanitize -G Ninja -DCMAKE_MAKE_PROGRAM="$(CURDIR)/$(BIN)/ninja" -DSTRIATE_NATIVE_TESTS=ON \
	  -DSTRIATE_SANITIZE=address,undefined >/dev/null
	$(BIN)/cmake --build build/sanitize --parallel
	build/sanitize/striate_conformance --shapes 60
	build/sanitize/striate_warp --shapes 60
	build/sanitize/striate_bfloat16 --shapes 60
	build/sanitize/striate_gemm --shapes 60
	build/sanitize/striate_strassen --shapes 60

# In an emulator, so slowly: few shapes, and no timing.
aarch64: $(LOCKED)  ## the conformance suites for ARM's 64 bits (Debian: g++-aarch64-linux-gnu, qemu-user)
	$(BIN)/cmake -S . -B build/aarch64 -G Ninja -DCMAKE_MAKE_PROGRAM="$(CURDIR)/$(BIN)/ninja" -DSTRIATE_NATIVE_TESTS=ON \
	  -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 -DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++ >/dev/null
	$(BIN)/cmake --build build/aarch64 --parallel
	qemu-aarch64 -L /usr/aarch64-linux-gnu build/aarch64/striate_conformance --shapes 4
	qemu-aarch64 -L /usr/aarch64-linux-gnu build/aarch64/striate_warp --shapes 4
	qemu-aarch64 -L /usr/aarch64-linux-gnu build/aarch64/striate_bfloat16 --shapes 2

avx512: $(LOCKED)  ## the conformance suites with AVX-512, emulated (Debian: see native/tests/emulate.py); hours
	$(BIN)/cmake -S . -B build/avx512 -G Ninja -DCMAKE_MAKE_PROGRAM="$(CURDIR)/$(BIN)/ninja" -DSTRIATE_NATIVE_TESTS=ON \
	  -DCMAKE_EXE_LINKER_FLAGS=-static >/dev/null
	$(BIN)/cmake --build build/avx512 --parallel
	for suite in "gemm --isa avx512 --shapes 40" "conformance --isa avx512 --shapes 4" \
	  "warp --isa avx512 --shapes 4" "bfloat16 --unit avx512 --shapes 2"; do \
	  $(BIN)/python native/tests/emulate.py build/avx512/striate_$$suite || exit 1; done

mutants: $(LOCKED)  ## one deliberate fault in each kernel; the conformance suites have to see every one
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python native/tests/mutate.py

dev: $(BUILT)  ## the same environment, with the hooks that run before a commit
	$(BIN)/pre-commit install

# The others are for machines with a GPU, or ask for data of which there is no stand-in.
BENCHMARKS := $(filter-out $(patsubst %,benchmarks/%.py,augment_gpu marginal memory_gpu search transfer),\
  $(wildcard benchmarks/*.py))

bench: $(BUILT)  ## the measured comparisons, with stand-ins where a data set is not given
	@for script in $(BENCHMARKS); do echo "== $$script"; $(BIN)/python $$script || exit 1; done
	$(BIN)/striate bench conv --batch-size 1 --rounds 3

# torch stays at the version pinned now; change that line by hand when torch itself is to move. The extra `peers` stays
# out: half a gigabyte that only `striate bench` looks at.
lock:  ## resolve pyproject.toml anew and write requirements.lock
	rm -rf build/lock
	$(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --quiet "$$(grep '^torch==' requirements.lock)" $$($(PYTHON) -c \
	  'import tomllib; p = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
	   extras = sum((needs for name, needs in p["optional-dependencies"].items() if name != "peers"), []); \
	   print(*(need.replace(" ", "") for need in p["dependencies"] + extras))')
	{ grep '^#' requirements.lock; \
	  build/lock/bin/python -m pip freeze --all | grep -vE '^(pip|wheel)==' | sed -E 's/\+[a-z0-9.]+$$//' \
	  | tr 'A-Z_' 'a-z-' | LC_ALL=C sort; } > build/requirements.lock
	mv build/requirements.lock requirements.lock
	rm -rf build/lock

clean:  ## remove what the build and the tools made; .venv and runs/ stay
	rm -rf build site .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache $(BUILT)
	find src tests benchmarks -name __pycache__ -type d -exec rm -rf {} +

distclean: clean  ## also remove .venv
	rm -rf $(VENV)

# An environment that an interruption left without pip, or that an older Python made, is made anew.
$(LOCKED): requirements.lock
	@$(BIN)/python -c '$(FITS); import pip' 2>/dev/null || { \
	  $(or $(PYTHON),false) -c '$(FITS)' 2>/dev/null || { \
	    echo "make: $(or $(PYTHON),no python3 found): striate needs Python 3.11 or newer; say where it is: make PYTHON=…" >&2; \
	    exit 1; }; \
	  $(PYTHON) -m venv --clear $(VENV); }
	@echo "installing the pinned packages into $(VENV); the first time takes minutes"
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --requirement requirements.lock
	touch $@

# --no-deps: what is installed is what the lock says, and no resolver runs again behind its back.
$(BUILT): $(LOCKED) pyproject.toml $(NATIVE)
	@echo "compiling the core and installing striate into $(VENV); takes minutes"
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pip install --disable-pip-version-check --quiet \
	  --no-build-isolation --no-deps --editable .
	touch $@
