"""Synthetic load with the proportions of real traffic, in columns."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from correlate.tables import hashing
from correlate.tables.schema import ATTRIBUTES, EVIDENCE_LABEL, FRAMES, PROFILES, SAMPLES, SERIES, SPANS, STACKS
from correlate.tables.tables import Tables, check

I64 = npt.NDArray[np.int64]

CPU = "process_cpu:cpu:nanoseconds:cpu:nanoseconds"
PERIOD_NS = 10_000_000
WINDOW_NS = 10_000_000_000
SAMPLES_A_SPAN = 5
SPANS_A_TRACE = 4  # a root and its children
_BLANK = {pl.String: "", pl.Boolean: False, pl.Int64: 0}


@dataclass(frozen=True)
class Service:
    """A service that profiles itself: `stack_count` stacks of 10 to 40 frames over `frame_count` functions."""

    name: str
    stack_count: int = 2000
    frame_count: int = 4000

    @property
    def id(self) -> int:
        """The hash of its name."""
        return hashing.hash_one(self.name)

    def symbols(self) -> tuple[Tables, I64]:
        """Its stacks, frames and series, and the stacks' ids."""
        rng = np.random.default_rng(abs(self.id) % 2**32)
        names = [f"{self.name}/pkg{i % 97}.(*Type{i % 331}).method{i}" for i in range(self.frame_count)]
        described = {
            "function": names,
            "file": [f"/src/{self.name}/pkg{i % 97}/file{i % 499}.go" for i in range(self.frame_count)],
            "line": rng.integers(1, 2000, self.frame_count),
        }
        frames = pl.DataFrame(
            {
                name: described.get(name, [_BLANK[kind]] * self.frame_count)  # type: ignore[index]
                for name, kind in FRAMES.items()
                if name not in ("service", "frame")
            }
        )
        frame_ids = hashing.hash_rows(frames)
        lengths = rng.integers(10, 40, self.stack_count)
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
        items = frame_ids[(rng.beta(1, 6, int(offsets[-1])) * self.frame_count).astype(np.int64)]
        stack_ids = hashing.sequence_hashes(items, offsets)
        lists = pa.LargeListArray.from_arrays(pa.array(offsets), pa.array(items))
        stacks = pl.DataFrame(
            {
                "service": np.full(self.stack_count, self.id),
                "stack": stack_ids,
                "frames": pl.Series(pl.from_arrow(lists), dtype=pl.List(pl.Int64)),
            },
            schema=STACKS,
        )
        full = frames.select(
            pl.lit(self.id, pl.Int64).alias("service"), pl.Series("frame", frame_ids), *frames.columns
        ).select(pl.col(name).cast(kind) for name, kind in FRAMES.items())
        return Tables(stacks=stacks, frames=full, series=self._series()), stack_ids

    def _series(self) -> pl.DataFrame:
        row = [self.id ^ 1, self.id, self.name, hashing.hash_one(CPU), CPU, []]
        return pl.DataFrame([row], schema=SERIES, orient="row")

    def load(
        self, stacks: I64, start_ns: int, windows: int, samples_a_window: int, instances: int, seed: int
    ) -> Iterator[Tables]:
        """Samples, profiles and spans of some upload windows, one `Tables` for each minute (6 windows)."""
        rng = np.random.default_rng(seed)
        for first in range(0, windows, 6):
            count = min(6, windows - first)
            yield self._minute(rng, stacks, start_ns + first * WINDOW_NS, count, samples_a_window, instances)

    def _minute(
        self, rng: np.random.Generator, stacks: I64, start_ns: int, windows: int, samples_a_window: int, instances: int
    ) -> Tables:
        rows = windows * samples_a_window
        per_profile = samples_a_window // instances
        profile_row = np.arange(rows) // per_profile
        time = start_ns + (np.arange(rows) // samples_a_window) * WINDOW_NS
        span_row = np.arange(rows) // SAMPLES_A_SPAN
        ids = _span_ids(rng, int(span_row[-1]) + 1)
        profiles = rng.integers(-(2**63), 2**63 - 1, profile_row[-1] + 1, dtype=np.int64)
        labelled = rng.random(rows) < 0.95
        samples = pl.DataFrame(
            {
                "service": np.full(rows, self.id),
                "type": np.full(rows, hashing.hash_one(CPU)),
                "series": np.full(rows, self.id ^ 1),
                "profile": profiles[profile_row],
                "time_ns": time,
                "duration_ns": np.full(rows, WINDOW_NS),
                "thread": np.zeros(rows, np.int64),
                "trace_hi": np.where(labelled, ids[0][span_row], 0),
                "trace_lo": np.where(labelled, ids[1][span_row], 0),
                "span": np.where(labelled, ids[2][span_row], 0),
                "evidence": np.where(labelled, EVIDENCE_LABEL, 0),
                "stack": stacks[(rng.beta(1, 8, rows) * len(stacks)).astype(np.int64)],
                "value": PERIOD_NS * rng.geometric(0.8, rows),
                "weight": np.ones(rows, np.int64),
            }
        ).select(pl.col(name).cast(kind) for name, kind in SAMPLES.items())
        return check(
            Tables(samples=samples, profiles=self._profiles(samples), spans=self._spans(rng, ids, time, span_row))
        )

    def _profiles(self, samples: pl.DataFrame) -> pl.DataFrame:
        sums = samples.group_by("profile").agg(
            pl.col("time_ns").first(),
            pl.col("duration_ns").first(),
            sample_rows=pl.len(),
            sample_count=pl.col("weight").cast(pl.Int64).sum(),
            total=pl.col("value").sum(),
            labelled=pl.col("value").filter(pl.col("span") != 0).sum(),
        )
        fixed = {"service": self.name, "type": CPU, "period": PERIOD_NS, "format": "pprof", "sender": "bench"}
        rest = dict.fromkeys(("profile_hi", "profile_lo", "ambiguous", "received_ns"), 0)
        full = sums.with_columns(**{name: pl.lit(value) for name, value in (fixed | rest).items()})
        return full.select(pl.col(name).cast(kind) for name, kind in PROFILES.items())

    def _spans(self, rng: np.random.Generator, ids: I64, time: I64, span_row: I64) -> pl.DataFrame:
        count = ids.shape[1]
        root = np.arange(count) // SPANS_A_TRACE * SPANS_A_TRACE
        _, first = np.unique(span_row, return_index=True)
        columns = {
            "trace_hi": ids[0],
            "trace_lo": ids[1],
            "span": ids[2],
            "parent": np.where(root == np.arange(count), 0, ids[2][root]),
            "start_ns": time[first] + rng.integers(0, WINDOW_NS, count),
            "duration_ns": rng.integers(20_000_000, 200_000_000, count),
            "payload": np.repeat(rng.integers(-(2**63), 2**63 - 1, count // 512 + 1), 512)[:count],
        }
        fixed = {"service": self.name, "name": "GET /items", "kind": 2, "status": 0, "thread": 0}
        fixed |= {"status_message": "", "profile_ref": "", "series": 0, "scope": "bench"}
        empty = pl.lit([], dtype=ATTRIBUTES).alias("attributes")
        return pl.DataFrame(columns).select(
            empty
            if name == "attributes"
            else (pl.col(name) if name in columns else pl.lit(fixed[name])).cast(kind).alias(name)
            for name, kind in SPANS.items()
        )


def _span_ids(rng: np.random.Generator, count: int) -> I64:
    """Trace ids in two rows, shared by the spans of a trace, and span ids in a third."""
    ids = rng.integers(-(2**63), 2**63 - 1, (3, count), dtype=np.int64)
    ids[:2] = ids[:2, np.arange(count) // SPANS_A_TRACE * SPANS_A_TRACE]
    return ids
