"""Where the wall time of one span went: parts that add up to it.

The span's interval is cut by its children first: the time in which a child in the same service ran, the time in which
only calls to elsewhere ran, and the span's own time. Own time is then explained by samples, as far as they reach:

- Samples of a span whose SDK labels local roots only include the work of its descendants on the same thread. Of that
  work the span keeps the share that its own time has in the time in which it or they were at work:
  ``own / (own + busy)``. Spans that call elsewhere are taken to wait; only CPU time that one thread cannot have spent
  otherwise is put down to them. Off-CPU samples wait for calls first, and only what is beyond that is shared out.
- Being blocked on a lock is off-CPU time too: what lock samples explain is taken off the off-CPU samples.
- Where that comes to more than the span's own time, because several threads worked or by sampling error, all of it is
  scaled down to fit, each kind by the same factor. What is left over otherwise is unexplained.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import polars as pl
from scipy.special import gammaincinv

from correlate.joins.activity import self_intervals
from correlate.joins.scope import descends_from, wall_ns
from correlate.model.answers import SpanInfo

_CALLS_ELSEWHERE: Final = (3, 4)  # OTLP SpanKind CLIENT and PRODUCER
_TAIL: Final = 0.025  # of a 95 % interval


class Kind(StrEnum):
    """What samples may tell of a span's time."""

    CPU = "cpu"
    GC = "gc"
    LOCK = "lock"
    OFF_CPU = "off_cpu"
    WALL = "wall"


@dataclass(frozen=True, slots=True)
class Seen:
    """Samples of one kind that were given to the span alone.

    Attributes:
        time_ns: what they add up to, of all threads.
        samples: how many hits they are; 0 when the profiler ran but never hit.
        period_ns: what one hit stands for, where there are none; 0: not known.
        covers_children: whether the work of descendants on the same thread is among them.
    """

    time_ns: float
    samples: int
    period_ns: int = 0
    covers_children: bool = False


@dataclass(frozen=True, slots=True)
class Times:
    """A span's wall time, cut by its children.

    Attributes:
        own_ns: no child ran.
        children_ns: a child in the same service ran.
        remote_ns: only calls to elsewhere ran: clients, producers, children in other services.
        busy_ns: of the time beside `own_ns`, that in which a descendant in the same service was at work itself.
        calling_ns: of the time beside these two, that in which such a one called elsewhere and nothing is known to
            have run there.
    """

    own_ns: int
    children_ns: int
    remote_ns: int
    busy_ns: int
    calling_ns: int = 0

    @property
    def wall_ns(self) -> int:
        """All of it."""
        return self.own_ns + self.children_ns + self.remote_ns

    @property
    def own_share(self) -> float:
        """What the span keeps of work that may be its descendants'."""
        return self.own_ns / max(1, self.own_ns + self.busy_ns)


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the wall time.

    Attributes:
        name: ``on_cpu``, ``gc``, ``lock``, ``off_cpu``, ``children``, ``remote`` or ``unexplained``.
        time_ns: how long.
        low_ns: of ``on_cpu`` (with ``gc``), the lower end of the 95 % interval of the sampling error, else None.
        high_ns: its upper end.
    """

    name: str
    time_ns: int
    low_ns: int | None = None
    high_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Breakdown:
    """Where the time went.

    Attributes:
        parts: they add up to the wall time to the nanosecond.
        cpu_ns: CPU time of all threads that the samples show, unscaled; None without CPU samples.
        cpu_in_children_ns: the part of it that is put down to descendants; it lies within ``children`` and ``remote``.
        parallelism: threads on the CPU on average while the span (or who shares its samples) ran; above 1 several
            threads worked. None without CPU samples.
        scale: what samples were multiplied by to fit into the span's own time; 1: they fit.
    """

    parts: tuple[Part, ...]
    cpu_ns: int | None
    cpu_in_children_ns: int | None
    parallelism: float | None
    scale: float


def times(span: SpanInfo, spans: pl.DataFrame) -> Times:
    """Cut a span's interval by its children.

    Args:
        span: the span.
        spans: the SPANS rows of its trace.
    """
    tree = spans.filter(pl.Series(descends_from(spans, span.span))).with_row_index("row")
    root = tree.filter(pl.col("span") == span.span)["row"][0]
    inside = (pl.col("service") == span.service) & ~pl.col("kind").is_in(_CALLS_ELSEWHERE)
    home = tree.filter(inside | (pl.col("row") == root))
    home = home.filter(pl.Series(descends_from(home, span.span)))
    calls = tree.filter((pl.col("service") == span.service) & pl.col("parent").is_in(home["span"].implode()))
    pieces = _within(self_intervals(tree.drop("row")), span)
    own_ns = _length(pieces.filter(pl.col("row") == root))
    at_work = _length(pieces.filter(pl.col("row").is_in(home["row"].implode())))
    at_home = _length(pieces.filter(pl.col("row").is_in(pl.concat([home["row"], calls["row"]]).implode())))
    children = home.filter((pl.col("parent") == span.span) & (pl.col("span") != span.span))
    ends = children.select("start_ns", end_ns=pl.col("start_ns") + pl.col("duration_ns"))
    children_ns = _length(_within(ends, span))
    remote_ns = span.duration_ns - own_ns - children_ns
    return Times(own_ns, children_ns, remote_ns, at_work - own_ns, at_home - at_work)


def children_of(span: SpanInfo, spans: pl.DataFrame, limit: int) -> pl.DataFrame:
    """The children of a span that ran longest within it.

    Columns span, service, name, kind, start_ns, duration_ns, inside_ns (the part within the span) and remote (whether
    it counts as a call to elsewhere). They may overlap each other.
    """
    remote = (pl.col("service") != span.service) | pl.col("kind").is_in(_CALLS_ELSEWHERE)
    end = pl.min_horizontal(pl.col("start_ns") + pl.col("duration_ns"), pl.lit(span.end_ns))
    inside = (end - pl.max_horizontal("start_ns", pl.lit(span.start_ns))).clip(0)
    mine = spans.filter((pl.col("parent") == span.span) & (pl.col("span") != span.span))
    columns = ("span", "service", "name", "kind", "start_ns", "duration_ns")
    listed = mine.select(*columns, inside_ns=inside, remote=remote)
    return listed.sort("inside_ns", "start_ns", descending=[True, False]).head(limit)


def breakdown(found: Times, seen: Mapping[Kind, Seen]) -> Breakdown:
    """Explain a span's time by samples; see the top of the module for the rules.

    Args:
        found: its interval, cut by its children.
        seen: what there is of samples, each given to the span alone. Garbage collection is a part of the CPU samples.
            Wall-clock samples stand in for off-CPU samples where there are none, less the CPU samples.
    """
    cpu = _own_cpu(seen.get(Kind.CPU), found)
    lock = _own(seen.get(Kind.LOCK), found)
    off_cpu = max(0.0, _waited(seen, found) - lock)
    known = cpu + lock + off_cpu
    scale = min(1.0, found.own_ns / known) if known else 1.0
    gc = cpu * _collecting(seen)
    explained = [
        Part("on_cpu", int((cpu - gc) * scale), *_interval(seen.get(Kind.CPU), found, scale)),
        Part("gc", int(gc * scale)),
        Part("lock", int(lock * scale)),
        Part("off_cpu", int(off_cpu * scale)),
    ]
    rest = found.own_ns - sum(part.time_ns for part in explained)
    spans = [Part("children", found.children_ns), Part("remote", found.remote_ns), Part("unexplained", rest)]
    return Breakdown((*explained, *spans), *_cpu_facts(seen.get(Kind.CPU), found), scale)


def _own_cpu(cpu: Seen | None, found: Times, hits: float | None = None) -> float:
    """What of CPU samples is the span's own, nanoseconds; with `hits`, had there been so many."""
    if cpu is None:
        return 0.0
    hit_ns = cpu.time_ns / cpu.samples if cpu.samples else cpu.period_ns
    time_ns = cpu.time_ns if hits is None else hits * hit_ns
    if not cpu.covers_children:
        return time_ns
    at_work = found.own_ns + found.busy_ns
    everywhere = time_ns * found.own_ns / max(1, at_work + found.calling_ns)
    return max(min(time_ns, at_work) * found.own_share, everywhere)


def _collecting(seen: Mapping[Kind, Seen]) -> float:
    """The part of the CPU samples that collected garbage."""
    cpu, gc = seen.get(Kind.CPU), seen.get(Kind.GC)
    return min(1.0, gc.time_ns / cpu.time_ns) if cpu and gc and cpu.time_ns else 0.0


def _own(seen: Seen | None, found: Times) -> float:
    """What of some samples is the span's own, nanoseconds."""
    if seen is None:
        return 0.0
    return seen.time_ns * (found.own_share if seen.covers_children else 1.0)


def _waited(seen: Mapping[Kind, Seen], found: Times) -> float:
    """The time off the CPU that is the span's own, nanoseconds."""
    off_cpu = seen.get(Kind.OFF_CPU) or _off_cpu_by_wall(seen)
    if off_cpu is None:
        return 0.0
    if not off_cpu.covers_children:
        return off_cpu.time_ns
    elsewhere = found.wall_ns - found.own_ns - found.busy_ns
    return max(0.0, off_cpu.time_ns - elsewhere) * found.own_share


def _off_cpu_by_wall(seen: Mapping[Kind, Seen]) -> Seen | None:
    """Threads that were there and not on the CPU were off it; needs both kinds of samples."""
    wall, cpu = seen.get(Kind.WALL), seen.get(Kind.CPU)
    if wall is None or cpu is None:
        return None
    return Seen(max(0.0, wall.time_ns - cpu.time_ns), wall.samples, covers_children=wall.covers_children)


def _interval(cpu: Seen | None, found: Times, scale: float) -> tuple[int | None, int | None]:
    """The 95 % interval of the span's own CPU time for a Poisson count of hits (Garwood 1936), within its own time."""
    if cpu is None or not (cpu.samples or cpu.period_ns):
        return None, None
    low = float(gammaincinv(cpu.samples, _TAIL)) if cpu.samples else 0.0
    high = float(gammaincinv(cpu.samples + 1, 1 - _TAIL))
    limits = [int(_own_cpu(cpu, found, hits) * scale) for hits in (low, high)]
    return min(found.own_ns, limits[0]), min(found.own_ns, limits[1])


def _cpu_facts(cpu: Seen | None, found: Times) -> tuple[int | None, int | None, float | None]:
    """CPU time in all, the part of it in descendants, and how many threads that was."""
    if cpu is None:
        return None, None, None
    ran_ns = found.own_ns + (found.busy_ns + found.calling_ns if cpu.covers_children else 0)
    in_children = int(cpu.time_ns) - int(_own_cpu(cpu, found))
    return int(cpu.time_ns), in_children, cpu.time_ns / ran_ns if ran_ns else None


def _within(intervals: pl.DataFrame, span: SpanInfo) -> pl.DataFrame:
    """Intervals clipped to a span, without those outside."""
    clipped = intervals.with_columns(
        start_ns=pl.max_horizontal("start_ns", pl.lit(span.start_ns)),
        end_ns=pl.min_horizontal("end_ns", pl.lit(span.end_ns)),
    )
    return clipped.filter(pl.col("end_ns") > pl.col("start_ns"))


def _length(intervals: pl.DataFrame) -> int:
    """Length of the union of some intervals."""
    return wall_ns(intervals.select("start_ns", duration_ns=pl.col("end_ns") - pl.col("start_ns")))
