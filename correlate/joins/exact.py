"""Exact joins: samples that say which span they belong to."""

from dataclasses import dataclass

import polars as pl

from correlate.joins.scope import InScope
from correlate.model.answers import Method
from correlate.tables.schema import EVIDENCE_LINK

STRONGEST_FIRST = (Method.LINK, Method.LABEL, Method.PROFILE_ID)


@dataclass(frozen=True, slots=True)
class Attribution:
    """Samples given to spans.

    Attributes:
        rows: SAMPLES rows plus a column ``method``.
        method: the strongest method that contributed.
        evidence: value by method.
    """

    rows: pl.DataFrame
    method: Method
    evidence: dict[str, int]


def attribute(samples: pl.DataFrame, scope: InScope, profiles: list[int], wanted: Method) -> Attribution | None:
    """Give samples to the spans in scope, each sample once and by its strongest evidence.

    A sample that names the right span but another trace is not taken: span ids are unique within a trace only.

    Args:
        samples: SAMPLES rows that may belong.
        scope: the spans.
        profiles: content hashes of the profiles that the spans refer to as a whole.
        wanted: one method, or `Method.AUTO` for all of them.

    Returns:
        None when nothing belongs.
    """
    taken = pl.col("method") != "" if wanted is Method.AUTO else pl.col("method") == wanted.value
    rows = samples.lazy().with_columns(method=_method(scope, profiles)).filter(taken).collect()
    if rows.is_empty():
        return None
    sums = dict(rows.group_by("method").agg(pl.col("value").sum()).rows())
    evidence = {method.value: int(sums[method.value]) for method in STRONGEST_FIRST if method.value in sums}
    return Attribution(rows, Method(next(iter(evidence))), evidence)


def _method(scope: InScope, profiles: list[int]) -> pl.Expr:
    """By which method each sample belongs, empty where it does not."""
    trace_hi, trace_lo = scope.trace
    same_trace = (pl.col("trace_hi") == trace_hi) & (pl.col("trace_lo") == trace_lo)
    no_trace = (pl.col("trace_hi") == 0) & (pl.col("trace_lo") == 0)
    own = _among("span", scope.ids.tolist()) & (same_trace | no_trace)
    named = pl.when(pl.col("evidence") == EVIDENCE_LINK).then(pl.lit("link")).otherwise(pl.lit("label"))
    referred = _among("span", scope.referred_ids.tolist()) | _among("profile", profiles)
    return (
        pl.when(own | (same_trace & scope.whole_trace))
        .then(named)
        .when(referred)
        .then(pl.lit("profile_id"))
        .otherwise(pl.lit(""))
    )


def _among(column: str, ids: list[int]) -> pl.Expr:
    return pl.col(column).is_in(ids) if ids else pl.lit(False)
