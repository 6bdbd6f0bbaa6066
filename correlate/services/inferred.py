"""Samples without names, given to the spans of one trace by thread, by time, or by their local root's samples."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from correlate.joins import inherit, scope, thread_time, window
from correlate.joins.given import Given, Refused
from correlate.joins.scope import InScope
from correlate.model.answers import Confidence, Method, Scope, SpanInfo
from correlate.model.profile_type import ProfileType
from correlate.model.queries import TimeRange
from correlate.services.evidence import ROWS, Found
from correlate.services.exact_evidence import WITH_TIMES, ExactEvidence
from correlate.services.scenes import Scene, Scenes
from correlate.tables.hashing import hash_one
from correlate.tables.rounding import whole
from correlate.units import to_base

Bools = npt.NDArray[np.bool_]

STRONGEST_FIRST = (Method.THREAD_TIME, Method.WINDOW)
"""Joins of single samples without names."""


class Inferred:
    """Answers for spans that no sample names, and says how sure it is; on doubt it refuses."""

    def __init__(self, scenes: Scenes, exact: ExactEvidence) -> None:
        self._scenes = scenes
        self._exact = exact

    def of_trace(
        self, root: SpanInfo, asked: InScope, trace: pl.DataFrame, types: list[str], method: Method
    ) -> Found | Refused:
        """Give samples to the spans in scope.

        Where any method will do, samples that name another span are left to that span; where one is asked for by
        name, it is applied to all samples as if none had a name.

        Args:
            root: the span asked for.
            asked: it and what else is in scope.
            trace: all SPANS rows of the trace.
            types: profile type ids.
            method: one method, or `Method.AUTO`.
        """
        refused = Refused("no sample of the services was taken while these spans ran")
        for text in types:
            if method is Method.AUTO:
                inherited = self._inherited(root, asked, trace, text)
                if isinstance(inherited, Found):
                    return inherited
                refused = inherited or refused
            found = self._unnamed(asked, text, method)
            if isinstance(found, Found):
                return found
            refused = found or refused
        return refused

    def whole_process(self, asked: InScope, types: list[str]) -> Found | Refused:
        """Everything that the processes of the spans did meanwhile, whoever it was for."""
        for text in types:
            loaded = self._scenes.load(asked.services, hash_one(text), asked.window)
            scene = loaded.within(asked.window).of_processes(in_trace(loaded.spans, asked))
            if len(scene.samples):
                return self._everything(scene, asked, text)
        return Refused("no sample of the services was taken while these spans ran")

    def _inherited(self, root: SpanInfo, asked: InScope, trace: pl.DataFrame, text: str) -> Found | Refused | None:
        """The share of the exact samples of the local root; None where it has none, or is what was asked for."""
        above = scope.local_root(trace, root.span)
        if above is None or above == root.span or len(asked.ids) == len(trace):
            return None
        at_root = scope.in_scope(asked.trace, trace, above, Scope.SPAN)
        named = self._exact.samples(at_root, [text], columns=WITH_TIMES)
        if named.is_empty():
            return None
        named = named.filter((pl.col("trace_lo") == 0) | (pl.col("trace_lo") == asked.trace.lo))
        given = inherit.inherit(named, trace, trace["span"].is_in(asked.ids).to_numpy())
        if isinstance(given, Refused):
            return given
        return _found(_Joined(named, trace, given), text, _method_of(given), 0)

    def _unnamed(self, asked: InScope, text: str, method: Method) -> Found | Refused | None:
        scene = self._scenes.load(asked.services, hash_one(text), asked.window)
        if scene.samples.is_empty():
            return None
        if method is Method.AUTO:
            nameless = scene.without_names()
            if nameless.samples["value"].sum() * 2 < scene.samples["value"].sum():
                return Refused("most samples of the service name the span they belong to, and none names this one")
            scene = nameless
        chosen = in_trace(scene.spans, asked)
        refused: Refused | None = None
        for each in STRONGEST_FIRST if method is Method.AUTO else [method]:
            given = joined(each, scene, chosen, text)
            if isinstance(given, Given):
                rest = given.nobodys(scene.values_within(asked.window))
                return _found(_Joined(scene.samples, scene.spans, given), text, each, round(rest))
            refused = given
        return refused

    def _everything(self, scene: Scene, asked: InScope, text: str) -> Found | Refused:
        samples = scene.samples
        given = joined(Method.WINDOW, scene, in_trace(scene.spans, asked), text)
        mine = float((samples["value"].to_numpy() * given.share).sum()) if isinstance(given, Given) else 0.0
        total = max(1, int(samples["value"].sum()))
        everything = Given(
            np.ones(len(samples)),
            np.full(len(samples), -1),
            1 - min(1.0, mine / total),
            f"everything the process did meanwhile, for {len(scene.spans):,} spans; whose it was is not asked",
        )
        return _found(_Joined(samples, scene.spans, everything), text, Method.WINDOW, 0)


@dataclass(frozen=True, slots=True)
class _Joined:
    samples: pl.DataFrame
    spans: pl.DataFrame
    given: Given


def in_trace(spans: pl.DataFrame, asked: InScope) -> Bools:
    """Which SPANS rows are in scope."""
    trace_hi, trace_lo = asked.trace
    same = (pl.col("trace_hi") == trace_hi) & (pl.col("trace_lo") == trace_lo)
    return spans.select(same & pl.col("span").is_in(asked.ids.tolist())).to_series().to_numpy()


def given_rows(samples: pl.DataFrame, spans: pl.DataFrame, given: Given) -> pl.DataFrame:
    """What was given, added up by stack and owner: columns service and `ROWS`, in whole numbers that keep the sum."""
    owner = pl.Series("owner", given.owner)
    names = (
        spans.select("span", "trace_hi", "trace_lo")
        .with_row_index("owner")
        .with_columns(pl.col("owner").cast(pl.Int64))
    )
    sums = (
        samples.lazy()
        .select("service", "stack", "value", "weight", owner=owner, share=pl.Series("share", given.share))
        .filter(pl.col("share") > 0)
        .group_by("service", "stack", "owner")
        .agg(pl.col("value", "weight").cast(pl.Float64).mul(pl.col("share")).sum())
        .collect()
        .sort("stack", "owner")
    )
    rounded = sums.with_columns(
        pl.Series("value", whole(sums["value"].to_numpy())), pl.Series("weight", whole(sums["weight"].to_numpy()))
    )
    named = rounded.join(names, on="owner", how="left", maintain_order="left")
    return named.select("service", *(pl.col(name).fill_null(0) for name in ROWS)).filter(pl.col("value") != 0)


def _found(joined: _Joined, text: str, method: Method, unattributed: int) -> Found | Refused:
    rows = given_rows(joined.samples, joined.spans, joined.given)
    if rows.is_empty():
        return Refused("less than one sample falls to these spans: ask for their operation instead")
    return Found(
        ProfileType.parse(text),
        rows,
        method,
        {method.value: int(rows["value"].sum())},
        Confidence("inferred", joined.given.reason, joined.given.error_bound),
        unattributed,
    )


def joined(method: Method, scene: Scene, chosen: Bools, text: str, floor: float = window.FLOOR) -> Given | Refused:
    """Give the chosen spans of a scene their samples by one method.

    Args:
        method: `Method.THREAD_TIME` or `Method.WINDOW`.
        scene: samples and spans.
        chosen: which of the spans are asked for.
        text: the samples' profile type id.
        floor: the least certainty that is given at all.
    """
    if method is Method.THREAD_TIME:
        return _told(scene, thread_time.join(scene.samples, scene.spans, chosen, scene.margin_ns))
    unit, factor = to_base(ProfileType.parse(text).sample_unit)
    ns_per_value = float(factor) if unit == "nanoseconds" else None
    given = window.share(scene.samples, scene.spans, chosen, ns_per_value, scene.processes.lumped, floor)
    return _told(scene, given)


def _told(scene: Scene, given: Given | Refused) -> Given | Refused:
    """Say what was done about the clocks."""
    if isinstance(given, Refused) or not scene.correction:
        return given
    return replace(given, reason=f"{given.reason}; {scene.correction}")


def nobodys(method: Method, scene: Scene, text: str, window: TimeRange) -> float:
    """The value in a window that a join gives to no span at all, where it gives the chosen ones nothing."""
    given = joined(method, scene, np.ones(len(scene.spans), bool), text, 0.0)
    values = scene.values_within(window)
    return given.nobodys(values) if isinstance(given, Given) else float(values.sum())


def _method_of(given: Given) -> Method:
    return Method.THREAD_TIME if bool((given.owner >= 0).any()) else Method.WINDOW
