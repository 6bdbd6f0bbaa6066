"""Scores beside their budgets, as a table for people or as Markdown for the docs."""

import sys
from collections.abc import Sequence
from dataclasses import astuple, dataclass

from rich.console import Console
from rich.table import Table

TITLES = ("row", "condition", "figure", "budget", "met?")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        what: what was scored.
        condition: in which worlds.
        figure: what came out.
        budget: what is allowed; "" where there is no budget.
        met: whether it is within the budget; None where there is none.
    """

    what: str
    condition: str
    figure: str
    budget: str = ""
    met: bool | None = None

    @property
    def cells(self) -> tuple[str, str, str, str, str]:
        """The line as texts."""
        verdict = {True: "yes", False: "NO", None: ""}[self.met]
        return (*astuple(self)[:4], verdict)


def at_most(what: str, condition: str, figure: float, budget: float, more: str = "") -> Row:
    """A figure that should not be above its budget."""
    return Row(what, condition, _figure(figure, more), f"≤ {budget:g}", figure <= budget)


def within(what: str, condition: str, figure: float, low: float, high: float, more: str = "") -> Row:
    """A figure that should lie between two."""
    return Row(what, condition, _figure(figure, more), f"{low:g} to {high:g}", low <= figure <= high)


def show(rows: Sequence[Row]) -> None:
    """Print the table."""
    table = Table(*TITLES)
    for row in rows:
        colour = {True: "green", False: "red", None: ""}[row.met]
        table.add_row(*row.cells[:4], f"[{colour}]{row.cells[4]}[/]" if colour else "")
    Console(width=None if sys.stdout.isatty() else 170, highlight=False).print(table)


def markdown(rows: Sequence[Row]) -> str:
    """The table as it stands in docs/quality.md."""
    lines = [TITLES, tuple("---" for _ in TITLES), *(row.cells for row in rows)]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)


def _figure(figure: float, more: str) -> str:
    return f"{figure:.3f}" + (f" ({more})" if more else "")
