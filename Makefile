# Everything runs in .venv, made from the pinned and hashed requirements when it is missing.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
OUT := build/demo
# a module on one worker: the Airflow runs and servers that its tests share are started once
PARALLEL := -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder
# what can differ between versions of Airflow: how it keeps tasks, hands over XComs, loads DAG files and plug-ins
ON_AIRFLOW31 := $(addprefix tests/orchestration/,versions test_lane_dag.py test_lane_dag_shapes.py test_lane_dag_structure.py \
  policies/test_policy_structure.py campaigns/test_campaign_operator_dag.py campaigns/test_notifier_channels.py \
  campaigns/test_provider_info.py test_operators.py test_drill_operator.py test_ui_access.py \
  test_dag_flights.py::test_the_dag_file_loads test_dag_flights.py::test_parsing_imports_nothing_heavy)
SHELL := /bin/bash

.PHONY: demo demo-meta test test-pandas2 test-feast test-airflow31 check lint lock clean help
.DEFAULT_GOAL := help

help:  ## what there is
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 16

$(VENV)/.installed: requirements/dev.txt pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is needed: make PYTHON=/path/to/python3.11 ..."; exit 2; }
	@echo "installing into $(VENV) (once, one to three minutes) ..." >&2
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@touch $@

$(VENV)-pandas2/.installed: requirements/pandas2.txt pyproject.toml
	@$(PYTHON) -m venv $(VENV)-pandas2
	@$(VENV)-pandas2/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/pandas2.txt
	@$(VENV)-pandas2/bin/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@touch $@

$(VENV)-feast/.installed: requirements/feast.txt pyproject.toml
	@$(PYTHON) -m venv $(VENV)-feast
	@$(VENV)-feast/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/feast.txt
	@$(VENV)-feast/bin/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@touch $@

$(VENV)-airflow31/.installed: requirements/airflow31.txt pyproject.toml
	@$(PYTHON) -m venv $(VENV)-airflow31
	@$(VENV)-airflow31/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/airflow31.txt
	@$(VENV)-airflow31/bin/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@touch $@

demo: $(VENV)/.installed  ## a real Airflow DAG on real flights, then the campaign and its report
	@$(BIN)/pipechaos demo --out $(OUT)

demo-meta: $(VENV)/.installed  ## delete each check of the demo's suites in turn: only its own weaknesses may change
	@$(BIN)/python benchmarks/demo_meta.py

test: $(VENV)/.installed  ## the whole test suite
	@$(BIN)/python -m pytest $(PARALLEL) $(ARGS)

test-pandas2: $(VENV)-pandas2/.installed  ## the tests that matter on pandas 2.3
	@$(VENV)-pandas2/bin/python -m pytest -m "not airflow" tests/golden tests/property tests/contract tests/unit $(PARALLEL) $(ARGS)

test-feast: $(VENV)-feast/.installed  ## the feature store's check, in an environment of its own
	@$(VENV)-feast/bin/python -m pytest tests/feature_store $(ARGS)

test-airflow31: $(VENV)-airflow31/.installed  ## the oldest Airflow there may be, and Great Expectations' own provider
	@$(VENV)-airflow31/bin/python -m pytest $(ON_AIRFLOW31) $(PARALLEL) $(ARGS)

lint: $(VENV)/.installed  ## ruff and mypy
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

check: lint test  ## what CI runs

# pip takes `celery==1` for no pin of `celery[redis]`, which another package there needs, and the other way round: both
LOCK := uv pip compile --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-annotate --quiet
lock:  ## pin the requirements again (needs uv)
	$(LOCK) pyproject.toml --extra demo --extra test --extra scheduler --extra lint --extra build --upgrade -o requirements/dev.txt
	echo 'celery[redis]' | $(LOCK) - -c requirements/dev.txt --no-deps --no-strip-extras > requirements/.celery.tmp
	cat requirements/.celery.tmp >> requirements/dev.txt && rm requirements/.celery.tmp
	$(LOCK) pyproject.toml requirements/pandas2.in --extra pandera --extra gx --extra test --extra build --upgrade -o requirements/pandas2.txt
	$(LOCK) pyproject.toml requirements/feast.in --extra pandera --extra gx --extra results --extra build --upgrade -o requirements/feast.txt
	$(LOCK) pyproject.toml requirements/airflow31.in --extra pandera --extra gx --extra results --extra build --upgrade -o requirements/airflow31.txt

clean:  ## remove what was built, and the environments
	rm -rf build dist $(VENV) $(VENV)-pandas2 $(VENV)-feast $(VENV)-airflow31 tests/browser/node_modules .pytest_cache .mypy_cache .ruff_cache .hypothesis
