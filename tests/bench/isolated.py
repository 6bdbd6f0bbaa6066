"""Calling a function in a process of its own, on one core or on all: thread pools are sized when they start."""

import importlib
import json
import os
import subprocess
import sys
from typing import Any

_ONE_CORE = {"POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1", "ARROW_IO_THREADS": "1", "BENCH_ONE_CORE": "1"}


def call(target: str, *, one_core: bool, **arguments: Any) -> Any:
    """Call ``module:function`` with arguments that JSON can carry, and return what it returns.

    Raises:
        RuntimeError: the process failed; what it wrote was passed on.
    """
    with start(target, one_core=one_core, **arguments) as process:
        return result_of(process)


def start(target: str, *, one_core: bool = False, **arguments: Any) -> subprocess.Popen[str]:
    """Begin such a call; `result_of` waits for it."""
    env = os.environ | (_ONE_CORE if one_core else {})
    command = [sys.executable, "-m", "tests.bench.isolated", target]
    process = subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    process.stdin.write(json.dumps(arguments))  # a command line has not room for thousands of ids
    process.stdin.close()
    process.stdin = None
    return process


def result_of(process: subprocess.Popen[str]) -> Any:
    """What the function returned.

    Raises:
        RuntimeError: the process failed.
    """
    written, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"{process.args!r} failed with {process.returncode}")
    return json.loads(written.splitlines()[-1])


def _main() -> None:
    if os.environ.get("BENCH_ONE_CORE"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    module, _, function = sys.argv[1].partition(":")
    result = getattr(importlib.import_module(module), function)(**json.load(sys.stdin))
    print(json.dumps(result))


if __name__ == "__main__":
    _main()
