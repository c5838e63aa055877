# Everything happens in .venv, made on the first call and renewed when pyproject.toml or constraints.txt change.
# On Windows, use the three pip lines of CONTRIBUTING.md instead.

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PYTEST_WORKERS ?= 2
export NO_MKDOCS_2_WARNING := 1

# The first Python that runs and is new enough; PYTHON=... chooses another one.
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	"$$python" -c '$(NEW_ENOUGH)' 2>/dev/null && echo "$$python" && break; done)

.DEFAULT_GOAL := help
.PHONY: demo test check bench docs reference clean help

demo: $(READY) ## Label sound that the demo makes itself; writes demo/demo.png
	$(BIN)/earmark demo

test: $(READY) ## Run the tests
	$(BIN)/pytest -n $(PYTEST_WORKERS)

check: $(READY) ## Lint, format, types, command reference, docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python docs/generate_reference.py --check
	$(BIN)/mkdocs build --strict --quiet --site-dir $(VENV)/site

bench: $(READY) ## Measure speed and accuracy beside the alternatives
	$(BIN)/python -m benchmarks

docs: $(READY) ## Build the documentation into site/
	$(BIN)/mkdocs build --strict --quiet

reference: $(READY) ## Write docs/reference/commands.md anew from the commands themselves
	$(BIN)/python docs/generate_reference.py

clean: ## Remove everything that make made
	rm -rf $(VENV) build demo dist site .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find src tests benchmarks docs examples -name __pycache__ -type d -prune -exec rm -rf {} +

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(READY): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" && "$(PYTHON)" -c '$(NEW_ENOUGH)' || { \
		echo "earmark needs Python 3.11 or later and found none; install one, or say where it is: make PYTHON=..." >&2; exit 1; }
	@echo "Setting up $(VENV) with $$("$(PYTHON)" --version) (a minute or two the first time)"
	@"$(PYTHON)" -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@
