"""Requests: spans without a parent in their service, and which of them each span belongs to."""

from typing import Final

import numpy as np
import polars as pl

from correlate.detectors.trend import I64
from correlate.tables.hashing import combine, hash_text

_DOUBLINGS: Final = 8
"""Chains of up to 256 spans of one service; nothing deeper is a request."""


def with_roots(spans: pl.DataFrame) -> pl.DataFrame:
    """Tell for each span at which of its ancestors the service was entered.

    Args:
        spans: SPANS columns trace_hi, trace_lo, span, parent, service, name, start_ns, duration_ns, series; an
            ancestor that is not among them counts as one of another service.

    Returns:
        The same with columns service_id, is_root and operation, the name of the root.
    """
    service = hash_text(spans["service"])
    parents = _parents(spans, service)
    above = np.where(parents >= 0, parents, np.arange(len(spans)))
    for _ in range(_DOUBLINGS if (parents >= 0).any() else 0):
        above = above[above]
    return spans.with_columns(
        service_id=pl.Series(service, dtype=pl.Int64),
        is_root=pl.Series(parents < 0, dtype=pl.Boolean),
        operation=spans["name"].gather(above),
    )


def _parents(spans: pl.DataFrame, service: I64) -> I64:
    """The row of each span's parent, -1 where it is not there."""
    trace = [spans["trace_hi"].to_numpy(), spans["trace_lo"].to_numpy()]
    ids = combine([service, *trace, spans["span"].to_numpy()]) if len(spans) else service
    wanted = combine([service, *trace, spans["parent"].to_numpy()]) if len(spans) else service
    order = np.argsort(ids, kind="stable")
    at = np.minimum(np.searchsorted(ids[order], wanted), max(len(ids) - 1, 0))
    found = order[at] if len(ids) else at
    # The two sides of a call may share an id (Zipkin): a span is not its own parent.
    missing = (ids[found] != wanted) | (spans["parent"].to_numpy() == 0) | (found == np.arange(len(ids)))
    return np.asarray(np.where(missing, -1, found))
