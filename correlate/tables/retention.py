"""Which rows are young enough, and not from an impossible future."""

from dataclasses import replace

import polars as pl

from correlate.model.queries import TimeRange
from correlate.tables.tables import Reject, Tables


def within(tables: Tables, allowed: TimeRange, advice: str) -> Tables:
    """Keep what lies in a time range and turn the rest into rejects.

    A profile with a single sample outside goes as a whole: half a profile would be a wrong one.

    Args:
        tables: rows of one or more payloads.
        allowed: the range; spans and profiles must start in it and end before its end, samples must lie in it.
        advice: half a sentence for the sender, for instance which setting moves the limit.
    """
    return _profiles_within(_spans_within(tables, allowed, advice), allowed, advice)


def _spans_within(tables: Tables, allowed: TimeRange, advice: str) -> Tables:
    if _all_within(tables.spans, "start_ns", allowed):
        return tables
    kept = tables.spans.filter(_inside("start_ns", allowed) & _over_by("start_ns", allowed))
    lost = len(tables.spans) - len(kept)
    if not lost:
        return tables
    reason = f"they start before the retention limit, or start or end in the future; {advice}"
    return replace(tables, spans=kept, rejects=(*tables.rejects, Reject("spans", lost, reason)))


def _profiles_within(tables: Tables, allowed: TimeRange, advice: str) -> Tables:
    if _all_within(tables.samples, "time_ns", allowed, 0) and _all_within(tables.profiles, "time_ns", allowed):
        return tables
    late = tables.samples.filter(~_inside("time_ns", allowed))["profile"]
    good = _inside("time_ns", allowed) & _over_by("time_ns", allowed)
    outside = tables.profiles.filter(~good | pl.col("profile").is_in(late.implode()))
    if outside.is_empty():
        return tables
    gone = outside["profile"].implode()
    reason = f"they begin before the retention limit, or begin or end in the future; {advice}"
    return replace(
        tables,
        profiles=tables.profiles.filter(~pl.col("profile").is_in(gone)),
        samples=tables.samples.filter(~pl.col("profile").is_in(gone)),
        rejects=(*tables.rejects, Reject("profiles", len(outside), reason)),
    )


def _all_within(rows: pl.DataFrame, start: str, allowed: TimeRange, longest_ns: int | None = None) -> bool:
    """Whether nothing is outside for sure, by the extremes alone: the usual case, told without building a frame."""
    if rows.is_empty():
        return True
    starts_ns = rows[start].to_numpy()
    if longest_ns is None:
        longest_ns = int(rows["duration_ns"].to_numpy().max())
    first_ns, last_ns = int(starts_ns.min()), int(starts_ns.max())
    return allowed.start_ns <= first_ns and last_ns < allowed.end_ns and last_ns + longest_ns <= allowed.end_ns


def _inside(column: str, allowed: TimeRange) -> pl.Expr:
    return pl.col(column).is_between(allowed.start_ns, allowed.end_ns, closed="left")


def _over_by(start: str, allowed: TimeRange) -> pl.Expr:
    """Ends before the end of the range; a sum of start and duration could overflow."""
    return pl.col("duration_ns") <= allowed.end_ns - pl.col(start)
