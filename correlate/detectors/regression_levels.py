"""What regressions are looked for in: one matrix of levels, and the covariates that excuse a change.

A level is a cost per request where requests are known, else a share of the whole. Columns are, in this order: the
service (cost only), functions by what they do themselves, functions with what they call, operations. All but the
first are freed from the tide, which is what the usual function does: hosts get slower and faster, and when one
function grows, the shares of all others fall.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from correlate.detectors.regression_options import RegressionOptions
from correlate.detectors.shares import FunctionSeries, OperationSeries
from correlate.detectors.trend import F64, I64

_MOST_MIX: Final = 2
"""Operations whose part of the requests varies most are covariates; more would cost degrees of freedom."""

_ROWS_PER_COVARIATE: Final = 12
_DAYS_FOR_CYCLE: Final = 1.4
"""From so many days on, two waves of a daily cycle can be told from a step."""

_DAYS_FOR_WAVE: Final = 0.75
"""From so many days on a single one can, at the price of sensitivity: only where no load tells the hour of the day."""

_LEAST_VARIATION: Final = 1e-3

_TIDAL: Final = 0.003
"""Functions with at least this part of the whole tell the tide; smaller ones are mostly counting noise."""

_LEAST_TIDAL: Final = 8
"""Fewer functions have no median to speak of."""


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
        cycle_known: whether a daily cycle could be told from a change, by its waves or by the load.
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
    rates = values / np.maximum(bases, 1e-9)
    rates[:, 1:] /= _tide(rates[:, 1 : 1 + len(series.sites)], weights > 0)[:, None]
    covariates, cycle_known = _covariates(series, operations, weights, options)
    return Levels(
        values=rates,
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


def _tide(own: F64, known: npt.NDArray[np.bool_]) -> F64:
    """What the usual function does, row by row, around 1: the median over functions, each relative to its own usual.

    This is how size factors are estimated from counts of genes (DESeq, Anders and Huber 2010).
    """
    usual = np.median(own[known], axis=0)
    large = (usual > 0) & (usual >= _TIDAL * usual.sum())
    if np.count_nonzero(large) < _LEAST_TIDAL:
        return np.ones(own.shape[0])
    tide = np.median(own[:, large] / usual[large], axis=1)
    return np.asarray(np.where(tide > 0, tide, 1.0))


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
    return np.arange(options.least_before_blocks, count - least + 1)


def _covariates(
    series: FunctionSeries, operations: OperationSeries | None, weights: F64, options: RegressionOptions
) -> tuple[F64, bool]:
    """The constant, the load, the hour of the day and the mix of operations, as far as the rows allow."""
    count = series.time_ns.size
    loads = [] if series.requests is None else [_standard(np.log(np.maximum(series.requests, 1.0)), weights)]
    columns = [column for column in loads if column is not None]
    days = count * series.bucket_ns / 1e9 / options.day_s if options.day_s > 0 else np.inf
    cycle_known = options.day_s == 0 or days >= _DAYS_FOR_WAVE or bool(columns)
    if options.day_s > 0 and (days >= _DAYS_FOR_CYCLE or (days >= _DAYS_FOR_WAVE and not columns)):
        columns += _waves(series, 2 if days >= _DAYS_FOR_CYCLE else 1, options.day_s)
    if operations is not None and series.requests is not None and len(operations.names) > 1:
        columns += list(_mix(operations).T)
    scaled = [_standard(column, weights) for column in columns[: count // _ROWS_PER_COVARIATE]]
    kept = [column for column in scaled if column is not None]
    return np.column_stack([np.ones(count), *kept]), cycle_known


def _waves(series: FunctionSeries, count: int, day_s: float) -> list[F64]:
    """The day's first waves: what changes smoothly with the hour is no step."""
    phase = 2 * np.pi * (series.time_ns - series.time_ns[0]) / 1e9 / day_s
    return [wave(number * phase) for number in range(1, count + 1) for wave in (np.cos, np.sin)]


def _mix(operations: OperationSeries) -> F64:
    """Parts of the requests, of the operations whose part varies most."""
    parts = operations.requests / np.maximum(operations.requests.sum(axis=1, keepdims=True), 1.0)
    most = np.argsort(-parts.std(axis=0), kind="stable")[: min(_MOST_MIX, len(operations.names) - 1)]
    return np.asarray(parts[:, most])


def _standard(column: F64, weights: F64) -> F64 | None:
    centred = column - np.average(column, weights=weights)
    deviation = float(np.sqrt(np.average(centred**2, weights=weights)))
    return centred / deviation if deviation > _LEAST_VARIATION else None
