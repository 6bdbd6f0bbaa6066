"""Samples that say whose they are, for the spans of one trace or of many."""

from dataclasses import replace

import numpy as np
import polars as pl

from correlate.joins import exact
from correlate.joins.exact import Attribution
from correlate.joins.scope import InScope
from correlate.model.answers import Confidence, Method
from correlate.model.profile_type import ProfileType, choose
from correlate.model.queries import SampleFilter, TimeRange
from correlate.ports import Lake
from correlate.services.evidence import ROWS, Found
from correlate.tables.hashing import hash_one, hash_text

_COLUMNS = ("service", "type", "profile", "trace_hi", "trace_lo", "span", "evidence", "stack", "value", "weight")
WITH_TIMES = (*_COLUMNS, "time_ns", "duration_ns", "thread")

_NAMES = 3
"""How many services a sentence lists."""

EXACT = frozenset(exact.STRONGEST_FIRST)


class ExactEvidence:
    """Finds samples that name spans."""

    def __init__(self, lake: Lake, *, skew_ns: int) -> None:
        self._lake = lake
        self._skew_ns = skew_ns

    def types(self, services: list[str], wanted: str) -> list[str]:
        """The profile type ids that an alias or id means, among those the services have sent, else among all.

        Raises:
            BadQuery: it is neither an alias nor an id.
        """
        known = self._lake.profile_types()
        pairs = list(zip(known["service"].to_list(), known["type"].to_list(), strict=True))  # few
        present = {text for service, text in pairs if service in services}
        return choose(wanted, sorted(present or {text for _, text in pairs}))

    def of_trace(self, asked: InScope, types: list[str], method: Method) -> Found | None:
        """Samples that name spans of one trace; None when there are none."""
        if not types or method not in EXACT | {Method.AUTO}:
            return None
        profiles = self._referred_profiles(asked)
        rows = self.samples(asked, types, profiles)
        found = {
            key: attributed
            for key, group in _by_type(rows)
            if (attributed := exact.attribute(group, asked, profiles, method)) is not None
        }
        return _best(found, types, asked.spans, alone=True)

    def of_spans(self, spans: pl.DataFrame, types: list[str], window: TimeRange, method: Method) -> Found | None:
        """Samples that name spans of many traces; None when there are none.

        Args:
            spans: columns trace_hi, trace_lo, span, service and profile_ref.
            types: profile type ids.
            window: first start and last end of the spans.
            method: one method, or `Method.AUTO`.
        """
        if not types or method not in EXACT | {Method.AUTO}:
            return None
        ids = np.unique(np.concatenate([spans["span"].to_numpy(), exact.referred_ids(spans["profile_ref"])]))
        wanted = SampleFilter(
            service_ids=tuple(map(hash_one, spans["service"].unique().sort().to_list())),
            type_ids=tuple(map(hash_one, types)),
            start_ns=window.start_ns - self._skew_ns,
            end_ns=window.end_ns + self._skew_ns,
            spans=tuple(ids.tolist()),
        )
        rows = self._anywhere(wanted, _COLUMNS)
        found = {
            key: attributed
            for key, group in _by_type(rows)
            if (attributed := exact.attribute_many(group, spans, method)) is not None
        }
        return _best(found, types, spans)

    def samples(
        self,
        asked: InScope,
        types: list[str],
        profiles: list[int] | None = None,
        columns: tuple[str, ...] = _COLUMNS,
    ) -> pl.DataFrame:
        """Samples that may belong; where the services' own profiles have none, those of any service are searched."""
        window = self.padded(asked.window)
        wanted = SampleFilter(
            service_ids=tuple(hash_one(service) for service in asked.services),
            type_ids=tuple(map(hash_one, types)),
            start_ns=window.start_ns,
            end_ns=window.end_ns,
            spans=tuple(asked.ids.tolist() + asked.referred_ids.tolist()),
            trace=asked.trace if asked.whole_trace else None,
            profiles=tuple(profiles or ()),
        )
        return self._anywhere(wanted, columns)

    def _anywhere(self, wanted: SampleFilter, columns: tuple[str, ...]) -> pl.DataFrame:
        """Samples of some services; where these have none, of any: agents and SDKs may call a service differently."""
        rows = self._lake.samples(wanted, columns)
        return rows if len(rows) else self._lake.samples(replace(wanted, service_ids=()), columns)

    def padded(self, window: TimeRange) -> TimeRange:
        """A window with room for clocks that disagree."""
        return TimeRange(window.start_ns - self._skew_ns, window.end_ns + self._skew_ns)

    def _referred_profiles(self, asked: InScope) -> list[int]:
        """Content hashes of the profiles whose 16-byte ids the spans name."""
        if not len(asked.referred_profiles):
            return []
        ids = pl.DataFrame(asked.referred_profiles, schema=["profile_hi", "profile_lo"])
        rows = self._lake.profiles([], self.padded(asked.window), ("profile", "profile_hi", "profile_lo"))
        return rows.join(ids, on=["profile_hi", "profile_lo"], how="semi")["profile"].to_list()


def _best(found: dict[int, Attribution], types: list[str], spans: pl.DataFrame, *, alone: bool = False) -> Found | None:
    """What the profile type with the strongest evidence and the most samples says."""
    by_id = {hash_one(text): text for text in types}
    ranked = sorted((_strength(each), -len(each.rows), by_id[key], key) for key, each in found.items())
    if not ranked:
        return None
    best = found[ranked[0][3]]
    return Found(
        ProfileType.parse(ranked[0][2]),
        best.rows.select("service", *ROWS),
        best.method,
        best.evidence,
        _confidence(best, spans, alone=alone),
        also=[text for _, _, text, _ in ranked[1:]],
    )


def _by_type(rows: pl.DataFrame) -> list[tuple[int, pl.DataFrame]]:
    """Samples by the hash of their profile type; those of a single type, the usual case, as they are."""
    types = np.unique(rows["type"].to_numpy()).tolist()
    return [(key, rows if len(types) == 1 else rows.filter(pl.col("type") == key)) for key in types]


def _strength(found: Attribution) -> int:
    return exact.STRONGEST_FIRST.index(found.method)


def _confidence(found: Attribution, spans: pl.DataFrame, *, alone: bool) -> Confidence:
    """What the evidence is, and whose code may be missing for want of it.

    Args:
        found: the samples.
        spans: the spans in scope, columns span and service.
        alone: whether these are of one trace.
    """
    how = {
        Method.LINK: "each sample carries an OTLP link to its span",
        Method.LABEL: "each sample carries the id of its span",
        Method.PROFILE_ID: "the span names the profile or label that holds its samples",
    }[found.method]
    if alone and len(spans) > 1 and found.rows["span"].n_unique() == 1:
        how += "; only one span in scope is named: where the SDK labels local roots only, with its children's work"
    return Confidence("exact", how + _silent(found, spans), 0.0)


def _silent(found: Attribution, spans: pl.DataFrame) -> str:
    """Which services have spans in scope, but no samples in the answer."""
    services = spans["service"].unique()
    profiled = np.unique(found.rows["service"].to_numpy())
    left = services.filter(~pl.Series(np.isin(hash_text(services), profiled)))
    if left.is_empty():
        return ""
    # Profiles may come under another service name: then it is spans that tell.
    theirs = spans.filter(pl.col("service").is_in(left.implode()))
    heard = theirs["service"].filter(pl.Series(np.isin(theirs["span"].to_numpy(), found.rows["span"].to_numpy())))
    silent = left.filter(~left.is_in(heard.unique().implode())).sort()
    if silent.is_empty():
        return ""
    more = f" and {len(silent) - _NAMES} more services" if len(silent) > _NAMES else ""
    return f"; no sample names a span of {', '.join(silent.head(_NAMES))}{more}: what they did is not in this"
