# make demo   set everything up, ask a recorded question in real time, write the spoken answer
# make test   the test suite, in the same environment
# make test-broker   robots over a real MQTT broker (apt-get install mosquitto)
#
# PYTHON=python3.12   the interpreter to build the environment with (3.11 or newer)
# TORCH_INDEX=URL     an additional package index to take torch from
# DEMO_QUESTION=FILE  another recording for the demo

PYTHON ?= python3
VENV ?= .venv
TORCH_INDEX ?=
DEMO_QUESTION ?= tests/e2e/recordings/tickets.wav
DEMO_ANSWER ?= answer.wav
TEST_MODELS ?= smollm2-135m qwen2.5-coder-1.5b whisper-tiny.en piper-en-us-joe
PYTEST_ARGS ?=

PIP := $(VENV)/bin/python -m pip --disable-pip-version-check
STAMP := $(VENV)/.descant-installed

.PHONY: demo test test-broker lint types models install clean
.DELETE_ON_ERROR:

demo: $(STAMP)
	$(VENV)/bin/descant models pull
	$(VENV)/bin/descant talk --input $(DEMO_QUESTION) --output $(DEMO_ANSWER)

test: models
	$(VENV)/bin/python -m pytest -m "not broker" $(PYTEST_ARGS)

# Robots over a real Mosquitto, with kills and real time; with the independent peer after `npm ci` in its folder.
test-broker: $(STAMP)
	$(VENV)/bin/python -m pytest -m broker tests/robots $(PYTEST_ARGS)

models: $(STAMP)
	$(VENV)/bin/descant models pull $(TEST_MODELS)

lint: $(STAMP)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

types: $(STAMP)
	$(VENV)/bin/mypy

install: $(STAMP)

$(VENV)/bin/python:
	@command -v $(PYTHON) >/dev/null || \
		{ echo "descant: '$(PYTHON)' is not installed; name another one: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "descant: Python 3.11 or newer is needed, $(PYTHON) is $$($(PYTHON) -V 2>&1); name another one: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "descant: $(PYTHON) cannot make virtual environments; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# torch comes first and alone: with its exact version fixed, an index that offers the CPU build ("+cpu") wins.
# piper-tts (extra "voice") is GPL-3.0-or-later: it stays a separate program part behind audio's adapter.
$(STAMP): pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) install --quiet --upgrade --constraint constraints.txt pip
	$(PIP) install --constraint constraints.txt $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) torch==2.13.0
	$(PIP) install --constraint constraints.txt --editable '.[dev,voice]'
	@touch $@

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis $(DEMO_ANSWER)
	find agent audio reasoning robots tests -name __pycache__ -type d -prune -exec rm -rf {} +
