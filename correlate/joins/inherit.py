"""A share of the local root's exact samples for the spans beneath it.

SDK bridges label samples with the local root span only. What its samples saw was done by it or by its descendants in
the same process; descendants elsewhere burn their own process's time, while the span that called them waits.
"""

import numpy as np
import numpy.typing as npt
import polars as pl

from correlate.joins import thread_time, window
from correlate.joins.activity import intervals, parent_rows
from correlate.joins.given import Given, Refused
from correlate.joins.steps import Codes
from correlate.tables import hashing

I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


def inherit(
    root_samples: pl.DataFrame,
    trace_spans: pl.DataFrame,
    chosen: Bools,
    margin_ns: int = thread_time.MARGIN_NS,
    floor: float = window.FLOOR,
) -> Given | Refused:
    """Give the chosen spans their part of the samples that name their local root.

    A sample with a thread and a time goes to the innermost span open on that thread, if the spans tell. All others are
    shared by the time that the root and its descendants were at work within the sample's window and the root's
    interval. Where none of them was at work then, the sample stays the root's own.

    The error bound is the part of what was given that may belong to others in the tree: of samples given by thread
    those within `margin_ns` of somebody else's time, of shares what `window.doubt` says. Less than `floor` of
    certainty, reckoned with 1 - s for a share of s, is refused.

    Args:
        root_samples: SAMPLES rows that name a local root of the chosen spans. If several roots are in question, samples
            belong to the one they name; else to the only one.
        trace_spans: all SPANS rows of the roots' traces, with process if that is known; else services are told apart.
        chosen: which of the spans are asked for.
        margin_ns: uncertainty of the samples' times against the spans'.
        floor: the least certainty that is given at all.
    """
    root_row = local_root_rows(trace_spans)
    named = _named_roots(root_samples, trace_spans, np.unique(root_row[chosen]))
    samples = root_samples.with_columns(process=pl.Series(named, dtype=pl.Int64))
    spans = _clipped(trace_spans, root_row)
    lines = thread_time.Owners.of(spans)
    owner = np.maximum(lines.of_samples(samples), -1)
    is_chosen = np.append(chosen, False)  # row -1, nobody, is not
    parts = window.operation_shares(samples, spans, chosen.astype(np.int64), 2)
    shared = np.where(parts.of(0) + parts.of(1) > 0, parts.of(1), is_chosen[named])
    share = np.where(owner >= 0, is_chosen[owner], shared)
    unsure = np.zeros(len(samples))
    unsure[owner >= 0] = thread_time.elsewhere(samples.filter(owner >= 0), chosen, lines, margin_ns)
    mine = np.where(is_chosen[owner], owner, -1)
    return _judged(samples, Given(share, mine, 0.0, ""), np.where(owner >= 0, unsure, -1.0), floor)


def local_root_rows(spans: pl.DataFrame) -> I64:
    """The row of each span's local root: its farthest ancestor, or itself, on a way that does not leave the process.

    Args:
        spans: SPANS rows, with process if that is known; else services are told apart.
    """
    place = spans["process"] if "process" in spans.columns else spans["service"].rank("dense").cast(pl.Int64)
    process, up = place.to_numpy(), parent_rows(spans)
    up = np.where((up >= 0) & (process == process[up]), up, np.arange(len(up)))
    for _ in range(len(up).bit_length()):
        up = up[up]
    return up


def _named_roots(samples: pl.DataFrame, spans: pl.DataFrame, roots: I64) -> I64:
    """The row of the local root that each sample names, -1 for another; of a single root all samples are its own."""
    if len(roots) == 1:
        return np.full(len(samples), roots[0])
    keys = ("trace_hi", "trace_lo", "span")
    ids, wanted = (hashing.combine([rows[key].to_numpy() for key in keys]) for rows in (spans[roots], samples))
    distinct, first = np.unique(ids, return_index=True)
    return np.append(roots[first], -1)[Codes(distinct).code(wanted)]


def _clipped(spans: pl.DataFrame, root_row: I64) -> pl.DataFrame:
    """The spans within the intervals of their local roots, which take the place of processes."""
    start, end = intervals(spans)
    first, last = np.maximum(start, start[root_row]), np.minimum(end, end[root_row])
    columns = {"process": root_row, "start_ns": first, "duration_ns": np.maximum(last - first, 0)}
    return spans.with_columns(pl.Series(name, values, dtype=pl.Int64) for name, values in columns.items())


def _judged(samples: pl.DataFrame, given: Given, unsure: F64, floor: float) -> Given | Refused:
    """Add the error bound and the reason, or refuse. `unsure` is -1 for samples that were shared."""
    value, hits = np.abs(samples["value"].to_numpy()), samples["weight"].to_numpy()
    weight = value * given.share
    total = float(weight.sum())
    if total == 0:
        return Refused("no sample of their local root was taken while these spans were at work")
    certainty = 1.0 - float((weight * np.where(unsure >= 0, unsure, 1.0 - given.share)).sum()) / total
    wrong = np.where(unsure >= 0, unsure, window.doubt(given.share))
    part = total / float(value.sum())
    by_thread = float(weight[given.owner >= 0].sum()) / total
    how = f"{by_thread:.0%} of it by thread and time, the rest by time at work"
    reason = f"these spans were given {part:.2g} of the samples of their local root, {how}"
    if certainty < floor:
        return Refused(f"{reason}, which is too little to tell whose code it is: ask for the local root")
    return Given(given.share, given.owner, window.error_bound(weight, wrong, hits), reason)
