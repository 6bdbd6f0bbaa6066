"""Why a span has no samples: the known reasons, told apart."""

from dataclasses import dataclass

from correlate.joins.coverage import expected_samples
from correlate.model.answers import Reason, SpanInfo
from correlate.model.ids import format_span_id
from correlate.model.profile_type import ProfileType


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known about the profiler of a span's service.

    Attributes:
        types: profile type ids the service has delivered, ever.
        profile_type: the one asked for, None when the service never delivered it.
        wanted: what was asked for, in the asker's words.
        last_profile_end_ns: end of the service's last profile of that type.
        overlapping: how many profiles overlap the span.
        period: the sampling period in its own unit, 0 if unknown.
        labelled_root: the local root, when that has samples and is not the span itself.
        mostly_named: whether most of what the overlapping profiles hold names a span or a trace.
        refused: why joins without names gave nothing; of an exact method asked for by name, what other evidence there
            is, "" if none.
        by_name: whether one method was asked for.
    """

    types: list[str]
    profile_type: ProfileType | None
    wanted: str
    last_profile_end_ns: int
    overlapping: int
    period: int
    labelled_root: int | None
    mostly_named: bool = False
    refused: str = ""
    by_name: bool = False


def explain(span: SpanInfo, facts: Facts) -> tuple[Reason, str]:
    """The reason, and a sentence that says what to do about it."""
    if facts.profile_type is None:
        return Reason.NO_PROFILER, _no_profiler(span, facts)
    if facts.labelled_root is not None and not (facts.by_name and facts.refused):
        root = format_span_id(facts.labelled_root)
        return Reason.ON_ROOT, f"the SDK labels local root spans only: ask for the profile of {root}, which has samples"
    if facts.overlapping == 0:
        return _nothing_overlaps(span, facts)
    expected = expected_samples(span.duration_ns, facts.period, facts.profile_type)
    if expected is not None and expected < 1:
        return Reason.TOO_SHORT, (
            f"the span lasted {span.duration_ns / 1e6:.3g} ms and the profiler takes a sample every "
            f"{span.duration_ns / 1e6 / expected:.3g} ms: look at its operation instead"
        )
    if facts.last_profile_end_ns < span.end_ns:
        return _late(facts)
    return _seen(facts, expected or 0)


def _seen(facts: Facts, expected: float) -> tuple[Reason, str]:
    """The profiler ran, and nothing of what it saw can be given to the span."""
    if facts.refused and (facts.by_name or not facts.mostly_named):
        return Reason.TOO_WEAK, facts.refused
    return Reason.DROPPED, (
        f"the profiler ran during the span but no sample names it (about {expected:.0f} were possible): "
        "it was waiting, its trace was not sampled, or its threads carry no labels"
    )


def _no_profiler(span: SpanInfo, facts: Facts) -> str:
    if not facts.types:
        return f"service {span.service!r} has never sent a profile: attach a profiler, or check that the names agree"
    return f"service {span.service!r} has no profile of type {facts.wanted!r}, only {', '.join(sorted(facts.types))}"


def _nothing_overlaps(span: SpanInfo, facts: Facts) -> tuple[Reason, str]:
    if facts.last_profile_end_ns < span.end_ns:
        return _late(facts)
    return Reason.NO_PROFILER, f"the profiler of service {span.service!r} delivered nothing for the time of this span"


def _late(facts: Facts) -> tuple[Reason, str]:
    return Reason.NOT_ARRIVED, (
        "the service's last profile ends before this span does; agents upload every 10 to 15 s: try again shortly"
        if facts.last_profile_end_ns
        else "no profile of this service has arrived yet: try again shortly"
    )
