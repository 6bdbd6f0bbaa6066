.PHONY: help check format lint types layers test slow bench protos constraints
PYTHON ?= python

help:  ## show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

check: lint types layers test  ## everything CI runs, in the current environment

format:  ## lay the code out
	ruff format . && ruff check --fix .

lint:  ## formatting and lint
	ruff format --check . && ruff check .

types:  ## strict types
	mypy

layers:  ## import contracts
	lint-imports

test:  ## the core suite
	$(PYTHON) -m pytest -n 2

slow:  ## the long tests
	$(PYTHON) -m pytest -m slow

bench:  ## measure against the budgets of docs/budgets.md; BENCH_SAMPLES=50000000 for the full size
	$(PYTHON) -m tests.bench

protos:  ## regenerate correlate/formats/proto/*_pb2.py from the .proto files
	cd correlate/formats/proto && $(PYTHON) -m grpc_tools.protoc -I. --python_out=. --pyi_out=. *.proto
