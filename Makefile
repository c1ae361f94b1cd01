# make demo         the quickstart, on scikit-learn's digits (ARGS="--csv FILE --target COLUMN" for your table)
# make test         ruff, then the tests
# make test-cluster the tests that need a cluster: two worker processes of Dask
# make test-torch   the tests of training without the compiled engine: torch computes everything
# make test-oldest  the tests of what depends on versions, with the oldest that are supported
# make wheel        a wheel with the compiled engine, into dist/
# make docs         the site, with all pictures of the gallery, into docs/_build/html
# make docs-quick   the same with the pictures of one example: for a look at the pages
# make docs-serve   show the site at http://127.0.0.1:8000
# make test-browser the tests of the site in Chromium (apt-get install chromium)
# make bench        time and memory next to scikit-learn and skorch, into docs/performance.md (idle machine)
# make clean        remove the environments and what was built
#
# Tests run on all cores (JOBS=1 for one), with one thread of OpenMP each: more slow each other down.
#
# Each command makes the environment that it needs. The stamps in it say what was installed, so a
# second start goes straight to work.

PYTHON ?= python3
VENV ?= .venv
VENV_OLDEST ?= .venv-oldest
ARGS ?=
JOBS ?= auto

PACKAGING = pyproject.toml setup.py $(wildcard sklmlp/native/src/*)
PIP_INSTALL = -m pip install --quiet --disable-pip-version-check --no-compile

# Python compiles a module when it is first imported. Of torch and its company most never are, so pip
# need not compile them all; what was compiled is to be kept.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test test-cluster test-torch lint format test-oldest wheel bench clean
.PHONY: docs docs-quick docs-serve test-browser

demo: $(VENV)/installed-examples
	$(VENV)/bin/python examples/quickstart.py $(ARGS)

# A process takes neighbouring tests, which share fits, and steals from another one when it is done.
PYTEST_PARALLEL = -m pytest -n $(JOBS) --dist worksteal

test: lint
	OMP_NUM_THREADS=1 $(VENV)/bin/python $(PYTEST_PARALLEL) $(ARGS)

test-cluster: $(VENV)/installed-test $(VENV)/installed-dask
	$(VENV)/bin/python -m pytest -m cluster tests/search/test_cluster.py $(ARGS)

# tests/search/test_backend.py, and others of the steps by torch, choose these steps in `make test` too.
TORCH_ALONE = tests/training tests/optim tests/callbacks tests/native/test_door.py \
	tests/search/test_interrupt.py tests/search/test_warnings.py \
	tests/test_base.py tests/test_same_numbers.py tests/test_outputs.py

test-torch: $(VENV)/installed-test
	SKLMLP_NO_EXTENSION=1 OMP_NUM_THREADS=1 $(VENV)/bin/python $(PYTEST_PARALLEL) $(TORCH_ALONE) $(ARGS)

lint: $(VENV)/installed-test
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

format: $(VENV)/installed-test
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

# What can depend on versions is what a user's libraries call and are called by: scikit-learn's checks,
# tables of pandas, polars and SciPy, SciPy's solvers, skorch's callbacks, joblib, Optuna, files of
# skops and ONNX, figures. Left out is what would run the same code again: the oldest torch is
# today's, and these files take at most NumPy's arrays and `clone` from elsewhere, or compare with
# figures of SciPy and scikit-learn. What documents and examples show is run with today's versions.
SAME_WITH_ANY_VERSION = $(addprefix tests/, test_imports.py test_networks.py test_refits.py \
	test_serving.py test_activations.py test_losses.py test_custom_loss.py test_docs.py \
	test_examples.py test_quickstart.py test_benchmarks.py \
	failures/test_target_scale.py losses runtime native tabular/test_network.py \
	$(patsubst %,inspection/test_%.py,gradients networks) callbacks/test_checkpoint.py \
	$(patsubst %,nn/test_%.py,activation_spec embeddings layers network originals spec tied weight_init) \
	$(patsubst %,optim/test_%.py,clipping muon registry schedules torch_optimizers) \
	$(patsubst %,training/test_%.py,pausing same_steps steps stopping tied))

test-oldest: $(VENV_OLDEST)/installed-test
	OMP_NUM_THREADS=1 $(VENV_OLDEST)/bin/python $(PYTEST_PARALLEL) \
		$(addprefix --ignore=,$(SAME_WITH_ANY_VERSION)) $(ARGS)

SITE = docs/_build/html
SPHINX = OMP_NUM_THREADS=1 $(VENV)/bin/python -m sphinx -b html -d docs/_build/doctrees -W --keep-going

docs: $(VENV)/installed-docs
	$(SPHINX) $(ARGS) docs $(SITE)

# The example whose picture tests/browser looks at.
docs-quick: $(VENV)/installed-docs
	$(SPHINX) -D sphinx_gallery_conf.filename_pattern=/plot_activations $(ARGS) docs $(SITE)

docs-serve:
	$(VENV)/bin/python -m http.server --bind 127.0.0.1 --directory $(SITE) 8000

test-browser: $(VENV)/installed-test $(VENV)/installed-browser
	test -e $(SITE)/index.html || $(MAKE) docs-quick
	$(VENV)/bin/python -m pytest -m browser tests/browser $(ARGS)

wheel: $(VENV)/bin/python
	SKLMLP_NEED_EXTENSION=1 $(VENV)/bin/python -m pip wheel --quiet --no-deps --wheel-dir dist .

bench: $(VENV)/installed-test
	$(VENV)/bin/python benchmarks/compare.py $(ARGS)

clean:
	rm -rf $(VENV) $(VENV_OLDEST) build dist *.egg-info quickstart_output sklmlp/native/*.so
	rm -rf docs/_build docs/gallery docs/generated
	rm -rf .pytest_cache .hypothesis .ruff_cache .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python $(VENV_OLDEST)/bin/python:
	$(PYTHON) -m venv $(patsubst %/bin/python,%,$@)

CONSTRAINTS = constraints.txt
$(VENV_OLDEST)/%: CONSTRAINTS = constraints-oldest.txt

# Torch comes first and by itself, so that its pinned version is found before anything asks for "a torch".
$(VENV)/torch: constraints.txt | $(VENV)/bin/python
$(VENV_OLDEST)/torch: constraints-oldest.txt | $(VENV_OLDEST)/bin/python
$(VENV)/torch $(VENV_OLDEST)/torch:
	@echo "Installing torch in $(@D) ..."
	$(@D)/bin/python $(PIP_INSTALL) -c $(CONSTRAINTS) torch
	@touch $@

# The compiled engine lies in the source tree, and one fits every version of Python: it is compiled by
# the first environment, and by others where it is older than its sources.
ENGINE = sklmlp/native/_engine.abi3.so
IS_BUILT = test -e $(ENGINE) && test -z "$$(find $(PACKAGING) -newer $(ENGINE))"
define INSTALL
	@echo "Installing sklmlp[$*] in $(@D) ..."
	if $(IS_BUILT); then export SKLMLP_NO_EXTENSION=1; fi; \
		$(@D)/bin/python $(PIP_INSTALL) -c $(CONSTRAINTS) -e '.[$*]'
	@touch $@
endef

$(VENV)/installed-%: $(PACKAGING) $(VENV)/torch
	$(INSTALL)

$(VENV_OLDEST)/installed-%: $(PACKAGING) $(VENV_OLDEST)/torch
	$(INSTALL)
