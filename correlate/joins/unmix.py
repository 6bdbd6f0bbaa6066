"""Unmixing: what each operation's own profile is, from many windows in which all of them ran mixed.

Windows in which one operation was busier than usual show more of its code. With enough of them that differ, the
profile of each operation follows without a single label. For operations and cohorts: a single span is in too few
windows.

The steps: who was at work when (`unmix_design`), what was seen (`unmix_stacks`), the rates of highest likelihood
(`unmix_solve`), whose each stack is (`unmix_owners`), whether the spans explain the windows at all (`unmix_check`), and
how sure the profiles are (`unmix_draws`).
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
import polars as pl

from correlate.joins.given import I64, Refused
from correlate.joins.unmix_check import foretold
from correlate.joins.unmix_design import MOST_LUMPED, WINDOWS_PER_COLUMN, activity, design
from correlate.joins.unmix_owners import Candidates
from correlate.joins.unmix_result import FALL_BACK, Unmixed
from correlate.joins.unmix_solve import fit
from correlate.joins.unmix_stacks import Counts

LEAST_WINDOWS: Final = 8
"""With fewer windows nothing is tried."""

LEAST_GAIN: Final = 3.0
"""Standard errors by which left-out windows must be foretold better than by their mean."""


def unmix(
    counts: pl.DataFrame,
    windows: pl.DataFrame,
    spans: pl.DataFrame,
    *,
    wanted: I64 | None = None,
    seed: int = 0,
    names: Mapping[int, str] | None = None,
) -> Unmixed | Refused:
    """Find the profile of each operation from windows of one or more processes that run the same code.

    Args:
        counts: rows of window (a code), stack, value and weight (hits), each pair of window and stack once, of one
            profile type that adds up over time (CPU time, allocations; not memory in use).
        windows: window, process, start_ns and end_ns.
        spans: SPANS rows of everything that ran in these processes, with process and operation (codes).
        wanted: operations that the question is about: they are kept apart however small they are.
        seed: what bootstrap draws depend on.
        names: what people call the operations, for reasons.
    """
    seen = Counts.of(counts)
    where = windows.filter(pl.col("window").is_in(seen.windows.tolist()) & (pl.col("process") >= 0)).sort("window")
    if len(where) < LEAST_WINDOWS:
        return Refused(f"only {len(where)} windows of the profiler: unmixing needs {LEAST_WINDOWS} or more")
    if len(where) < len(seen.windows):
        seen = Counts.of(counts.filter(pl.col("window").is_in(where["window"].implode())))
    found = activity(spans, where)
    if not len(found.operations):
        return Refused("no span was at work in a window of the profiler: do the processes and the clocks agree?")
    length_s = (where["end_ns"] - where["start_ns"]).cast(pl.Float64).to_numpy() / 1e9
    asked = np.zeros(0, np.int64) if wanted is None else wanted
    chosen = design(found, length_s, asked)
    if chosen.lumped_ratio > MOST_LUMPED:
        return Refused(
            f"{len(where)} windows are too few for {len(found.operations)} operations: unmixing needs "
            f"{WINDOWS_PER_COLUMN} or more for each of those that matter; {FALL_BACK}"
        )
    solved = fit(chosen.columns, seen.hits, seen.coarse())
    scaled = chosen.columns * solved.scale[:, None]
    gain = foretold(scaled, seen.coarse())
    if gain < LEAST_GAIN:
        return Refused(
            f"who was at work does not explain what {len(where)} windows held (left-out windows foretold better than "
            f"by their mean: {gain:.1f} standard errors, {LEAST_GAIN:g} are needed): do the processes and the clocks "
            f"agree, and do most traces arrive? {FALL_BACK}"
        )
    candidates = Candidates.of(scaled, solved.rate, np.ones(len(where)))
    return Unmixed(found, chosen, seen, solved, candidates.weigh(seen.hits), seed, names or {})
