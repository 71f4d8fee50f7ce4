# make picture PROMPT="..."   a picture of your words, from nothing but Python and make
# make test                   lint, types, layers and tests, under ten minutes on two cores
# make test-slow              the long ones
# make embedded-model         train the embedded model again, from art to weights (hours; resumes where it stopped)
# make format                 bring the code into shape

PROMPT ?= a unicorn on a purple background
OUT ?= out
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
CODE := src tests benchmarks docs
STAGES := tokenizer vae clip unet

# As it was typed: make would take a $ in it for a variable of its own.
override PROMPT := $(value PROMPT)
export PROMPT

.PHONY: picture test test-slow check format embedded-model clean

picture: $(VENV)/installed
	@$(BIN)/calotype txt2img "$$PROMPT" --output $(OUT)

test: check
	$(BIN)/pytest --numprocesses 2 --quiet -rs

test-slow: $(VENV)/installed-test
	$(BIN)/pytest --quiet -rs -m slow

check: $(VENV)/installed-test
	$(BIN)/ruff format --check --quiet $(CODE)
	$(BIN)/ruff check --quiet $(CODE)
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/installed-test
	$(BIN)/ruff check --quiet --fix $(CODE)
	$(BIN)/ruff format --quiet $(CODE)

embedded-model: $(VENV)/installed-test
	$(BIN)/calotype data fetch-art
	for stage in $(STAGES); do $(BIN)/calotype train runs/embedded/$$stage.toml || exit; done
	$(BIN)/calotype train runs/embedded/export.toml

clean:
	rm -rf $(VENV) build dist src/*.egg-info

# Debian packs ensurepip apart from Python: where it is not here, the pip that is installed does as well.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "$(PYTHON) is no Python of 3.11 or later: name one, as in make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	@if $(PYTHON) -c 'import ensurepip' 2> /dev/null; then $(PYTHON) -m venv $(VENV); \
	else $(PYTHON) -m venv --without-pip $(VENV) && $(PYTHON) -m pip --python $(BIN)/python install --quiet pip; fi || { \
		rm -rf $(VENV); \
		echo "$(PYTHON) cannot make $(VENV), see above: install its venv module, or make $(VENV) with virtualenv"; exit 1; }

$(VENV)/installed: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing Calotype and PyTorch into $(VENV) (once; a few minutes)"
	@$(INSTALL) --editable .
	@touch $@

$(VENV)/installed-test: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing Calotype and what its tests need into $(VENV) (once; a few minutes)"
	@$(INSTALL) --editable '.[test]'
	@$(INSTALL) --no-deps k-diffusion  # its own dependencies include a torchvision that has no CPU build
	@touch $@ $(VENV)/installed
