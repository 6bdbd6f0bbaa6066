"""Exact joins: samples that say which span they belong to."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from correlate.joins.scope import InScope
from correlate.model.answers import Method
from correlate.tables.hexadecimal import from_hex
from correlate.tables.schema import EVIDENCE_LINK

HEX_SPAN = 16
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
    return _attribution(samples.lazy().with_columns(method=_method(scope, profiles)).filter(taken).collect())


def _attribution(rows: pl.DataFrame) -> Attribution | None:
    if rows.is_empty():
        return None
    sums = dict(rows.group_by("method").agg(pl.col("value").sum()).rows())
    evidence = {method.value: int(sums[method.value]) for method in STRONGEST_FIRST if method.value in sums}
    return Attribution(rows, Method(next(iter(evidence))), evidence)


def attribute_many(samples: pl.DataFrame, spans: pl.DataFrame, wanted: Method) -> Attribution | None:
    """Give samples to spans of many traces, each sample once.

    Where a span has the id that a sample names and others refer to that id, it is the sample's; of several that refer
    to it the one with the lowest id. A sample that names no trace is taken only where the spans with that id are of one
    trace.

    Args:
        samples: SAMPLES rows that may belong.
        spans: columns trace_hi, trace_lo, span and profile_ref.
        wanted: one method, or `Method.AUTO` for all of them.

    Returns:
        Rows that carry the ids of the span they were given to; None when nothing belongs.
    """
    ids = ["trace_hi", "trace_lo", "span"]
    every = pl.concat([spans.select(*ids, named="span"), _referred(spans).sort(*ids)])
    owners = every.unique(["trace_hi", "trace_lo", "named"], keep="first", maintain_order=True)
    named = pl.when(pl.col("evidence") == EVIDENCE_LINK).then(pl.lit("link")).otherwise(pl.lit("label"))
    method = pl.when(pl.col("named") == pl.col("span_of")).then(named).otherwise(pl.lit("profile_id"))
    no_trace = (pl.col("trace_hi") == 0) & (pl.col("trace_lo") == 0)
    owner = {name: pl.col(f"{name}_of") for name in ids}
    keys = owners.rename({name: f"{name}_of" for name in ids})
    alone = keys.filter(~pl.col("named").is_duplicated())
    with_trace = samples.filter(~no_trace).join(
        keys, left_on=ids, right_on=["trace_hi_of", "trace_lo_of", "named"], coalesce=False
    )
    bare = samples.filter(no_trace).join(alone, left_on="span", right_on="named", coalesce=False)
    rows = pl.concat([with_trace, bare]).with_columns(method=method).with_columns(**owner)
    rows = rows.drop("named", *(f"{name}_of" for name in ids))
    return _attribution(rows if wanted is Method.AUTO else rows.filter(pl.col("method") == wanted.value))


def _referred(spans: pl.DataFrame) -> pl.DataFrame:
    """The ids, other than their own, that the spans' attribute ``profile.id`` says samples carry."""
    texts = spans.filter(pl.col("profile_ref").str.len_bytes() == HEX_SPAN)
    ids = pl.Series("named", from_hex(texts["profile_ref"], HEX_SPAN)[:, 0], dtype=pl.Int64)
    named = texts.select("trace_hi", "trace_lo", "span").with_columns(ids)
    return named.filter((pl.col("named") != 0) & (pl.col("named") != pl.col("span")))


def referred_ids(column: pl.Series) -> npt.NDArray[np.int64]:
    """The distinct span ids that ``profile.id`` attributes name."""
    texts = column.filter(column.str.len_bytes() == HEX_SPAN).unique()
    return np.unique(from_hex(texts, HEX_SPAN)[:, 0])


def _method(scope: InScope, profiles: list[int]) -> pl.Expr:
    """By which method each sample belongs, empty where it does not."""
    trace_hi, trace_lo = scope.trace
    same_trace = (pl.col("trace_hi") == trace_hi) & (pl.col("trace_lo") == trace_lo)
    no_trace = (pl.col("trace_hi") == 0) & (pl.col("trace_lo") == 0)
    own = _among("span", scope.ids.tolist()) & (same_trace | no_trace)
    named = pl.when(pl.col("evidence") == EVIDENCE_LINK).then(pl.lit("link")).otherwise(pl.lit("label"))
    referred = (_among("span", scope.referred_ids.tolist()) & (same_trace | no_trace)) | _among("profile", profiles)
    return (
        pl.when(own | (same_trace & scope.whole_trace))
        .then(named)
        .when(referred)
        .then(pl.lit("profile_id"))
        .otherwise(pl.lit(""))
    )


def _among(column: str, ids: list[int]) -> pl.Expr:
    return pl.col(column).is_in(ids) if ids else pl.lit(False)
