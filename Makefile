# Everything happens in .venv, made on the first call and renewed when pyproject.toml or constraints.txt change.
# On Windows, use the three pip lines of CONTRIBUTING.md instead.

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
EVERYDAY := $(BIN)/python -m everyday
PYTEST_WORKERS ?= 3
VIEWS ?= 180000
TFLITE := $(VENV)/tflite
TFLITE_TESTS := tests/export/test_tflite.py tests/export/test_metadata.py \
	$(foreach test,test_mediapipe test_mediapipe_with_the_published_yamnet,tests/test_examples.py::$(test)) \
	$(foreach page,export phones,'tests/test_docs.py::test_what_the_page_shows_works[docs/guide/$(page).md]')
YAMNET := $(or $(EARMARK_SHARED),../shared)/models/yamnet/yamnet_classification_int8.tflite
export NO_MKDOCS_2_WARNING := 1

# The first Python that runs and is new enough; PYTHON=... chooses another one.
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	"$$python" -c '$(NEW_ENOUGH)' 2>/dev/null && echo "$$python" && break; done)

.DEFAULT_GOAL := help
.PHONY: demo test test-timm test-tflite check bench bench-export bench-finetune bench-scratch bench-instruments everyday docs reference clean help

demo: $(READY) ## Label a minute of sound that the demo makes itself; writes demo/demo.html
	$(BIN)/earmark demo

# Workers share the cores: with threads of their own, PyTorch's would wait for one another. Tests wait as well, for
# services and browsers, so one worker more than there are cores keeps these busy.
test: $(READY) ## Run the tests
	OMP_NUM_THREADS=1 $(BIN)/pytest -n $(PYTEST_WORKERS) --dist worksteal

test-timm: $(READY) ## Run the tests of the extra timm, whose torchvision has no build for this torch, apart from the others
	test -d $(VENV)/timm || $(BIN)/python -m pip install --quiet --disable-pip-version-check --target $(VENV)/timm \
		huggingface_hub safetensors pyyaml pillow
	test -d $(VENV)/timm/timm || $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps \
		--target $(VENV)/timm timm torchvision
	PYTHONPATH=$(VENV)/timm $(BIN)/pytest tests/training/test_timm.py

test-tflite: $(TFLITE)/.ready ## Run the tests of the extra tflite, in an environment that has the converter and MediaPipe besides
	OMP_NUM_THREADS=1 $(TFLITE)/bin/python -m pytest -p no:anyio -n $(PYTEST_WORKERS) --dist loadfile $(TFLITE_TESTS)

# What the converter wants in other versions lies before what .venv has, and changes nothing there. (Its anyio is one
# whose plugin for pytest the present pytest warns about.)
$(TFLITE)/.ready: $(READY)
	$(BIN)/python -m venv $(TFLITE)
	$(BIN)/python -c "import site, sysconfig; print('import site; site.addsitedir(%r)' % sysconfig.get_path('purelib'))" \
		> "$$($(TFLITE)/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib'))")/outer.pth"
	$(TFLITE)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[tflite]' mediapipe
	@touch $@

check: $(READY) ## Lint, format, types, command reference, docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python docs/generate_reference.py --check
	$(BIN)/mkdocs build --strict --quiet --site-dir $(VENV)/site

bench: $(READY) ## Measure speed and accuracy beside the alternatives
	$(BIN)/python -m benchmarks

bench-export: $(TFLITE)/.ready ## Measure models in other formats beside the models: half an hour
	$(TFLITE)/bin/python -m benchmarks export web --write-docs docs/guide/export.md

# FOLDS=1,2 does some folds; those that are done stay in build/benchmarks, and FOLDS=kept shows them.
bench-finetune: ## Measure fine-tuning on ESC-50: an hour
bench-scratch: ## Measure networks from scratch on ESC-50: hours
bench-instruments: ## Measure every recipe on ten instruments: an hour
bench-finetune bench-scratch bench-instruments: bench-%: $(READY)
	$(BIN)/python -m benchmarks $* --folds "$(FOLDS)" --write-docs docs/guide/accuracy.md

everyday: $(READY) ## Make the model inside anew, and measure it: a night
	$(BIN)/earmark models info yamnet-int8 > /dev/null 2>&1 || \
		$(BIN)/earmark models import $(YAMNET) --name yamnet-int8 --precision int8
	$(EVERYDAY).make
	$(EVERYDAY) pool --views 44000
	for fold in 1 2 3 4 5; do $(EVERYDAY) fold $$fold --views $(VIEWS) || exit 1; done
	$(EVERYDAY) strangers --views $(VIEWS)
	$(EVERYDAY) all --views $(VIEWS)
	$(EVERYDAY) ship --views $(VIEWS)
	$(EVERYDAY).credits
	$(BIN)/python -m benchmarks everyday inside --write-docs docs/guide/everyday.md

docs: $(READY) ## Build the documentation into site/
	$(BIN)/mkdocs build --strict --quiet

reference: $(READY) ## Write docs/reference/commands.md anew from the commands themselves
	$(BIN)/python docs/generate_reference.py

clean: ## Remove everything that make made
	rm -rf $(VENV) build demo dist site .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find src tests benchmarks everyday docs examples -name __pycache__ -type d -prune -exec rm -rf {} +

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(READY): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" && "$(PYTHON)" -c '$(NEW_ENOUGH)' || { \
		echo "earmark needs Python 3.11 or later and found none; install one, or say where it is: make PYTHON=..." >&2; exit 1; }
	@echo "Setting up $(VENV) with $$("$(PYTHON)" --version) (a minute or two the first time)"
	@"$(PYTHON)" -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@
