.PHONY: help check format lint types layers test slow bench quality protos constraints
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

quality:  ## score answers against worlds whose truth is known, with unseen seeds; docs/quality.md
	$(PYTHON) -m tests.quality

protos:  ## regenerate correlate/formats/proto/*_pb2.py from the .proto files
	cd correlate/formats/proto && $(PYTHON) -m grpc_tools.protoc -I. --python_out=. --pyi_out=. *.proto

constraints:  ## pin the versions that a clean environment gets today
	rm -rf .venv-constraints && $(PYTHON) -m venv .venv-constraints
	.venv-constraints/bin/pip install --quiet --disable-pip-version-check '.[dev,record,postgres]'
	{ head -n 1 constraints.txt; .venv-constraints/bin/pip freeze --exclude correlate \
		| grep -E '^[A-Za-z0-9._-]+==[^ ]+$$'; } > .venv-constraints/new.txt
	mv .venv-constraints/new.txt constraints.txt && rm -rf .venv-constraints
