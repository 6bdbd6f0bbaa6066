"""What was measured, beside its budget, as a table; and what it was measured on."""

import os
import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

_STARTED_S = time.perf_counter()


@dataclass(frozen=True, slots=True)
class Measured:
    """One line of the table.

    Attributes:
        row: which part of the benchmark measured it.
        what: what was measured.
        figure: what came out, with its unit.
        budget: what is allowed, with its unit; "" where there is no budget.
        met: whether it is within the budget; None where there is none.
    """

    row: str
    what: str
    figure: str
    budget: str = ""
    met: bool | None = None


def at_least(row: str, what: str, figure: float, budget: float, unit: str, more: str = "") -> Measured:
    """A figure that should not be below its budget."""
    return Measured(row, what, _figure(figure, unit, more), f"≥ {budget:,.10g} {unit}", figure >= budget)


def at_most(row: str, what: str, figure: float, budget: float, unit: str, more: str = "") -> Measured:
    """A figure that should not be above its budget."""
    return Measured(row, what, _figure(figure, unit, more), f"≤ {budget:,.10g} {unit}", figure <= budget)


def say(text: str) -> None:
    """Progress, for whoever waits."""
    print(f"[{time.perf_counter() - _STARTED_S:6.1f} s] {text}", file=sys.stderr, flush=True)


def machine() -> str:
    """The machine in one line: processor, cores, memory, Python, how busy it was, and when."""
    gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = len(os.sched_getaffinity(0))
    load = os.getloadavg()[0]
    return (
        f"{_cpu_model()}, {cores} cores, {gib:.0f} GiB, Python {platform.python_version()}, "
        f"load {load:.1f} before the start, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    )


def show(lines: Sequence[Measured]) -> None:
    """Print the table."""
    table = Table("row", "measured", "figure", "budget", "met?")
    for line in lines:
        verdict = {True: "[green]yes[/]", False: "[red]no[/]", None: ""}[line.met]
        table.add_row(line.row, line.what, line.figure, line.budget, verdict)
    Console(width=None if sys.stdout.isatty() else 160).print(table)


def _figure(figure: float, unit: str, more: str) -> str:
    digits = 0 if figure >= 1000 else 1 if figure >= 10 else 2
    return f"{figure:,.{digits}f} {unit}" + (f" ({more})" if more else "")


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
