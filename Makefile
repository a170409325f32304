# make try    generate a project, make and verify its environment, run its sample over SSH
# make quick  lint, type-check, and the tests that need no environment
# make test   lint, type-check and test everything
# make bench  measure (see benchmarks/)
# make docs   build the documentation into site/ (make pictures draws its pictures again)
# Each sets up what it needs, in .venv and build/.
# By hand: HYPOTHESIS_PROFILE=long .venv/bin/python -m pytest --timeout 0 tests/test_hostile_input.py

PYTHON ?= python3
ifeq ($(OS),Windows_NT)
BIN := .venv/Scripts
else
BIN := .venv/bin
endif
unexport PYTHONDONTWRITEBYTECODE
export PYTHONPYCACHEPREFIX := $(CURDIR)/build/pycache
export MYPY_CACHE_DIR := $(CURDIR)/build/mypy
export PIP_CACHE_DIR := $(CURDIR)/build/cache/pip
export UV_CACHE_DIR := $(CURDIR)/build/cache/uv

.PHONY: try quick test lint bench docs pins pictures
.DEFAULT_GOAL := try

.venv/ready: requirements.txt
	$(PYTHON) tools/bootstrap.py

try: .venv/ready
	@$(BIN)/python tools/try.py

quick: .venv/ready lint
	$(BIN)/python -m pytest -m quick

test: .venv/ready lint
	$(BIN)/python -m pytest

lint: .venv/ready
	$(BIN)/ruff check --config pyproject.toml
	$(BIN)/ruff format --check --config pyproject.toml
	$(BIN)/python tools/check_imports.py
	$(BIN)/python -m mypy tools benchmarks tests/*.py tests/base tests/network tests/lockfile tests/environment
	$(BIN)/python -m mypy tests/sample
	cd "{{cookiecutter.project}}" && ../$(BIN)/python -m mypy --config-file ../pyproject.toml -p condaw

pins: .venv/ready
	$(BIN)/python tools/pins.py

# Quickly, on a machine that is not quiet: make bench BENCH="--runs 1 --small"
# After it was stopped: make bench BENCH=--resume
bench: .venv/ready
	test -x build/bench/bin/python || $(PYTHON) -m venv build/bench
	build/bench/bin/pip install --quiet --require-hashes --no-deps -r benchmarks/requirements.txt
	$(BIN)/python benchmarks/environment.py $(BENCH)
	build/bench/bin/python benchmarks/fleet.py $(BENCH)
	$(BIN)/python benchmarks/scale.py $(BENCH)
	build/bench/bin/python benchmarks/report.py

docs:
	test -x build/docs/bin/mkdocs || $(PYTHON) -m venv build/docs
	build/docs/bin/pip install --quiet --require-hashes --no-deps -r docs/requirements.txt
	NO_MKDOCS_2_WARNING=1 build/docs/bin/mkdocs build --strict --quiet --site-dir site

pictures: .venv/ready
	$(BIN)/python tools/check_imports.py --dot > docs/pictures/rooms.dot
	$(BIN)/python tools/pictures.py
