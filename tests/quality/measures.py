"""Distances and rates that scores are made of."""

from collections.abc import Iterable

import numpy as np

from tests.truth.world import F64, I64


def share_error(estimated: F64, true: F64) -> float:
    """Half the L1 distance of two sets of shares: how much of the whole is in the wrong place, 0 to 1.

    Args:
        estimated: amounts, any unit; they are made to add up to 1.
        true: the true amounts, in the same order.
    """
    if estimated.sum() <= 0 or true.sum() <= 0:
        return 1.0
    return float(np.abs(estimated / estimated.sum() - true / true.sum()).sum() / 2)


def profile(stack: I64, value: F64, count: int) -> F64:
    """Value by stack, for `count` stacks."""
    return np.bincount(stack, value, count).astype(np.float64)


def mean(figures: Iterable[float]) -> float:
    """The mean of what is known (not nan), nan of nothing."""
    values = [figure for figure in figures if not np.isnan(figure)]
    return float(np.mean(values)) if values else float("nan")


def text(figure: float) -> str:
    """A figure with three decimals; "none" where there is none."""
    return "none" if np.isnan(figure) else f"{figure:.3f}"


def spread(figures: Iterable[float]) -> str:
    """Lowest to highest, for the worlds that a mean hides."""
    values = [figure for figure in figures if not np.isnan(figure)]
    return f"{min(values):.3f} to {max(values):.3f}" if values else "none"
