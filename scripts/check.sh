#!/bin/sh
# Install correlate with its test tools into a clean virtual environment and run every check that CI runs.
# Needs Python 3.11 or newer and nothing else. Usage: sh scripts/check.sh [VENV_DIR]
set -eu
cd "$(dirname "$0")/.."
venv=${1:-.venv-check}
rm -rf "$venv"
python3 -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
bin=$(cd "$venv/bin" && pwd)
PATH="$bin:$PATH"
export PATH
ruff format --check .
ruff check .
mypy
lint-imports
python -m pytest -n 2
