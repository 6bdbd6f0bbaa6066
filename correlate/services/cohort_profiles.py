"""The profile of many spans: those a query chooses, with what ran beneath them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from correlate.errors import NoProfile
from correlate.flame import significance, spent
from correlate.flame.stacks import describe
from correlate.joins import coverage
from correlate.joins.given import Refused
from correlate.model.answers import CohortInfo, Method, Reason, Scope
from correlate.model.queries import TimeRange
from correlate.ports import Lake
from correlate.services.answers import Profile
from correlate.services.cohort_evidence import CohortEvidence
from correlate.services.cohorts import DEFAULT_LIMIT, Chosen, Cohorts
from correlate.services.evidence import ROWS, Estimated, Found, told_of_snapshots
from correlate.services.exact_evidence import EXACT, ExactEvidence
from correlate.services.members import Members, members
from correlate.services.scenes import Scenes
from correlate.tables.ragged import take_ragged
from correlate.tables.symbols import Symbols

MOST_FRAMES = 200


@dataclass(frozen=True, slots=True)
class Gathered:
    """Spans that a query chose, and the samples that were given to them.

    Attributes:
        chosen: the spans.
        members: they and what ran beneath them.
        found: their samples.
    """

    chosen: Chosen
    members: Members
    found: Found

    @property
    def info(self) -> CohortInfo:
        """What the cohort is."""
        chosen = self.chosen
        return CohortInfo(chosen.query, chosen.window, chosen.matched, len(chosen.spans), chosen.services)


class CohortProfiles:
    """Answers "which code ran for all these spans" by the strongest evidence there is."""

    def __init__(self, lake: Lake, cohorts: Cohorts, *, skew_ns: int) -> None:
        self._lake = lake
        self._cohorts = cohorts
        self._exact = ExactEvidence(lake, skew_ns=skew_ns)
        self._inferred = CohortEvidence(Scenes(lake))

    def profile(
        self,
        query: str,
        window: TimeRange,
        *,
        wanted_type: str = "cpu",
        scope: Scope = Scope.SUBTREE,
        method: Method = Method.AUTO,
        limit: int = DEFAULT_LIMIT,
    ) -> Profile:
        """The profile of all spans that a query chooses, with limits for each function.

        Args:
            query: in the language of ``docs/traceql.md``.
            window: when the spans ran.
            wanted_type: an alias such as ``cpu``, or a five-part profile type id.
            scope: the spans alone, or with their descendants.
            method: one join method, or the strongest there is.
            limit: more spans than this are represented by so many of them.

        Raises:
            NoProfile: no span matches, or they have no samples; says why.
            BadQuery: the query or the profile type cannot be read.
        """
        gathered = self.gather(self.choose(query, window, limit=limit), wanted_type, scope, method)
        return self.described(gathered, scope)

    def choose(self, query: str, window: TimeRange, *, limit: int = DEFAULT_LIMIT) -> Chosen:
        """The spans of a query.

        Raises:
            NoProfile: there are none.
            BadQuery: the query cannot be read.
        """
        chosen = self._cohorts.choose(query, window, limit)
        if chosen.spans.is_empty():
            text = f"{Reason.UNKNOWN_SPAN.value}: no stored span in this time matches {chosen.query}"
            raise NoProfile(text, reason=Reason.UNKNOWN_SPAN.value, details={"query": chosen.query})
        return chosen

    def gather(self, chosen: Chosen, wanted_type: str, scope: Scope, method: Method) -> Gathered:
        """The samples of chosen spans.

        Raises:
            NoProfile: there are none; says why.
            BadQuery: the profile type is neither an alias nor an id.
        """
        behind = members(self._lake, chosen, scope)
        types = self._exact.types(behind.services, wanted_type)
        found = self._find(behind, types, method)
        if isinstance(found, Refused):
            raise self._absent(chosen, types, wanted_type, found)
        return Gathered(chosen, behind, found)

    def described(self, gathered: Gathered, scope: Scope) -> Profile:
        """What was gathered, as an answer."""
        found, behind = gathered.found, gathered.members
        symbols = self.symbols(found)
        profiles = self._lake.profiles(behind.services, behind.window, ("type", "period", "total", "labelled"))
        mine = profiles.filter(pl.col("type") == str(found.profile_type))
        return Profile(
            subject=gathered.info,
            profile_type=found.profile_type,
            scope=scope,
            method=found.method,
            confidence=told_of_snapshots(found.confidence, found.profile_type, mine),
            coverage=coverage.coverage(found.rows, gathered.chosen.spans, mine, found.profile_type, found.unattributed),
            evidence=dict(found.evidence),
            rows=found.rows.select(ROWS),
            symbols=symbols,
            window=behind.window,
            span_count=len(behind.spans),
            also=found.also,
            frames=_frames(gathered, symbols),
        )

    def symbols(self, found: Found) -> Symbols:
        """Describes the stacks of what was found."""
        return self._lake.symbols(np.unique(found.rows["service"].to_numpy()).tolist())

    def _find(self, behind: Members, types: list[str], method: Method) -> Found | Refused:
        named = self._exact.of_spans(behind.spans, types, behind.window, method)
        if named is not None:
            return named
        if method in EXACT:
            return Refused(f"no sample says by {method.value} that it belongs to these spans")
        return self._inferred.find(behind, types, method)

    def _absent(self, chosen: Chosen, types: Sequence[str], wanted: str, refused: Refused) -> NoProfile:
        known = self._lake.profile_types()
        sent = known.filter(pl.col("service").is_in(list(chosen.services)) & pl.col("type").is_in(list(types)))
        reason, text = Reason.TOO_WEAK, refused.reason
        if sent.is_empty():
            reason, text = Reason.NO_PROFILER, f"no profile of type {wanted!r} came from {', '.join(chosen.services)}"
        return NoProfile(f"{reason.value}: {text}", reason=reason.value, details={"query": chosen.query})


def clustered(gathered: Gathered) -> pl.DataFrame | None:
    """Samples with the chosen span they count for (column cluster); None where spans are not told apart."""
    rows = gathered.found.rows
    if not len(rows) or not bool((rows["span"] != 0).any()):
        return None
    return gathered.members.clustered(rows)


def _frames(gathered: Gathered, symbols: Symbols) -> pl.DataFrame | None:
    """The largest functions with their limits; None where these cannot be told."""
    rows = clustered(gathered)
    if rows is not None:
        largest = spent.largest_functions(rows, gathered.members.count, symbols, MOST_FRAMES)
        return significance.intervals(largest).sort("share", "name", descending=[True, False])
    if gathered.found.estimated is not None:
        return _estimated_frames(gathered.found.estimated, symbols)
    return None


def _estimated_frames(found: Estimated, symbols: Symbols) -> pl.DataFrame:
    """The same for an unmixed profile: shares only."""
    described = describe(symbols, found.stacks, "function")
    frame, counts = take_ragged(described.items, described.offsets, described.rows)
    pairs = pl.DataFrame({"stack": np.repeat(np.arange(len(described.rows)), counts), "frame": frame}).unique()
    shares = found.estimate.shares(pairs["stack"].to_numpy(), pairs["frame"].to_numpy(), described.frames.height)
    return (
        pl.DataFrame(
            {
                "name": described.frames["label"],
                "place": described.frames["place"],
                "share": shares.share,
                "share_low": shares.low,
                "share_high": shares.high,
            }
        )
        .filter(pl.col("share") > 0)
        .sort("share", "name", descending=[True, False])
        .head(MOST_FRAMES)
    )
