# make setup      install everything into .venv
# make demo       deploy the iris example on this machine and use it
# make test       everything that must hold; test-fast: the unit tests only
# make lint       formatting, style, types
# make lock       choose the newest versions that fit together

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
INSTALLED := $(VENV)/.installed
# The same number as in constraints.txt: it is installed before anything can read that file.
UV_VERSION := $(shell sed -n 's/^uv==//p' constraints.txt)

.PHONY: setup demo test test-fast lint format lock clean

setup: $(INSTALLED)

$(BIN)/uv: constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "cortex needs Python 3.10 or newer: make PYTHON=python3.12 setup"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "Python's venv module is missing: on Debian and Ubuntu, apt-get install python3-venv"; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@touch $@

$(INSTALLED): $(BIN)/uv pyproject.toml serving_image/pyproject.toml constraints.txt
	@echo "installing into $(VENV)"
	@$(UV) pip install --quiet --compile-bytecode --python $(BIN)/python --constraints constraints.txt --editable serving_image --editable '.[local]' --group dev
	@touch $@

demo: setup
	@sh examples/demo.sh $(BIN)/cortex

test: setup
	$(BIN)/python -m pytest -n 2 --dist loadfile tests
	cd serving_image && ../$(BIN)/python -m pytest -n 2 --dist loadfile

test-fast: setup
	$(BIN)/python -m pytest -n 2 --dist loadfile tests/unit

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	cd serving_image && ../$(BIN)/mypy

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: $(BIN)/uv
	$(UV) pip compile --upgrade --universal --python-version 3.10 --no-emit-package cortex-serving --no-header --no-annotate \
		--extra local --group dev pyproject.toml --output-file constraints.txt

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache cdk.out
