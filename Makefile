# make run    a Tango of its own and the gateway on http://127.0.0.1:8000
# make test   what a contributor needs, in less than three minutes; ARGS="-k events" selects
# make test-all     the other tests: slow ones, of deploy/, in browsers, with faults
# make test-pipes   those that depend on PyTango, on 10.0.4, the last version with pipes
# make test-lowest  some of them with the lowest versions that setup.py allows
# make fuzz   requests and values that are made up, EXAMPLES=n of each kind and other ones each time
# make soak   mixed load with faults, MINUTES=5; fails on what is wrong and on growth
# make bench  how fast it is beside yardsticks: ROUNDS=5 SECONDS=1 WORKLOADS="scalar image" AGAINST=checkout OUT=folder
# make bench-streams  records per second of server-sent events and WebSockets out of one worker
# make lint   ruff, pyright, import rules             make clean   remove what the others made
# make docs   generate the reference pages and build the site into build/docs
# make picture  the picture of README, from the demo

PYTHON ?= python3
VENV := .venv
PIPES := .venv-pipes
LOWEST := .venv-lowest
# Each process of xdist has a Tango of its own. One more than there are processors, as tests often wait.
PARALLEL = -n $$(($$(nproc) + 1)) --dist worksteal
WAITING = -n $$(($$(nproc) * 2)) --dist worksteal  # of tests that wait most of their time
QUICK := not (slow or deploy or browser or timing)
TANGO_TESTS := tests/api/rc3 tests/api/v11 tests/api/streams $(wildcard tests/api/test_*.py) tests/api/access/test_every_route.py \
	tests/api/access/test_detours.py tests/control tests/demo tests/faults tests/values tests/test_swagger.py tests/live/test_events.py \
	tests/live/test_frozen.py tests/live/test_reads.py tests/live/test_rude_device.py tests/live/test_yielding.py
EXAMPLES ?= 500
MINUTES ?= 5
ROUNDS ?= 5
SECONDS ?= 1
OUT ?= build/bench
PIP_FLAGS := --quiet --disable-pip-version-check

.PHONY: run test test-all test-pipes test-lowest fuzz soak bench bench-streams lint docs picture clean

run: $(VENV)/installed
	exec $(VENV)/bin/mtango-gevent demo $(ARGS)

test: $(VENV)/installed-dev
	$(VENV)/bin/python -m pytest $(PARALLEL) -m "$(QUICK)" $(ARGS)

test-all: $(VENV)/installed-dev
	$(VENV)/bin/python -m pytest $(WAITING) -m "not ($(QUICK)) and not (timing or browser)" $(ARGS)
	$(VENV)/bin/python -m pytest $(PARALLEL) -m "browser and not timing" $(ARGS)
	$(VENV)/bin/python -m pytest -n 2 --dist loadscope -m timing --reruns 2 $(ARGS)

test-pipes: $(PIPES)/installed
	$(PIPES)/bin/python -m pytest $(PARALLEL) -m "not timing" -k "not ((test_swagger or api) and slow)" $(TANGO_TESTS) $(ARGS)

test-lowest: $(LOWEST)/installed
	$(LOWEST)/bin/python -m pytest $(PARALLEL) -m "$(QUICK)" tests/api tests/control tests/live/test_corpus.py \
		tests/live/test_yielding.py $(ARGS)

fuzz: $(VENV)/installed-dev
	EXAMPLES=$(EXAMPLES) $(VENV)/bin/python -m pytest --timeout 0 tests/live/test_schema.py tests/values \
		tests/api/test_query.py tests/api/rc3/test_round_trips.py tests/test_request_parser.py $(ARGS)

soak: $(VENV)/installed-dev
	$(VENV)/bin/python -m tests.soak --minutes $(MINUTES) $(ARGS)

bench: $(VENV)/installed-dev
	$(VENV)/bin/python -m benchmarks --rounds $(ROUNDS) --seconds $(SECONDS) --out $(OUT) \
		$(if $(WORKLOADS),--workloads $(WORKLOADS)) $(if $(AGAINST),--against $(AGAINST)) $(ARGS)

bench-streams: $(VENV)/installed-dev
	$(VENV)/bin/python -m benchmarks --workloads sse websocket --rates 10 20 40 80 --out $(OUT) $(ARGS)

lint: $(VENV)/installed-dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/lint-imports
	$(VENV)/bin/pyright --pythonpath $(VENV)/bin/python

# PYTHONPATH: the code of this checkout, wherever the environment has the package from.
docs: $(VENV)/installed-dev
	PYTHONPATH=. $(VENV)/bin/cog -r -P -I docs -p "import generate" docs/reference/*.md docs/how-to/*.md docs/explanation/*.md swagger/*.yml
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict

# The picture of README; needs Debian's chromium.
picture: $(VENV)/installed-dev
	$(VENV)/bin/python docs/picture.py

clean:
	rm -rf $(VENV) $(PIPES) $(LOWEST) build *.egg-info .pytest_cache .ruff_cache .import_linter_cache .hypothesis .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit("mtango-gevent needs Python 3.10 or newer" if sys.version_info < (3, 10) else 0)'
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: requirements.txt setup.py | $(VENV)/bin/python
	$(VENV)/bin/python -m pip install $(PIP_FLAGS) -r requirements.txt
	$(VENV)/bin/python -m pip install $(PIP_FLAGS) --no-deps -e .
	touch $@

$(VENV)/installed-dev: requirements-dev.txt requirements-bench.txt $(VENV)/installed
	$(VENV)/bin/python -m pip install $(PIP_FLAGS) -r requirements-dev.txt
	touch $@

$(PIPES)/installed: requirements.txt requirements-dev.txt requirements-bench.txt requirements-pipes.txt setup.py
	$(PYTHON) -m venv $(PIPES)
	$(PIPES)/bin/python -m pip install $(PIP_FLAGS) -r requirements-dev.txt
	$(PIPES)/bin/python -m pip install $(PIP_FLAGS) --upgrade -r requirements-pipes.txt
	$(PIPES)/bin/python -m pip install $(PIP_FLAGS) --no-deps -e .
	touch $@

$(LOWEST)/installed: requirements.txt requirements-dev.txt requirements-bench.txt requirements-lowest.txt setup.py
	@$(PYTHON) -c 'import sys; sys.exit("the lowest versions need Python 3.10 or 3.11" if sys.version_info >= (3, 12) else 0)'
	$(PYTHON) -m venv $(LOWEST)
	$(LOWEST)/bin/python -m pip install $(PIP_FLAGS) -r requirements-dev.txt
	$(LOWEST)/bin/python -m pip install $(PIP_FLAGS) --upgrade -r requirements-lowest.txt
	$(LOWEST)/bin/python -m pip install $(PIP_FLAGS) --no-deps -e .
	touch $@
