# Thin: what there is to do is done by Python. KERNEL is 6.12, 6.1 or both.

PYTHON ?= python3
KERNEL ?= 6.12
KERNELS = $(if $(filter both,$(KERNEL)),6.12 6.1,$(KERNEL))
VENV = .venv/bin
TESTS ?=
# Tests run side by side, one on each processor; 0 for one after the other.
JOBS ?= auto
# Bytecode is kept, also where the environment says no: each of the tests' programs would be compiled anew.
export PYTHONDONTWRITEBYTECODE =
# What a test may rely on to be there.
export LIBLINUX_BUILT = $(KERNELS)

native := $(wildcard setup.py pyproject.toml src/liblinux/_native/* kernel/host/* kernel/jail/* kernel/jail/cell/* kernel/slirp/*)

.PHONY: run build test test-tap test-debug oopses bench reliability another-machine check wheel clean

run: build
	$(VENV)/python examples/first_session.py

.stamps/venv: dev/prepare.py $(native)
	$(PYTHON) dev/prepare.py
	@mkdir -p .stamps && touch $@

.stamps/test-programs: dev/prepare.py
	$(PYTHON) dev/prepare.py --test-programs
	@mkdir -p .stamps && touch $@

build: .stamps/venv
	$(foreach kernel,$(KERNELS),$(VENV)/liblinux build --kernel $(kernel) &&) true

test: build .stamps/test-programs
	$(foreach kernel,$(KERNELS),LIBLINUX_KERNEL=$(kernel) $(VENV)/pytest -n $(JOBS) --dist worksteal $(TESTS) &&) true

# Kernels with fault injection, and what can only be tested with them.
test-debug: build .stamps/test-programs
	$(foreach kernel,$(KERNELS),$(VENV)/liblinux build --kernel $(kernel) --config minimal --with debug &&) true
	LIBLINUX_BUILT="$(addsuffix -debug,$(KERNELS))" $(VENV)/pytest tests/debug

# The table of planted faults in docs/RELIABILITY.md.
oopses: build .stamps/test-programs
	$(foreach kernel,$(KERNELS),LIBLINUX_KERNEL=$(kernel) $(VENV)/python tests/oopses.py &&) true

# Nothing but TAP on standard output, a document for each kernel.
test-tap:
	@$(MAKE) --no-print-directory build .stamps/test-programs >&2
	@$(foreach kernel,$(KERNELS),LIBLINUX_KERNEL=$(kernel) $(VENV)/pytest --tap13 $(TESTS) &&) true

.stamps/bench-programs: dev/prepare.py pyproject.toml
	$(PYTHON) dev/prepare.py --bench-programs
	@mkdir -p .stamps && touch $@

bench: build .stamps/bench-programs
	$(VENV)/python bench/run.py

# Hours of work in some minutes: images are kept in the cache, so that seeds mean the same again.
reliability: build .stamps/test-programs
	$(VENV)/python tests/reliability/restores.py
	$(VENV)/python tests/reliability/repeats.py
	$(VENV)/liblinux crashtest examples/crash/fsynced.py --fs ext4 --fs xfs --fs btrfs --fs f2fs
	$(VENV)/python tests/reliability/leaks.py
	$(VENV)/python tests/reliability/damage.py
	$(VENV)/python tests/reliability/frames.py
	$(VENV)/python fuzz/loader.py
	$(VENV)/python fuzz/syscalls.py

# The same seeds on emulated machines, with other processors and another kernel: some minutes each.
another-machine: build .stamps/test-programs
	$(VENV)/python dev/another_machine.py

check: .stamps/venv
	$(VENV)/ruff check
	$(VENV)/ruff format --check
	$(VENV)/mypy

# Not what an earlier wheel was made from: it may hold kernels of other releases.
wheel: build
	rm -rf build/lib* build/bdist*
	$(VENV)/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

# Kernels that were built stay in the cache, see `liblinux build --help`.
clean:
	rm -rf build dist .venv .stamps .mypy_cache .pytest_cache .ruff_cache src/*.egg-info src/liblinux/*.so src/liblinux/lib
