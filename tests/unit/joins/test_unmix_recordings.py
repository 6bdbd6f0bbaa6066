"""Unmixing of what a real service sent, all labels hidden, against what the labels say."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from correlate.demo.traffic import read
from correlate.formats import inflate, registry
from correlate.joins.given import Refused
from correlate.joins.unmix import unmix
from correlate.joins.unmix_estimate import Estimate
from correlate.joins.unmix_result import Unmixed
from correlate.model.payload import PayloadKind, RawPayload
from correlate.tables.symbols import Symbols
from correlate.tables.tables import Tables, concat
from tests.unit.joins.mixtures import misplaced

NAMES = {0: "POST /checkout", 1: "GET /items", 2: "rules evaluate", 3: "validate cart", 4: "charge card"}
OPERATIONS = {"POST /checkout": [0, 3, 4], "GET /items": [1], "rules evaluate": [2]}
Load = Callable[[str], Tables]


@pytest.fixture
def load(shared_data: Path) -> Load:
    """Reads a recording of a client."""

    def tables(name: str) -> Tables:
        parts = []
        for request in read(shared_data / "recorded-clients" / name):
            kind = PayloadKind.OTLP_TRACES if request.carries_spans else PayloadKind.PYROSCOPE_PUSH
            packed = request.headers.get("content-encoding") == "gzip"
            body = inflate.gunzip(request.body) if packed else request.body
            parts.append(registry.read(RawPayload(kind, body, round(request.received_at_s * 1e9))))
        return concat(parts)

    return tables


def cpu(tables: Tables) -> tuple[pl.DataFrame, pl.DataFrame]:
    """CPU samples with the code of their window, and the windows."""
    of_cpu = tables.series.filter(pl.col("type").str.starts_with("process_cpu"))["type_id"].unique()
    samples = tables.samples.filter(pl.col("type").is_in(of_cpu.implode()))
    heads = (
        samples.select("profile", "time_ns", "duration_ns").unique("profile").sort("time_ns").with_row_index("window")
    )
    windows = heads.select(
        "profile",
        pl.col("window").cast(pl.Int64),
        process=pl.lit(0, pl.Int64),
        start_ns="time_ns",
        end_ns=pl.col("time_ns") + pl.col("duration_ns"),
    )
    return samples.join(windows.select("profile", "window"), on="profile"), windows.drop("profile")


def unmixed(tables: Tables) -> Unmixed | Refused:
    """Solve without any label: only times, stacks and values go in."""
    samples, windows = cpu(tables)
    counts = samples.group_by("window", "stack").agg(pl.col("value").sum(), pl.col("weight").cast(pl.Int64).sum())
    codes = {name: code for code, name in NAMES.items()}
    spans = tables.spans.with_columns(
        process=pl.lit(0, pl.Int64), operation=pl.col("name").replace_strict(codes, return_dtype=pl.Int64)
    )
    return unmix(counts, windows, spans, names=NAMES)


def leaf_of(tables: Tables, stacks: np.ndarray) -> np.ndarray:
    """The leaf function of each stack, as a code."""
    symbols = Symbols.build(tables.stacks, tables.frames)
    leaf = symbols.items[symbols.offsets[symbols.rows_of(stacks) + 1] - 1]
    return np.unique(symbols.names.gather(leaf).to_numpy(), return_inverse=True)[1]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_varying_load_is_unmixed(load: Load, operation: str) -> None:
    """Leaf functions are within 0.08 of what the labels say, and below the bound that is stated."""
    tables = load("checkout-varying.jsonl.gz")
    found = unmixed(tables)
    assert isinstance(found, Unmixed)
    estimate = found.estimate(np.array(OPERATIONS[operation]))
    assert isinstance(estimate, Estimate), estimate
    leaf = leaf_of(tables, found.stacks)
    roots = tables.spans.filter(pl.col("name") == operation)["span"].implode()
    labelled = cpu(tables)[0].filter(pl.col("span").is_in(roots))
    at = np.searchsorted(found.stacks, labelled["stack"].to_numpy())
    truth = np.bincount(leaf[at], labelled["value"].to_numpy(), leaf.max() + 1)
    error = misplaced(np.bincount(leaf, estimate.value, leaf.max() + 1), truth)
    assert error <= 0.08
    assert error <= estimate.error_bound
    assert estimate.total == pytest.approx(truth.sum(), rel=0.1)


def test_children_that_always_run_together_are_not_told_apart(load: Load) -> None:
    """`validate cart` and `charge card` are in the same requests: the reason says which follows which."""
    found = unmixed(load("checkout-varying.jsonl.gz"))
    assert isinstance(found, Unmixed)
    answer = found.estimate(np.array([3]))
    assert isinstance(answer, Refused)
    assert "'charge card' (correlation 0.99)" in answer.reason


def test_steady_load_is_refused(load: Load) -> None:
    """Thirteen windows that hardly vary carry no information: everything is refused, with figures."""
    found = unmixed(load("checkout.jsonl.gz"))
    assert isinstance(found, Refused)
    assert "13 windows" in found.reason


def test_steady_load_is_refused_for_what_it_is(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not only the number of windows refuses it: let pass by that, no operation is told from the others."""
    monkeypatch.setattr("correlate.joins.unmix_design.WINDOWS_PER_COLUMN", 1)
    monkeypatch.setattr("correlate.joins.unmix.LEAST_GAIN", -100.0)
    found = unmixed(load("checkout.jsonl.gz"))
    assert isinstance(found, Unmixed)
    for codes in OPERATIONS.values():
        assert isinstance(found.estimate(np.array(codes)), Refused)
