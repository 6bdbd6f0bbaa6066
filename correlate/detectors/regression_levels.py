"""What regressions are looked for in: one matrix of levels, and the covariates that excuse a change.

A level is a cost per request where requests are known, else a share of the whole. Columns are, in this order: the
service (cost only), functions by what they do themselves, functions with what they call, operations.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from correlate.detectors.regression_options import RegressionOptions
from correlate.detectors.shares import FunctionSeries, OperationSeries
from correlate.detectors.steps import ladder
from correlate.detectors.trend import F64, I64

_MOST_MIX: Final = 2
"""Operations whose part of the requests varies most are covariates; more would cost degrees of freedom."""

_ROWS_PER_COVARIATE: Final = 12
_DAYS_FOR_CYCLE: Final = 1.4
"""Below so many days a daily cycle and a step cannot be told apart, and covariates for it would hide every change."""

_LEAST_VARIATION: Final = 1e-3


@dataclass(frozen=True, slots=True)
class Levels:
    """Levels over time; see the module.

    Attributes:
        values: n x c levels.
        weights: n weights; 0 for rows that tell nothing.
        covariates: n x k, with the constant.
        cuts: candidate rows of a change.
        noise: c variances of a row of weight 1 that sampling alone causes.
        usual: c means over all rows.
        function_count: f.
        per_request: whether levels are costs per request.
        cycle_known: whether a daily cycle could be told from a change.
    """

    values: F64
    weights: F64
    covariates: F64
    cuts: I64
    noise: F64
    usual: F64
    function_count: int
    per_request: bool
    cycle_known: bool

    @property
    def first_own(self) -> int:
        """The column of the first function; the service itself stands before, where there is a cost."""
        return 1

    @property
    def first_total(self) -> int:
        """The first column of functions with what they call."""
        return 1 + self.function_count

    @property
    def first_operation(self) -> int:
        """The first column of operations."""
        return 1 + 2 * self.function_count

    @property
    def whole(self) -> float:
        """The usual level of the whole service: cost per request, or 1."""
        return float(self.usual[0])


def levels_of(series: FunctionSeries, operations: OperationSeries | None, options: RegressionOptions) -> Levels | None:
    """Lay the levels out; None when there is too little to compare.

    Args:
        series: at most `shares.MOST_BLOCKS` buckets, without waiting frames.
        operations: the same buckets.
        options: the constants.
    """
    per_request = series.requests is not None and bool((series.requests > 0).any())
    base = series.requests if per_request and series.requests is not None else series.whole
    weights = _weights(base, series, options)
    cuts = _cuts(series, options)
    if not cuts.size or np.count_nonzero(weights) < options.least_before_blocks + options.least_after_blocks:
        return None
    values, bases = _columns(series, operations, base)
    typical = np.median(bases[weights > 0], axis=0)
    usual = values.sum(axis=0) / np.maximum(bases.sum(axis=0), 1e-9)
    per_hit = float(series.whole.sum()) / max(float(series.hits.sum()), 1.0)
    covariates, cycle_known = _covariates(series, operations, weights, options)
    return Levels(
        values=values / np.maximum(bases, 1e-9),
        weights=weights,
        covariates=covariates,
        cuts=cuts,
        noise=per_hit * usual / np.maximum(typical, 1e-9),
        usual=usual,
        function_count=len(series.sites),
        per_request=per_request,
        cycle_known=cycle_known,
    )


def _columns(series: FunctionSeries, operations: OperationSeries | None, base: F64) -> tuple[F64, F64]:
    values = [series.whole[:, None], series.own, series.total]
    bases = np.repeat(base[:, None], 1 + 2 * len(series.sites), axis=1)
    if operations is None or not operations.names:
        return np.concatenate(values, axis=1), bases
    asked = operations.requests if series.requests is not None else np.repeat(base[:, None], len(operations.names), 1)
    return np.concatenate([*values, operations.values], axis=1), np.concatenate([bases, asked], axis=1)


def _weights(base: F64, series: FunctionSeries, options: RegressionOptions) -> F64:
    """Rows with more behind them count more, but never much: noise of the system does not average out with load."""
    known = (base > 0) & (series.hits > 0)
    usual = float(np.median(base[known])) if known.any() else 1.0
    weights = np.where(known, 2 * base / (base + usual), 0.0)
    weights[_settling(series, options)] = 0.0
    return weights


def _settling(series: FunctionSeries, options: RegressionOptions) -> I64:
    """Rows shortly after a release."""
    rows = releases(series)
    length = int(np.ceil(options.settle_s * 1e9 / series.bucket_ns))
    every = (rows[:, None] + np.arange(length)[None, :]).ravel()
    return np.asarray(every[every < series.time_ns.size], dtype=np.int64)


def releases(series: FunctionSeries) -> I64:
    """Rows at which another release than before is first seen."""
    if not series.versions:
        return np.zeros(0, dtype=np.int64)
    versions = np.array(series.versions)
    known = np.flatnonzero(versions != "")
    changed = np.flatnonzero(versions[known[1:]] != versions[known[:-1]]) + 1
    # a bucket in which both ran has no name and belongs to the change
    return np.asarray(known[changed - 1] + 1, dtype=np.int64)


def _cuts(series: FunctionSeries, options: RegressionOptions) -> I64:
    count = series.time_ns.size
    least = max(options.least_after_blocks, int(np.ceil(options.watch_after_s * 1e9 / series.bucket_ns)))
    found = ladder(count, least, options.least_before_blocks)
    released = releases(series)
    released = released[(released >= options.least_before_blocks) & (released <= count - least)]
    return np.unique(np.concatenate([found, released]))


def _covariates(
    series: FunctionSeries, operations: OperationSeries | None, weights: F64, options: RegressionOptions
) -> tuple[F64, bool]:
    """The constant, the load, the hour of the day and the mix of operations, as far as the rows allow."""
    count = series.time_ns.size
    columns: list[F64] = []
    if series.requests is not None:
        columns.append(np.log(np.maximum(series.requests, 1.0)))
    span_s = count * series.bucket_ns / 1e9
    cycle_known = options.day_s == 0 or span_s >= _DAYS_FOR_CYCLE * options.day_s
    if cycle_known and options.day_s > 0:
        phase = 2 * np.pi * (series.time_ns - series.time_ns[0]) / 1e9 / options.day_s
        columns += [np.cos(phase), np.sin(phase), np.cos(2 * phase), np.sin(2 * phase)]
    if operations is not None and series.requests is not None and len(operations.names) > 1:
        columns += list(_mix(operations).T)
    scaled = [_standard(column, weights) for column in columns[: count // _ROWS_PER_COVARIATE]]
    kept = [column for column in scaled if column is not None]
    return np.column_stack([np.ones(count), *kept]), cycle_known


def _mix(operations: OperationSeries) -> F64:
    """Parts of the requests, of the operations whose part varies most."""
    parts = operations.requests / np.maximum(operations.requests.sum(axis=1, keepdims=True), 1.0)
    most = np.argsort(-parts.std(axis=0), kind="stable")[: min(_MOST_MIX, len(operations.names) - 1)]
    return parts[:, most]


def _standard(column: F64, weights: F64) -> F64 | None:
    centred = column - np.average(column, weights=weights)
    deviation = float(np.sqrt(np.average(centred**2, weights=weights)))
    return centred / deviation if deviation > _LEAST_VARIATION else None
