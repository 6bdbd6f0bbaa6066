"""From code to requests: the functions of a service, and the spans that paid most for one of them."""

from dataclasses import dataclass
from typing import Final, Literal

import polars as pl

from correlate.errors import NotFound
from correlate.flame.focus import containing
from correlate.flame.matching import Matcher, named
from correlate.flame.top import functions
from correlate.flame.tree import build
from correlate.joins.coverage import largest
from correlate.model.profile_type import ProfileType, choose
from correlate.model.queries import SampleFilter, TimeRange
from correlate.ports import Lake
from correlate.services.existence import Checked, Existence, with_traces
from correlate.tables.hashing import hash_one
from correlate.tables.symbols import Symbols

_KEY: Final = ["trace_hi", "trace_lo", "span"]
_SPAN_COLUMNS: Final = (
    *("trace_hi", "trace_lo", "span", "parent", "service", "name", "kind", "status"),
    *("start_ns", "duration_ns", "profile_ref"),
)
_SUGGESTIONS: Final = 5


@dataclass(frozen=True, slots=True)
class Functions:
    """What code ran.

    Attributes:
        profile_type: what the values measure.
        rows: columns name, place, self, total; those with the largest value.
        count: how many functions there are, or match.
        total: value of all samples.
        snapshots: how many moments were added up, of types that say what is held at a moment; None for others.
    """

    profile_type: ProfileType
    rows: pl.DataFrame
    count: int
    total: int
    snapshots: int | None = None


@dataclass(frozen=True, slots=True)
class Payers:
    """The spans that paid most for a function.

    Attributes:
        profile_type: what the values measure.
        rows: the columns of a span (without attributes), and value and samples (in the function), span_value (of the
            whole span) and share (of the span's value that the function took); the largest value first.
        total: value of the function.
        unnamed: the part of it whose samples name no span.
        span_count: how many spans samples of the function name.
        checked: how these spans were found to exist.
    """

    profile_type: ProfileType
    rows: pl.DataFrame
    total: int
    unnamed: int
    span_count: int
    checked: Checked


@dataclass(frozen=True, slots=True)
class _Chosen:
    """Samples of one profile type, and the services that have it."""

    profile_type: ProfileType
    wanted: SampleFilter
    services: list[str]
    longest_profile_ns: int


class Frames:
    """Answers "what code runs here" and "show me requests that ran it"."""

    def __init__(self, lake: Lake, existence: Existence, *, skew_ns: int) -> None:
        self._lake = lake
        self._existence = existence
        self._skew_ns = skew_ns

    def functions(
        self,
        service: str | None,
        wanted_type: str,
        window: TimeRange,
        *,
        limit: int,
        order: Literal["self", "total"] = "self",
        part: str = "",
    ) -> Functions:
        """The functions with the largest own value, or the largest value with what they call.

        Args:
            service: its name; None: all services that have the profile type.
            wanted_type: an alias such as ``cpu``, or a five-part profile type id.
            window: when.
            limit: how many.
            order: by which value.
            part: only functions with this in their name, in whatever case.

        Raises:
            NotFound: the service has no such profiles.
            BadQuery: the profile type is neither an alias nor an id.
        """
        chosen = self._choose(service, wanted_type, window)
        sums = self._lake.stack_sums(chosen.wanted)
        tree = build(self._symbols(chosen), sums["stack"].to_numpy(), sums["value"].to_numpy())
        rows = functions(tree)
        if part:
            rows = rows.filter(pl.col("name").str.to_lowercase().str.contains(part.lower(), literal=True))
        if order == "total":
            rows = rows.sort("total", "self", "name", descending=[True, True, False])
        moments = self._snapshots(chosen, window)
        return Functions(chosen.profile_type, rows.head(limit), len(rows), int(tree.total[0]), moments)

    def payers(self, function: str, service: str | None, wanted_type: str, window: TimeRange, *, limit: int) -> Payers:
        """The spans that paid most for a function, of those that exist; by samples that name their span only.

        Args:
            function: its name as flame graphs show it, or a regular expression after ``=~``.
            service: its name; None: all services that have the profile type.
            wanted_type: an alias such as ``cpu``, or a five-part profile type id.
            window: when.
            limit: how many spans.

        Raises:
            NotFound: the service has no such profiles, or no such function.
            BadQuery: the profile type or the function cannot be read.
        """
        matcher = named("function", function, bare_is_exact=True, may_negate=False)
        chosen = self._choose(service, wanted_type, window)
        symbols = self._symbols(chosen)
        stacks = containing(symbols, matcher)
        if not len(stacks):
            raise NotFound(_no_such_function(symbols, matcher, service))
        sums = self._lake.span_sums(chosen.wanted, pl.Series(stacks, dtype=pl.Int64))
        ranked = _ranked(sums)
        reach_ns = chosen.longest_profile_ns + self._skew_ns
        padded = TimeRange(window.start_ns - reach_ns, window.end_ns + reach_ns)
        checked = self._existence.check(ranked, padded, limit)
        total = int(sums["value"].sum())
        return Payers(
            chosen.profile_type,
            self._described(checked.rows, chosen, padded),
            total,
            total - int(ranked["value"].sum()),
            len(ranked),
            checked,
        )

    def _choose(self, service: str | None, wanted_type: str, window: TimeRange) -> _Chosen:
        known = self._lake.profile_types()
        mine = known if service is None else known.filter(pl.col("service") == service)
        types = choose(wanted_type, mine["type"].unique().sort().to_list())
        mine = mine.filter(pl.col("type").is_in(types)).sort("sample_count", "type", descending=[True, False])
        if mine.is_empty():
            raise NotFound(_no_such_type(known, service, wanted_type))
        # Two profilers of one process are never added up: the one with the most samples answers.
        mine = mine.filter(pl.col("type") == mine["type"][0])
        wanted = SampleFilter(
            tuple(map(hash_one, mine["service"].to_list())),
            (hash_one(mine["type"][0]),),
            window.start_ns,
            window.end_ns,
        )
        longest_ns = largest(mine["max_duration_ns"])
        return _Chosen(ProfileType.parse(mine["type"][0]), wanted, mine["service"].to_list(), longest_ns)

    def _snapshots(self, chosen: _Chosen, window: TimeRange) -> int | None:
        if not chosen.profile_type.is_snapshot:
            return None
        rows = self._lake.profiles(chosen.services, window, ("type",))
        return int((rows["type"] == str(chosen.profile_type)).sum())

    def _symbols(self, chosen: _Chosen) -> Symbols:
        return self._lake.symbols(list(chosen.wanted.service_ids))

    def _described(self, rows: pl.DataFrame, chosen: _Chosen, window: TimeRange) -> pl.DataFrame:
        """What the spans are, and what else they spent."""
        spans = self._lake.spans_of_traces(rows.select("trace_hi", "trace_lo").unique(), window, _SPAN_COLUMNS)
        # Client and server may share a span id: the side that was profiled is meant.
        spans = spans.sort(pl.col("service").is_in(chosen.services), "start_ns", descending=[True, False])
        once = spans.unique(_KEY, keep="first", maintain_order=True)
        described = rows.join(once, on=_KEY, how="inner", maintain_order="left")
        whole = described.join(self._span_values(rows, chosen), on=_KEY, how="left", maintain_order="left")
        return whole.with_columns(
            span_value=pl.col("span_value").fill_null(pl.col("value")),
            share=pl.when(pl.col("span_value") > 0).then(pl.col("value") / pl.col("span_value")),
        )

    def _span_values(self, rows: pl.DataFrame, chosen: _Chosen) -> pl.DataFrame:
        """All value that names each of some spans: columns trace_hi, trace_lo, span, span_value."""
        asked = chosen.wanted
        wanted = SampleFilter(
            asked.service_ids, asked.type_ids, asked.start_ns, asked.end_ns, tuple(rows["span"].unique().to_list())
        )
        samples = self._lake.samples(wanted, (*_KEY, "value")) if len(rows) else rows.select(*_KEY, "value")
        return with_traces(samples, rows.select(_KEY)).group_by(_KEY).agg(span_value=pl.col("value").sum())


def _ranked(sums: pl.DataFrame) -> pl.DataFrame:
    """Spans by value, the largest first: columns trace_hi, trace_lo, span, value, samples."""
    spans = sums.filter(pl.col("span") != 0)
    in_trace = spans.filter((pl.col("trace_hi") != 0) | (pl.col("trace_lo") != 0))
    whole = spans
    if len(in_trace) < len(spans):  # some samples name the span alone, perhaps of one that others name in full
        named_spans = with_traces(spans, in_trace.select(_KEY).sort(_KEY))
        whole = named_spans.group_by(_KEY).agg(pl.col("value", "weight").sum())
    order = [True, False, False, False]
    return whole.rename({"weight": "samples"}).sort("value", *_KEY, descending=order)


def _no_such_type(known: pl.DataFrame, service: str | None, wanted: str) -> str:
    if service is None:
        return f"no service has profiles of type {wanted!r}; GET /api/v1/profile-types lists those there are"
    types = known.filter(pl.col("service") == service)["type"].sort().to_list()
    return f"service {service!r} has no profiles of type {wanted!r}, only: {', '.join(types) or 'none at all'}"


def _no_such_function(symbols: Symbols, matcher: Matcher, service: str | None) -> str:
    whose = "any service" if service is None else f"service {service!r}"
    if not matcher.exact:
        return f"no function of {whose} matches {matcher.pattern[:200]!r}"
    names = symbols.names.unique()
    alike = names.filter(names.str.to_lowercase().str.contains(matcher.pattern.lower(), literal=True))
    some = ", ".join(alike.sort().head(_SUGGESTIONS).to_list())
    advice = f"there are {some}" if some else "GET /api/v1/frames lists those there are"
    return f"{whose} has no function {matcher.pattern[:200]!r} in its profiles; {advice}"
