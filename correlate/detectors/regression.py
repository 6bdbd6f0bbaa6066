"""Regressions: functions, operations or whole services that became more expensive and stayed so.

Cost per request is judged where traces tell the requests, else the share of the whole. A trend in load, the hour of
the day and another mix of operations excuse a change; spikes that went away, and cost that only moved from one
function to another, are none. What is left is grouped: of a chain of callers only the cause is named.
"""

from dataclasses import replace
from typing import Final

import numpy as np

from correlate.detectors.frame_kinds import INTERPRETER, kind_mask
from correlate.detectors.regression_filters import ancestors, causes
from correlate.detectors.regression_look import Look, look
from correlate.detectors.regression_options import PRODUCTION, RegressionOptions
from correlate.detectors.regression_words import Told, verdict_of
from correlate.detectors.shares import FunctionSeries, OperationSeries
from correlate.detectors.trend import F64, I64
from correlate.model.verdicts import Guard, Site, Tier, Verdict

DETECTOR: Final = "regression"

_ACCOUNTED: Final = 0.5
"""Growth of an operation or a service of which functions explain this part is told with the functions."""


def judge(
    series: FunctionSeries, operations: OperationSeries | None = None, options: RegressionOptions = PRODUCTION
) -> tuple[Verdict, ...]:
    """Tell what became more expensive, strongest first; empty when nothing did.

    Args:
        series: of one profile type, usually CPU time; two days tell more than one.
        operations: of the same profile type, on the same buckets; None without traces.
        options: the constants.
    """
    seen = look(series, operations, options)
    return () if seen is None else told(seen)


def told(seen: Look) -> tuple[Verdict, ...]:
    """What a look has to say."""
    functions = _functions(seen)
    growth = sum(float(seen.steps.rise[each.column]) for each in functions)
    others = [each for each in _operations(seen) if growth < _ACCOUNTED * _per_service_request(seen, each.column)]
    every = functions + others
    if not every or growth + sum(_per_service_request(seen, each.column) for each in others) == 0:
        every = every + _service(seen)
    ordered = sorted(every, key=lambda each: (-each.tier.rank, -float(seen.steps.rise[each.column])))
    return tuple(verdict_of(DETECTOR, seen, each) for each in ordered[: seen.options.most])


def suspects(seen: Look, first: int, end: int) -> I64:
    """Columns whose significance and size deserve the filters: few, as a rule none."""
    big = (seen.q < seen.options.watch_fdr_ratio) & (seen.steps.rise >= seen.least())
    return np.flatnonzero(big[first:end]) + first


def _functions(seen: Look) -> list[Told]:
    """The causes among the functions that grew."""
    levels, count = seen.levels, seen.levels.function_count
    passed = {
        int(column): seen.tier(int(column)) for column in suspects(seen, levels.first_own, levels.first_operation)
    }
    grown = {column: found for column, found in passed.items() if found[0] is not Tier.CLEAR}
    growth, ratio = np.zeros(count), np.zeros(count)
    loudest: dict[int, tuple[int, Tier, tuple[Guard, ...]]] = {}
    for column, (tier, guards) in grown.items():
        row = (column - levels.first_own) % count
        known = loudest.get(row)
        if known is None or (tier.rank, seen.steps.rise[column]) > (known[1].rank, growth[row]):
            loudest[row] = (column, tier, guards)
            growth[row], ratio[row] = seen.steps.rise[column], seen.growth[column]
    runtime = kind_mask(seen.series.names, INTERPRETER)
    rows = causes(_nearest(seen.filters.parents, growth), growth, ratio, seen.options.explained_ratio)
    return [
        Told(seen.series.names[row], *loudest[row], sites=_sites(seen, row, growth)) for row in rows if not runtime[row]
    ]


def _nearest(parents: I64, growth: F64) -> I64:
    """For each function that grew its nearest caller that grew too."""
    found = np.full(growth.size, -1, dtype=np.int64)
    for row in np.flatnonzero(growth).tolist():  # a few
        found[row] = next((caller for caller in ancestors(parents, row) if growth[caller] > 0), -1)
    return found


def _sites(seen: Look, row: int, growth: F64) -> tuple[Site, ...]:
    """The cause, then its callers that grew with it."""
    callers = [each for each in ancestors(seen.filters.parents, row) if growth[each] > 0]
    whole = max(seen.levels.whole, 1e-300)
    first = seen.levels.first_total
    return tuple(
        replace(seen.series.sites[each], share_ratio=min(float(seen.levels.usual[first + each]) / whole, 1.0))
        for each in [row, *callers[:4]]
    )


def _operations(seen: Look) -> list[Told]:
    if seen.operations is None:
        return []
    first, names = seen.levels.first_operation, seen.operations.names
    found = ((int(column), *seen.tier(int(column))) for column in suspects(seen, first, first + len(names)))
    return [
        Told(
            names[column - first],
            column,
            tier,
            guards,
            (Site(names[column - first], operations=(names[column - first],)),),
        )
        for column, tier, guards in found
        if tier is not Tier.CLEAR
    ]


def _per_service_request(seen: Look, column: int) -> float:
    """The growth of an operation per request of the service: of its own requests only a part are of the operation."""
    if seen.operations is None or seen.series.requests is None:
        return float(seen.steps.rise[column])
    asked = float(seen.operations.requests[:, column - seen.levels.first_operation].sum())
    return float(seen.steps.rise[column]) * asked / max(float(seen.series.requests.sum()), 1.0)


def _service(seen: Look) -> list[Told]:
    """Everything got more expensive, and no function or operation tells why: a host or a runtime, so never a page."""
    if not seen.levels.per_request or not suspects(seen, 0, 1).size:
        return []
    tier, guards = seen.tier(0)
    if tier is Tier.CLEAR:
        return []
    guard = Guard(
        "everything alike", False, "no function grew beside the others: look at hosts, limits, and the runtime"
    )
    return [Told(f"{seen.series.service} as a whole", 0, Tier.WATCH, (*guards, guard))]
