"""Checks of clocks: profiler against tracer, and both against ours."""

from typing import Final

from correlate.doctor.complaint import Complaint, Severity, percent
from correlate.doctor.evidence import MIN_HITS
from correlate.doctor.figures import ArrivalFigures, ServiceFigures, SkewFigures
from correlate.units import human

TOLERATED_NS: Final = 1_000_000_000
"""Clocks kept by NTP agree to some ten milliseconds, and profilers date a profile to within its upload: a second is
neither."""

MANY_OUTSIDE: Final = 0.05
"""Share of hits that lie outside the spans they name. A late switch of labels puts one in thousands there."""

AHEAD_NS: Final = 60_000_000_000
"""Nothing is received before it happened; a minute is for senders that date a profile by whole steps of time."""


def check(figures: ServiceFigures, join_skew_ns: int) -> list[Complaint]:
    """All complaints about a service's clocks; label joins look `join_skew_ns` to both sides of a span."""
    found = [_skew(figures.service, figures.skew, join_skew_ns), _ahead(figures.service, figures.arrival)]
    return [each for each in found if each is not None]


def _skew(service: str, skew: SkewFigures | None, join_skew_ns: int) -> Complaint | None:
    if skew is None or skew.hits < MIN_HITS or skew.outside_hits < MANY_OUTSIDE * skew.hits:
        return None
    share, off_ns = skew.outside_hits / skew.hits, abs(skew.offset_ns)
    what = "times of the samples" if skew.own_times else "windows of their profiles"
    return Complaint(
        "clock-skew",
        service,
        Severity.HIGH if off_ns > join_skew_ns else Severity.MEDIUM,
        f"{percent(share)} of {skew.hits:,} labelled hits lie outside the spans they name (by the {what}): the "
        f"profiler's clock is about {human(off_ns, 'nanoseconds')} {'ahead of' if skew.offset_ns > 0 else 'behind'} "
        "the tracer's.",
        "Keep the clocks of the hosts and of all senders in step (NTP or chrony; whole hours are a local time sent as "
        "UTC); until then joins by time go wrong, and labels beyond join_skew_s find nothing: raise it for the while.",
        {"outside_ratio": share, "hits": skew.hits, "offset_ns": skew.offset_ns, "tolerated_ns": TOLERATED_NS},
    )


def _ahead(service: str, arrival: ArrivalFigures) -> Complaint | None:
    spans_ns = arrival.last_span_ns - arrival.now_ns
    profiles_ns = max(arrival.profiles_ahead_ns, arrival.last_profile_ns - arrival.now_ns)
    ahead_ns = max(spans_ns, profiles_ns)
    if ahead_ns < AHEAD_NS:
        return None
    whose = "spans" if spans_ns >= profiles_ns else "profiles"
    return Complaint(
        "clock-ahead",
        service,
        Severity.MEDIUM,
        f"Its {whose} end {human(ahead_ns, 'nanoseconds')} after they were received.",
        "Set the clock of the sender (NTP or chrony); if the senders agree with each other, the clock of this machine.",
        {"spans_ahead_ns": spans_ns, "profiles_ahead_ns": profiles_ns},
    )
