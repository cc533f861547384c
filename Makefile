# The commands of the project; `make` alone lists them.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install lock test coverage check hapi demo bench fuzz soak

help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

install: $(STAMP) ## make .venv with the fhir-facade command, from the lock

$(STAMP): pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "fhir-facade needs Python 3.11 or newer; set PYTHON=/path/to/python3.11")'
	@echo 'fhir-facade and what it needs goes into $(VENV): a minute or two, once'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@if command -v uv >/dev/null 2>&1; then \
	  VIRTUAL_ENV=$(VENV) uv pip sync -q --require-hashes requirements.lock && VIRTUAL_ENV=$(VENV) uv pip install -q --no-deps --no-build-isolation -e . ; \
	else \
	  $(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock && \
	  $(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e . ; \
	fi
	@touch $@

demo: install ## the main job in front of your eyes, then it serves on; ONCE=1 ends after the last step
	@$(BIN)/fhir-facade demo $(if $(ONCE),--once)

# The rooms that decide; each of their branches is walked by their own tests.
DECIDING  := access rules fhir mappers
DECIDED   := $(addprefix tests/unit/,$(DECIDING) profiles terminology)
# These ask for everything there is, and walk no branch that others leave out: unmeasured they take half the time.
OF_ALL    := $(addprefix tests/unit/access/,test_grid.py test_oracle.py)
MEASURED  := --cov=fhir_facade/access --cov=fhir_facade/rules --cov=fhir_facade/fhir --cov=mappers
PYTEST    := $(BIN)/python -m pytest -n 2

# The checks use one processor: the first tests run beside them, each with its output in one piece where make can.
TOGETHER  := -j2 $(if $(filter output-sync,$(.FEATURES)),--output-sync)

test: install ## all checks and tests; says what it left out
	@$(MAKE) --no-print-directory $(TOGETHER) check coverage
	$(PYTEST) $(addprefix --ignore=,$(filter-out $(OF_ALL),$(wildcard $(addsuffix /*,$(DECIDED)))))

coverage: install ## the tests of the rooms that decide; every branch of them or it fails
	$(PYTEST) $(DECIDED) $(addprefix --ignore=,$(OF_ALL)) $(MEASURED) --cov-branch --cov-fail-under=100 --cov-report=term-missing:skip-covered

check: install ## formatting, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

BENCH ?=
bench: install ## measure against HAPI and the bare framework, 20 minutes; BENCH="--seconds 1 --rounds 1" for a quick one
	$(BIN)/python -m tests.bench.run $(BENCH)

FUZZ ?=
fuzz: install ## half an hour of requests that nobody should send; FUZZ="--minutes 2", FUZZ=--hapi, FUZZ="--again FILE"
	$(BIN)/python -m tests.fuzz.run $(FUZZ)

SOAK ?=
soak: install ## half an hour of mixed load on a real facade, which must not grow; SOAK="--minutes 2" for a short one
	$(BIN)/python -m tests.soak.run $(SOAK)

lock: ## write requirements.lock anew (needs uv)
	uv pip compile pyproject.toml --universal --generate-hashes --all-extras --python-version 3.11 --no-header -q -o requirements.lock

HAPI_PORT ?= 8080
hapi: ## build and start HAPI (H2 file; FHIR_FACADE_HAPI_DATABASE_URL=postgresql://… for PostgreSQL)
	@mkdir -p hapi/run
	@echo 'HAPI starts on 127.0.0.1:$(HAPI_PORT), half a minute to a minute; then: FHIR_FACADE_STORE=hapi FHIR_FACADE_HAPI_URL=http://127.0.0.1:$(HAPI_PORT)/fhir $(BIN)/fhir-facade serve'
	@hapi/start --port $(HAPI_PORT) --h2-file hapi/run/hapi
