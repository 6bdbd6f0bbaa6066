"""Simulated worlds as joins see them, and as the truth has them."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from correlate.joins import process
from tests.truth.simulate import Scene, Truth, simulate
from tests.truth.world import F64, I64, Bools, World

ASKED = 30
"""For how many single requests of a world joins are asked."""


@dataclass(frozen=True)
class Case:
    """A world, observed.

    Attributes:
        scene: the whole of it.
        samples: SAMPLES rows, and the process that the resources tell.
        spans: SPANS rows and process.
        owner: for each sample the row of its span, below 0 where it is none of these.
    """

    scene: Scene
    samples: pl.DataFrame
    spans: pl.DataFrame
    owner: I64

    @property
    def truth(self) -> Truth:
        """Who owns what."""
        return self.scene.truth

    @cached_property
    def kind_of_span(self) -> I64:
        """The row of each span's name in `truth.names`."""
        names = pl.DataFrame({"name": self.truth.names}).with_row_index("number")
        return self.spans.join(names, on="name", how="left", maintain_order="left")["number"].cast(pl.Int64).to_numpy()

    @cached_property
    def operation_of_span(self) -> I64:
        """The operation that each span serves."""
        return self.scene.world.kinds.root[self.kind_of_span]

    @cached_property
    def root_of_span(self) -> I64:
        """The row of the root of each span's trace."""
        trace = ["trace_hi", "trace_lo"]
        numbered = self.spans.select(*trace, "parent").with_row_index("root")
        roots = numbered.filter(pl.col("parent") == 0).drop("parent")
        found = self.spans.select(trace).join(roots, on=trace, how="left", maintain_order="left")
        return found["root"].cast(pl.Int64).to_numpy()

    @cached_property
    def has_children(self) -> Bools:
        """Which spans are some other's parent."""
        return self.spans["span"].is_in(self.spans["parent"].unique().implode()).to_numpy()

    @property
    def host_of_sample(self) -> I64:
        """The host that took each sample; of whole cases only."""
        return self.scene.sample_process % self.scene.world.hosts

    @cached_property
    def value(self) -> F64:
        """CPU time of each sample, nanoseconds."""
        return self.samples["value"].to_numpy().astype(np.float64)

    def owned_by(self, chosen: Bools) -> Bools:
        """Which samples belong to some spans."""
        return np.append(chosen, [False, False])[self.owner]  # -1 and -2 take the end

    def true_ns(self, chosen: Bools) -> float:
        """CPU time of the samples that belong to some spans, nanoseconds."""
        return float(self.value[self.owned_by(chosen)].sum())

    def cut(self, spans: I64, samples: I64) -> "Case":
        """Some of the spans and samples, by row."""
        row_of = np.full(len(self.spans) + 2, -1)
        row_of[spans] = np.arange(len(spans))
        return Case(self.scene, self.samples[samples], self.spans[spans], row_of[self.owner[samples]])


def case(world: World) -> Case:
    """Run a world and tell its processes apart as the product does."""
    scene = simulate(world)
    series = scene.tables.series
    found = process.identify(_among(series, scene.spans), _among(series, scene.samples))
    return Case(scene, _coded(scene.samples, found.samples), _coded(scene.spans, found.spans), scene.truth.owner)


def some_roots(observed: Case, eligible: Bools, count: int = ASKED) -> list[int]:
    """Rows of some root spans, the same for the same world."""
    roots = np.flatnonzero((observed.root_of_span == np.arange(len(observed.spans))) & eligible)
    rng = np.random.default_rng(observed.scene.world.seed)
    return sorted(rng.choice(roots, min(count, len(roots)), replace=False).tolist())


def _among(series: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    return series.filter(pl.col("series").is_in(rows["series"].unique().implode()))


def _coded(rows: pl.DataFrame, codes: pl.DataFrame) -> pl.DataFrame:
    return rows.drop("process").join(codes, on="series", how="left", maintain_order="left")
