"""Which operations are behind a place in the code: those whose samples run through it.

Profiles of memory rarely name spans, but other profiles of the same code often do: a function that keeps sessions is
called by the handler of some request, and CPU samples of that request name it. So, in this order: samples of
allocation with the function on their stack; samples of any type with it; samples with its nearest caller on their
stack that any named sample has, unless every operation passes there. Where nothing names a span, nothing is said.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import polars as pl

from correlate.detectors import goroutine, leak
from correlate.detectors.observe import SPAN_COLUMNS
from correlate.detectors.observe_rows import Role, alias_of, role_of
from correlate.detectors.observe_spans import with_roots
from correlate.flame.focus import containing
from correlate.flame.matching import Matcher
from correlate.model.queries import SampleFilter, SpanFilter, TimeRange
from correlate.model.verdicts import Guard, Site, Tier, Verdict
from correlate.ports import Lake
from correlate.tables.hashing import hash_one
from correlate.tables.symbols import Symbols

_GROWTH: Final = (leak.DETECTOR, goroutine.DETECTOR)
_MOST: Final = 5
_LEAST_SHARE_RATIO: Final = 0.05
_MOST_CALLERS: Final = 12
_LATE_NS: Final = 60_000_000_000
_COLUMNS: Final = ("type", "span", "stack", "value")


@dataclass(frozen=True, slots=True)
class _Named:
    """Samples of a service that name spans.

    Attributes:
        samples: columns alias, stack, operation, value.
        symbols: of the service.
    """

    samples: pl.DataFrame
    symbols: Symbols

    def operations(self, function: str, alias: str | None) -> pl.DataFrame:
        """Operations whose samples have a function on their stack: operation and value, the largest first."""
        stacks = containing(self.symbols, Matcher("function", function, exact=True))
        mine = self.samples.filter(pl.col("stack").is_in(pl.Series(stacks, dtype=pl.Int64).implode()))
        mine = mine if alias is None else mine.filter(pl.col("alias") == alias)
        return (
            mine.group_by("operation").agg(pl.col("value").sum()).sort("value", "operation", descending=[True, False])
        )


class SiteOperations:
    """Tells operations for what growth detectors find, and for what pages."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake

    def add(self, service: str, verdicts: Sequence[Verdict], window: TimeRange) -> Sequence[Verdict]:
        """The same verdicts, with operations at their sites where samples of a window tell them.

        Raises:
            StoreError: the lake failed.
        """
        wanted = [each for each in verdicts if each.detector in _GROWTH or each.tier is Tier.PAGE]
        if not any(site.function and not site.operations for each in wanted for site in each.sites):
            return verdicts
        named = self._named(service, window)
        if named.samples.is_empty():
            return verdicts
        return [_told(each, named) if each in wanted else each for each in verdicts]

    def _named(self, service: str, window: TimeRange) -> _Named:
        known = self._lake.profile_types().filter(pl.col("service") == service)["type"].unique().to_list()
        aliases = {hash_one(text): alias_of(text) for text in known if role_of(text) is Role.FLOW}
        ids = (hash_one(service),)
        symbols = self._lake.symbols(ids)
        if not aliases:
            return _Named(pl.DataFrame(schema=_NAMED), symbols)
        found = self._lake.samples(SampleFilter(ids, tuple(aliases), window.start_ns, window.end_ns), _COLUMNS)
        sums = found.filter(pl.col("span") != 0).group_by("type", "span", "stack").agg(pl.col("value").sum())
        spans = self._lake.spans_where(
            SpanFilter(window.start_ns - _LATE_NS, window.end_ns + _LATE_NS, (service,)), SPAN_COLUMNS
        )
        owners = with_roots(spans).select("span", "operation").unique("span")
        alias = pl.col("type").replace_strict(aliases, return_dtype=pl.String).alias("alias")
        return _Named(sums.join(owners, on="span").select(alias, "stack", "operation", "value"), symbols)


_NAMED: Final = {"alias": pl.String, "stack": pl.Int64, "operation": pl.String, "value": pl.Int64}


def _told(verdict: Verdict, named: _Named) -> Verdict:
    found = [_of_site(site, named) for site in verdict.sites]
    sites = tuple(site for site, _ in found)
    reasons = [reason for _, reason in found if reason]
    guards = (*verdict.guards, Guard("operations", True, reasons[0])) if reasons else verdict.guards
    return replace(verdict, sites=sites, guards=guards)


def _of_site(site: Site, named: _Named) -> tuple[Site, str]:
    if site.operations:
        return site, ""
    every = named.samples["operation"].n_unique()
    for function, alias, reason in _looks(site):
        operations = named.operations(function, alias)
        if operations.is_empty():
            continue
        if function != site.function and len(operations) == every > 1:
            break  # everything passes here, so it tells nothing
        share = pl.col("value") >= _LEAST_SHARE_RATIO * pl.col("value").sum()
        return replace(site, operations=tuple(operations.filter(share)["operation"].head(_MOST).to_list())), reason
    return site, ""


def _looks(site: Site) -> Iterator[tuple[str, str | None, str]]:
    """Function, alias of the profile type (None: any) and how that is told, the best evidence first."""
    yield site.function, "alloc_space", f"allocations in {site.function} name the spans they were made for"
    yield site.function, None, f"samples of {site.function} name the spans they were taken in"
    below = site.stack[: _last(site.stack, site.function)]
    for caller in reversed(below[-_MOST_CALLERS:]):
        yield caller, None, f"no sample of {site.function} names a span; those of its caller {caller} do"


def _last(stack: Sequence[str], function: str) -> int:
    """Where a function is for the last time on a stack, root first; the stack's end where it is not."""
    return max((at for at, name in enumerate(stack) if name == function), default=len(stack))
