"""Which spans of a trace a question is about, and what samples may call them."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from correlate.model.answers import Scope, SpanInfo
from correlate.model.ids import TraceId
from correlate.model.queries import TimeRange
from correlate.tables.hexadecimal import from_hex

I64 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class InScope:
    """The spans a question is about.

    Attributes:
        spans: their SPANS rows.
        ids: their span ids.
        referred_ids: ids other than their own that their attribute ``profile.id`` says samples carry.
        referred_profiles: 16-byte profile ids the attribute names, shape (n, 2).
        whole_trace: whether samples that name the trace but no span belong too.
    """

    trace: TraceId
    spans: pl.DataFrame
    ids: I64
    referred_ids: I64
    referred_profiles: I64
    whole_trace: bool

    @property
    def services(self) -> list[str]:
        """The services of the spans, each once, sorted."""
        return sorted(self.spans["service"].unique().to_list())  # few, and a sort in Polars costs more than they do

    @property
    def window(self) -> TimeRange:
        """First start and last end."""
        starts = self.spans["start_ns"].to_numpy()
        return TimeRange(int(starts.min()), int((starts + self.spans["duration_ns"].to_numpy()).max()))


def find(spans: pl.DataFrame, span: int) -> SpanInfo | None:
    """The span with an id, out of the SPANS rows of its trace."""
    at = np.flatnonzero(spans["span"].to_numpy() == span)
    return span_info(spans.row(int(at[0]), named=True)) if len(at) else None


def span_info(row: dict[str, object]) -> SpanInfo:
    """One SPANS row as a value."""
    names = ("span", "parent", "service", "name", "kind", "status", "start_ns", "duration_ns", "profile_ref")
    return SpanInfo(TraceId(row["trace_hi"], row["trace_lo"]), **{name: row[name] for name in names})  # type: ignore[arg-type]  # a row is untyped


def in_scope(trace: TraceId, spans: pl.DataFrame, span: int, scope: Scope) -> InScope:
    """Choose the spans of a scope.

    Args:
        trace: the trace.
        spans: all SPANS rows of the trace.
        span: the span asked for; ignored for `Scope.TRACE`.
        scope: the span alone, the span with its descendants, or the whole trace.
    """
    if scope is Scope.SPAN:
        chosen = spans.filter(pl.col("span") == span)
    elif scope is Scope.SUBTREE:
        chosen = spans.filter(pl.Series(descends_from(spans, span)))
    else:
        chosen = spans
    ids = np.unique(chosen["span"].to_numpy())
    labels, profiles = _references(chosen["profile_ref"])
    return InScope(
        trace,
        chosen,
        ids,
        referred_ids=np.setdiff1d(labels, ids),
        referred_profiles=profiles,
        whole_trace=scope is Scope.TRACE,
    )


def _references(column: pl.Series) -> tuple[I64, I64]:
    """What the spans' ``profile.id`` may mean: label values, and 16-byte profile ids of shape (n, 2)."""
    texts = column.unique()
    if texts.to_list() == [""]:  # nearly every trace
        return np.zeros(0, np.int64), np.zeros((0, 2), np.int64)
    labels, profiles = from_hex(texts, 16)[:, 0], from_hex(texts, 32)
    return labels[labels != 0], profiles[profiles.any(axis=1)]


def descends_from(spans: pl.DataFrame, span: int) -> npt.NDArray[np.bool_]:
    """Mark a span and everything beneath it, by pointer doubling: log2(n) steps whatever the shape, cycles included."""
    up = _parent_rows(spans)
    reached = np.append(spans["span"].to_numpy() == span, False)
    for _ in range(len(spans).bit_length()):
        reached |= reached[up]
        up = up[up]
    return reached[:-1]


def local_root(spans: pl.DataFrame, span: int) -> int | None:
    """The nearest ancestor (or the span itself) whose parent is absent or in another service.

    That is where SDK bridges put their label. None when the span is not among `spans`.
    """
    up = _parent_rows(spans)
    services = np.append(spans["service"].rank("dense").to_numpy().astype(np.int64), -1)
    rows = np.arange(len(up))
    up = np.where((up == len(spans)) | (services[up] != services), rows, up)
    for _ in range(len(spans).bit_length()):
        up = up[up]
    ids = spans["span"].to_numpy()
    at = np.flatnonzero(ids == span)
    return int(ids[up[at[0]]]) if len(at) else None


def _parent_rows(spans: pl.DataFrame) -> I64:
    """The row of each span's parent, n where it is absent; one more entry, n itself, so that n points to n."""
    ids, parents = spans["span"].to_numpy(), spans["parent"].to_numpy()
    count = len(ids)
    order = np.argsort(ids, kind="stable")
    at = order[np.minimum(np.searchsorted(ids[order], parents), count - 1)]
    return np.append(np.where((ids[at] == parents) & (parents != 0), at, count), count)


def wall_ns(spans: pl.DataFrame) -> int:
    """Length of the union of the spans' intervals, nanoseconds."""
    starts = spans["start_ns"].to_numpy()
    order = np.argsort(starts, kind="stable")
    starts = starts[order]
    ends = np.maximum.accumulate((spans["start_ns"] + spans["duration_ns"]).to_numpy()[order])
    covered_until = np.concatenate([starts[:1], ends[:-1]])
    return int(np.maximum(ends - np.maximum(starts, covered_until), 0).sum())
