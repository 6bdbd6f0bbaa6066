"""The exact join: every labelled sample, and no other."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from correlate.joins import exact, scope
from correlate.model.answers import Method, Scope
from correlate.model.ids import TraceId
from tests.quality.report import Row
from tests.quality.scenes import Case, case, some_roots
from tests.truth.world import I64, World

_WORLD = World(duration_s=40.0, processes=2, labels="every")
_NO_TRACE = "labels without trace ids"
CONDITIONS = {
    "every span labelled": _WORLD,
    "roots labelled": _WORLD.but(labels="root"),
    "half the labels lost": _WORLD.but(label_loss=0.5),
    "a tenth of the traces stored": _WORLD.but(trace_sampling=0.1),
    "64 at a time, hops, no timestamps": _WORLD.but(concurrency=64.0, hop_ratio=0.5, timestamps=False, duration_s=10.0),
    _NO_TRACE: _WORLD,
}


def score(seeds: Sequence[int]) -> Iterable[Row]:
    """Samples missed and samples given wrongly; both must be none."""
    for condition, world in CONDITIONS.items():
        cases = [case(world.but(seed=seed)) for seed in seeds]
        if condition == _NO_TRACE:
            cases = [_without_traces(each) for each in cases]
        yield _row(condition, [_counts(_given(each), _true(each)) for each in cases])
    cases = [case(_WORLD.but(seed=seed)) for seed in seeds]
    yield _row("requests asked for one by one", [_one_by_one(each) for each in cases])


def _row(condition: str, counts: Sequence[I64]) -> Row:
    every, missed, wrong = np.sum(counts, axis=0).tolist()
    return Row("label join", condition, f"{missed} missed, {wrong} wrong of {every:,}", "0 and 0", missed == wrong == 0)


def _without_traces(observed: Case) -> Case:
    samples = observed.samples.with_columns(trace_hi=pl.lit(0, pl.Int64), trace_lo=pl.lit(0, pl.Int64))
    return replace(observed, samples=samples)


def _true(observed: Case) -> I64:
    """The row of the stored span that each sample's label names, -1 without."""
    target = observed.owner if observed.scene.world.labels == "every" else observed.truth.root
    return np.where((observed.samples["evidence"].to_numpy() > 0) & (target >= 0), target, -1)


def _counts(given: I64, true: I64) -> I64:
    """How many samples there are to be given; how many of them were missed; how many were given wrongly."""
    return np.array([(true >= 0).sum(), ((true >= 0) & (given == -1)).sum(), ((given >= 0) & (given != true)).sum()])


def _given(observed: Case) -> I64:
    """The row of the span that each sample was given to, -1 where it was given to none."""
    samples, spans = observed.samples.with_row_index("row"), observed.spans
    found = exact.attribute_many(samples, spans, Method.AUTO)
    given = np.full(len(samples), -1)
    if found is not None:
        ids = ["trace_hi", "trace_lo", "span"]
        numbered = spans.select(ids).with_row_index("of")
        rows = found.rows.join(numbered, on=ids, how="left", maintain_order="left")
        given[rows["row"].to_numpy()] = rows["of"].cast(pl.Int64).to_numpy()
    return given


def _one_by_one(observed: Case) -> I64:
    """The counts of some requests, children included; a request's number stands for its spans."""
    counts = np.zeros(3, np.int64)
    samples, root_of = observed.samples.with_row_index("row"), np.append(observed.root_of_span, [-1, -1])
    for root in some_roots(observed, np.ones(len(observed.spans), bool)):
        rows = observed.spans[np.flatnonzero(observed.root_of_span == root)]
        trace = TraceId(*observed.spans.select("trace_hi", "trace_lo").row(root))
        asked = scope.in_scope(trace, rows, observed.spans["span"][root], Scope.SUBTREE)
        found = exact.attribute(samples, asked, [], Method.AUTO)
        given = np.full(len(samples), -1)
        if found is not None:
            given[found.rows["row"].to_numpy()] = root
        counts += _counts(given, np.where(root_of[_true(observed)] == root, root, -1))
    return counts
