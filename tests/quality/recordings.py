"""Recorded traffic of a real service with its labels hidden: what do joins without labels make of it?"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from correlate.demo import traffic
from correlate.formats import registry
from correlate.formats.inflate import GZIP_MAGIC, gunzip
from correlate.joins import process
from correlate.model.payload import PayloadKind, RawPayload
from correlate.tables.symbols import Symbols
from correlate.tables.tables import Tables, concat
from tests.conftest import SHARED_DATA
from tests.quality.mixtures import Mixture, solve
from tests.quality.report import Row
from tests.truth.simulate import CPU
from tests.truth.world import I64

FOLDER = SHARED_DATA / "recorded-clients"
NAMES = {"varying load": "checkout-varying.jsonl.gz", "steady load": "checkout.jsonl.gz"}

_IDS = ("trace_hi", "trace_lo", "span")


def score(seeds: Sequence[int]) -> Iterable[Row]:
    """Unmixing and sharing out of what real clients sent; nothing here is random."""
    for condition, name in NAMES.items():
        path = FOLDER / name
        if path.is_file():
            yield _row(condition, load(path))
        else:
            yield Row("recording", condition, f"needs {name} in shared/data beside the repository")


def _row(condition: str, mixed: Mixture) -> Row:
    solved = solve(mixed)
    parts = [
        f"{name}: {'refused' if each.unmixed is None else f'{each.unmixed:.3f}'} (shared out {each.shared:.3f})"
        for name, each in zip(mixed.names, solved, strict=True)
    ]
    told = [each for each in solved if each.unmixed is not None]
    better = all(each.unmixed < each.shared for each in told if each.unmixed is not None)
    return Row("recording", condition, "; ".join(parts), "better than shared out", better if told else None)


def load(path: Path) -> Mixture:
    """Read a recording and take the labels off its CPU samples."""
    tables = concat(_decoded(each) for each in traffic.read(path))
    cpu = tables.series.filter(pl.col("type") == CPU)
    samples = tables.samples.filter(pl.col("series").is_in(cpu["series"].implode()))
    resources = tables.series.filter(pl.col("series").is_in(tables.spans["series"].unique().implode()))
    found = process.identify(resources, cpu)
    spans = tables.spans.join(found.spans, on="series", how="left", maintain_order="left")
    names, of_span = _operations(spans)
    blank = samples.with_columns(*(pl.lit(0, pl.Int64).alias(name) for name in _IDS), evidence=pl.lit(0, pl.Int8))
    return Mixture(
        blank.join(found.samples, on="series", how="left", maintain_order="left"),
        spans,
        names,
        of_span,
        _owners(samples, spans, of_span),
        _leaves(tables, samples),
    )


def _decoded(request: traffic.Recorded) -> Tables:
    kind = PayloadKind.OTLP_TRACES if request.carries_spans else PayloadKind.PYROSCOPE_PUSH
    body = gunzip(request.body) if request.body.startswith(GZIP_MAGIC) else request.body
    return registry.read(RawPayload(kind, body, received_ns=round(request.received_at_s * 1e9)))


def _operations(spans: pl.DataFrame) -> tuple[list[str], I64]:
    """Names of the root spans, and which of them each span serves, -1 where its root is not there."""
    trace = ["trace_hi", "trace_lo"]
    roots = spans.filter(pl.col("parent") == 0).select(*trace, operation="name").unique(trace)
    named = spans.select(trace).join(roots, on=trace, how="left", maintain_order="left")["operation"]
    names = sorted(roots["operation"].unique().to_list())
    codes = named.replace_strict(names, list(range(len(names))), default=-1, return_dtype=pl.Int64)
    return names, codes.to_numpy()


def _owners(samples: pl.DataFrame, spans: pl.DataFrame, of_span: I64) -> I64:
    """The operation that each sample's label leads to, -1 without one."""
    known = spans.select(*_IDS, operation=pl.Series(of_span))
    found = samples.select(_IDS).join(known, on=list(_IDS), how="left", maintain_order="left")
    return found["operation"].fill_null(-1).to_numpy()


def _leaves(tables: Tables, samples: pl.DataFrame) -> I64:
    """A number for the innermost function of each sample."""
    symbols = Symbols.build(tables.stacks, tables.frames)
    last = symbols.items[symbols.offsets[1:] - 1]
    numbers = symbols.names.rank("dense").to_numpy().astype(np.int64)
    return numbers[last[symbols.rows_of(samples["stack"].to_numpy())]]
