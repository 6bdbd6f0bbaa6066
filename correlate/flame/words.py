"""What a comparison says, in sentences."""

from collections.abc import Callable
from typing import Any, Final

import polars as pl

from correlate.flame.labels import printable_one
from correlate.flame.significance import Comparison
from correlate.units import human

_MENTIONED: Final = 0.05
"""A frame is mentioned if it adds this part of all that differs to what the frames before it explain."""

_MOST_FRAMES: Final = 4

Row = dict[str, Any]


def sentences(comparison: Comparison, unit: str, left_name: str, right_name: str) -> list[str]:
    """Say what differs, by how much, and how sure that is; or that nothing does, and what would have been seen.

    Args:
        comparison: two cohorts.
        unit: the unit of the values: nanoseconds, bytes, or a count.
        left_name: what the baseline is called, as the subject of a sentence: "normal", "before".
        right_name: the same of the other cohort: "slow", "after".
    """
    names = (printable_one(left_name), printable_one(right_name))
    alone = [
        f"{name} is a single span, so how much such spans differ among themselves is not known."
        for name, side in zip(names, (comparison.left, comparison.right), strict=True)
        if side.spans == 1
    ]
    found = comparison.frames.filter("significant")
    said = _differences(comparison, found, unit, names) if len(found) else _nothing(comparison, unit)
    return [_totals(comparison, unit, names), *said, *alone]


def _totals(comparison: Comparison, unit: str, names: tuple[str, str]) -> str:
    more, less = (1, 0) if comparison.difference >= 0 else (0, 1)
    costs = [human(side.cost, unit) for side in (comparison.left, comparison.right)]
    low, high = comparison.difference_low, comparison.difference_high
    if low > 0 or high < 0:
        limits = " to ".join(human(limit, unit) for limit in sorted((abs(low), abs(high))))
        apart = human(abs(comparison.difference), unit)
        return (
            f"{names[more]} spends {apart} more per span than {names[less]} "
            f"({costs[more]} against {costs[less]}; 95 % interval {limits})."
        )
    chance = ": chance explains the difference" if low <= 0 <= high else ""
    return f"{names[more]} spends {costs[more]} per span, {names[less]} {costs[less]}{chance}."


def _differences(comparison: Comparison, found: pl.DataFrame, unit: str, names: tuple[str, str]) -> list[str]:
    """One sentence for each frame that adds something to those before it."""
    whole = comparison.difference if comparison.basis == "cost" else 0.0
    moved = float(found["further"].abs().sum())
    adds = found.filter(pl.col("further").abs() >= _MENTIONED * max(moved, abs(whole))).head(_MOST_FRAMES)
    rows = adds.to_dicts() or found.head(1).to_dicts()  # a handful of frames for a person to read
    lines = [_difference(row, comparison, unit, names) for row in rows]
    rest = len(found) - len(rows)
    if rest:
        lines.append(f"{rest:,} more {'frame differs' if rest == 1 else 'frames differ'} along with {_few(rows)}.")
    return lines


def _few(rows: list[Row]) -> str:
    return "it" if len(rows) == 1 else "them"


def _difference(row: Row, comparison: Comparison, unit: str, names: tuple[str, str]) -> str:
    basis, write = comparison.basis, _writer(comparison, unit)
    change = row[f"{basis}_difference"]
    more, less = (1, 0) if change >= 0 else (0, 1)
    sides = (row[f"left_{basis}"], row[f"right_{basis}"])
    sure = _limits(row, comparison, write)
    name = printable_one(row["name"])
    if basis == "share":
        more_of = f"{100 * abs(change):.1f} points more{sure}"
        return f"{name} is {write(sides[more])} of {names[more]} and {write(sides[less])} of {names[less]} ({more_of})."
    apart = f"{write(sides[more])} against {write(sides[less])}"
    part = ""
    if change * comparison.difference > 0:
        part = f"; {100 * change / comparison.difference:.0f} % of the difference"
    return f"{names[more]} spends {write(abs(change))} more per span in {name} ({apart}{sure}{part})."


def _limits(row: Row, comparison: Comparison, write: Callable[[float], str]) -> str:
    low, high = row[f"{comparison.basis}_low"], row[f"{comparison.basis}_high"]
    if low is None or high is None:
        return ""
    low, high = (low, high) if row[f"{comparison.basis}_difference"] >= 0 else (-high, -low)
    return f"; 95 % interval {write(low)} to {write(high)}"


def _nothing(comparison: Comparison, unit: str) -> list[str]:
    """Nothing is significant: because there is nothing, or because it could not have been seen."""
    basis, write = comparison.basis, _writer(comparison, unit)
    told = comparison.frames.drop_nulls("detectable")
    if not len(told):
        return ["No frame differs significantly, and the evidence does not say what could have been seen."]
    unlikely = pl.col(f"{basis}_difference").abs() * (1 - pl.col(f"{basis}_p").fill_null(1.0))
    first = told.sort(unlikely, descending=True, maintain_order=True).row(0, named=True)
    if first["under_powered"]:
        return [_too_weak(first, comparison, write)]
    largest = told.sort(pl.max_horizontal(f"left_{basis}", f"right_{basis}"), descending=True, maintain_order=True)
    whole = largest.row(0, named=True)
    name = printable_one(whole["name"])
    return [f"No frame differs significantly. A change of {write(whole['detectable'])} in {name} would have been seen."]


def _too_weak(row: Row, comparison: Comparison, write: Callable[[float], str]) -> str:
    have = comparison.left.samples + comparison.right.samples
    return (
        "Under-powered: no frame differs significantly. The difference that stands out most, "
        f"{write(abs(row[f'{comparison.basis}_difference']))} in {printable_one(row['name'])}, is less than the "
        f"{write(row['detectable'])} that would have been seen: needs {row['needs_samples']:,} more samples "
        f"(there are {have:,})."
    )


def _writer(comparison: Comparison, unit: str) -> Callable[[float], str]:
    if comparison.basis == "share":
        return lambda value: f"{100 * value:.1f} %"
    return lambda value: human(value, unit)
