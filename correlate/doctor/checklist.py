"""The checklist for production: what should be in place, whatever the data says.

It follows the checklist and the budgets of "OTLP Profiles" guides for production: 49 to 99 hits a second (below, short
work is missed; above, the profiler's own cost nears 5 % of the CPU, and 100 Hz marches in step with timers of 10 ms),
30 days of retention, detectors and tested alerts, a verified join, a verified export, dashboards, closed endpoints.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from correlate.doctor.complaint import percent
from correlate.doctor.endpoints import Endpoint, Reach, reach
from correlate.doctor.evidence import LOW_COVERAGE, MIN_HITS
from correlate.doctor.figures import ServiceFigures

LOWEST_RATE_HZ: Final = 49.0
HIGHEST_RATE_HZ: Final = 99.0
_ROUNDING_HZ: Final = 0.5  # periods are whole nanoseconds or microseconds

LONGEST_RETENTION_DAYS: Final = 3650.0
"""Ten years of profiles are no retention."""


class State(StrEnum):
    """How a point of the checklist stands."""

    OK = "ok"
    MISSING = "missing"
    NOT_APPLICABLE = "not applicable"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Item:
    """A point of the checklist.

    Attributes:
        name: lower case with dashes.
        title: what should be in place.
        state: how it stands.
        evidence: one sentence with what was seen.
        fix: what to do; empty where nothing is.
    """

    name: str
    title: str
    state: State
    evidence: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Forwarding:
    """One target that gets what came in.

    Attributes:
        target: its name.
        delivered_count: payloads it took since the process started.
        problem: why the last attempt failed, "" when it did not.
    """

    target: str
    delivered_count: int
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Practices:
    """How this installation is run; known to whoever composed it.

    Attributes:
        retention_days: how long data is kept.
        retention_is_set: whether somebody chose that number; else it is the default.
        detectors: names of the detectors that are on; None: there are none to switch on.
        alert_receivers: names of those who get alerts; None: alerts are not sent at all.
        receivers_tested: those of them that took a test alert.
        forwards: who gets what came in.
        grafana_url: where Grafana is; "": unknown.
        endpoints: pprof endpoints that are scraped.
    """

    retention_days: float = 30.0
    retention_is_set: bool = False
    detectors: tuple[str, ...] | None = None
    alert_receivers: tuple[str, ...] | None = None
    receivers_tested: tuple[str, ...] = ()
    forwards: tuple[Forwarding, ...] = ()
    grafana_url: str = ""
    endpoints: tuple[Endpoint, ...] = ()


def walk(practices: Practices, services: Sequence[ServiceFigures]) -> list[Item]:
    """The state of every point."""
    return [
        _rate(services),
        _retention(practices),
        _detectors(practices),
        _receivers(practices),
        _joins(services),
        _export(practices),
        _dashboards(practices),
        _endpoints(practices),
    ]


def _rate(services: Sequence[ServiceFigures]) -> Item:
    head = ("sampling-rate", f"CPU profilers take {LOWEST_RATE_HZ:.0f} to {HIGHEST_RATE_HZ:.0f} samples a second")
    rates = {each.service: 1e9 / each.period_ns for each in services if each.period_ns}
    if not rates:
        return Item(*head, State.UNKNOWN, "No profile says its sampling period.", "Send CPU profiles with a period.")
    off = {name: rate for name, rate in rates.items() if not _within(rate)}
    if not off:
        return Item(*head, State.OK, f"All of {len(rates)} services: {_rates(rates)}.")
    return Item(
        *head,
        State.MISSING,
        f"{len(off)} of {len(rates)} services: {_rates(off)}.",
        "Set 99 Hz where the agent lets you (pyroscope-io: sample_rate=99; eBPF profiler: -samples-per-second 99). "
        "Go's runtime is made for 100 Hz: that is near enough, at most it marches in step with timers of 10 ms.",
    )


def _within(rate_hz: float) -> bool:
    return LOWEST_RATE_HZ - _ROUNDING_HZ <= rate_hz <= HIGHEST_RATE_HZ + _ROUNDING_HZ


def _rates(rates: dict[str, float]) -> str:
    """At most five services with their rates."""
    said = [f"{name} {rate:.3g} Hz" for name, rate in sorted(rates.items())[:5]]
    return ", ".join([*said, *(["…"] if len(rates) > len(said) else [])])


def _retention(practices: Practices) -> Item:
    days = practices.retention_days
    chosen = "set" if practices.retention_is_set else "the default"
    head = ("retention", "Old data is deleted")
    if days > LONGEST_RETENTION_DAYS:
        return Item(*head, State.MISSING, f"retention_days is {days:g}.", "Set retention_days, for instance to 30.")
    return Item(*head, State.OK, f"retention_days is {days:g} ({chosen}).")


def _detectors(practices: Practices) -> Item:
    head = ("leak-detectors", "Memory and goroutine leaks are looked for")
    if practices.detectors:
        return Item(*head, State.OK, f"On: {', '.join(practices.detectors)}.")
    none = "correlate has no detectors configured." if practices.detectors is None else "All detectors are off."
    return Item(*head, State.MISSING, none, "Switch the leak detectors on; until then watch inuse_space and goroutine.")


def _receivers(practices: Practices) -> Item:
    head = ("alert-receivers", "Alerts reach somebody, and that was tried")
    receivers = practices.alert_receivers
    if not receivers:
        return Item(
            *head,
            State.MISSING,
            "No receiver of alerts is configured.",
            "List `receivers` and run `correlate alerts test`.",
        )
    untried = [name for name in receivers if name not in practices.receivers_tested]
    if untried:
        return Item(*head, State.MISSING, f"Never tested: {', '.join(untried)}.", "Run `correlate alerts test`.")
    return Item(*head, State.OK, f"Tested: {', '.join(receivers)}.")


def _joins(services: Sequence[ServiceFigures]) -> Item:
    head = ("joins-verified", "Profiles are joined to traces")
    shares = {
        each.service: each.labels.share(each.labels.attributed)
        for each in services
        if each.labels is not None and each.labels.hits >= MIN_HITS
    }
    if not shares:
        return Item(*head, State.UNKNOWN, "There are not enough samples to tell.", "Send spans and profiles.")
    best = max(shares, key=lambda name: shares[name])
    said = f"{percent(shares[best])} of the samples of {best!r} name a stored span"
    if shares[best] >= LOW_COVERAGE:
        return Item(*head, State.OK, f"{said}.")
    return Item(*head, State.MISSING, f"At best {said}.", "See the findings above: low-coverage says what is lost.")


def _export(practices: Practices) -> Item:
    head = ("export-verified", "What is passed on to other systems arrives there")
    if not practices.forwards:
        return Item(*head, State.NOT_APPLICABLE, "Nothing is passed on to other systems.")
    bad = [each for each in practices.forwards if each.problem or not each.delivered_count]
    if bad:
        said = "; ".join(f"{each.target}: {each.problem or 'nothing delivered yet'}" for each in bad)
        return Item(*head, State.MISSING, f"{said}.", "Check address and credentials of the target; see /metrics.")
    taken = ", ".join(f"{each.target} took {each.delivered_count:,} payloads" for each in practices.forwards)
    return Item(*head, State.OK, f"{taken}.")


def _dashboards(practices: Practices) -> Item:
    head = ("dashboards", "Dashboards show traces and profiles")
    if practices.grafana_url:
        return Item(*head, State.OK, f"Grafana is at {practices.grafana_url}.")
    return Item(*head, State.MISSING, "No Grafana is configured.", "Set grafana.url; deploy/ provisions datasources.")


def _endpoints(practices: Practices) -> Item:
    head = ("closed-endpoints", "pprof endpoints are not open to the world")
    if not practices.endpoints:
        return Item(*head, State.NOT_APPLICABLE, "No pprof endpoint is scraped.")
    by_reach = {each: [one.source for one in practices.endpoints if reach(one) is each] for each in Reach}
    if by_reach[Reach.OPEN]:
        names = ", ".join(sorted(by_reach[Reach.OPEN]))
        return Item(*head, State.MISSING, f"Open, as it seems: {names}.", "See open-pprof-endpoint above.")
    if by_reach[Reach.UNKNOWN]:
        names = ", ".join(sorted(by_reach[Reach.UNKNOWN]))
        return Item(
            *head, State.UNKNOWN, f"Cannot be told for {names}.", "Make sure that nobody else can reach /debug/pprof."
        )
    return Item(*head, State.OK, f"All {len(practices.endpoints)} are inside: loopback or private addresses.")
