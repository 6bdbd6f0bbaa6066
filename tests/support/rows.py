"""Small spans and profiles for tests, with readable arguments."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from correlate.tables.build import FRAME_COLUMNS, HEADS, Linked, build
from correlate.tables.schema import ATTRIBUTES, EVIDENCE_LABEL, FRAMES, SPANS
from correlate.tables.series import series_of_resources
from correlate.tables.tables import Tables

CPU = "process_cpu:cpu:nanoseconds:cpu:nanoseconds"
SECOND = 1_000_000_000
T0 = 1_795_000_000 * SECOND
TRACE = (7, 11)


def spans(*rows: Mapping[str, Any]) -> pl.DataFrame:
    """SPANS rows; what a row does not say is filled in: trace `TRACE`, service checkout, one second from `T0`."""
    usual: dict[str, Any] = {
        "trace_hi": TRACE[0],
        "trace_lo": TRACE[1],
        "parent": 0,
        "service": "checkout",
        "name": "POST /checkout",
        "kind": 2,
        "status": 0,
        "status_message": "",
        "start_ns": T0,
        "duration_ns": SECOND,
        "thread": 0,
        "profile_ref": "",
        "series": 0,
        "scope": "",
        "attributes": [],
        "payload": 1,
    }
    return pl.DataFrame([usual | row for row in rows], schema=SPANS, orient="row")


def with_series(rows: pl.DataFrame) -> Tables:
    """Tables that hold some spans and the series of their resources."""
    empty = pl.Series([[]] * len(rows), dtype=ATTRIBUTES)
    ids, series = series_of_resources(rows["service"], empty)
    return Tables(spans=rows.with_columns(series=pl.Series(ids, dtype=pl.Int64)), series=series)


def profile(
    samples: Sequence[Mapping[str, Any]],
    *,
    service: str = "checkout",
    profile_type: str = CPU,
    time_ns: int = T0,
    duration_ns: int = 10 * SECOND,
    period: int = 10_000_000,
    profile_id: tuple[int, int] = (0, 0),
    labels: Mapping[str, str] | None = None,
) -> Tables:
    """Tables of one profile; a sample says ``stack`` (``"main;work"``), ``value``, and what ids it has."""
    stacks = sorted({str(sample.get("stack", "main")) for sample in samples})
    names = sorted({name for stack in stacks for name in stack.split(";")})
    paths = [[names.index(name) for name in stack.split(";")] for stack in stacks]
    rows = [
        {
            "head": 0,
            "stack": stacks.index(str(sample.get("stack", "main"))),
            "labelset": -1,
            "time_ns": sample.get("time_ns", time_ns),
            "duration_ns": 0 if "time_ns" in sample else duration_ns,
            "thread": sample.get("thread", 0),
            "trace_hi": sample.get("trace", (0, 0))[0],
            "trace_lo": sample.get("trace", (0, 0))[1],
            "span": sample.get("span", 0),
            "evidence": sample.get("evidence", EVIDENCE_LABEL if sample.get("span") or sample.get("trace") else 0),
            "value": sample["value"],
            "weight": sample.get("weight", max(1, sample["value"] // period)),
        }
        for sample in samples
    ]
    head = {
        "service": service,
        "type": profile_type,
        "labels": [{"key": key, "value": value, "kind": 1} for key, value in (labels or {}).items()],
        "time_ns": time_ns,
        "duration_ns": duration_ns,
        "period": period,
        "profile_hi": profile_id[0],
        "profile_lo": profile_id[1],
        "format": "pprof",
        "sender": "tests",
        "received_ns": time_ns,
    }
    blank: dict[Any, Any] = {pl.String: "", pl.Boolean: False, pl.Int64: 0}
    frames = pl.DataFrame(
        {name: names if name == "function" else [blank[FRAMES[name]]] * len(names) for name in FRAME_COLUMNS},
        schema={name: FRAMES[name] for name in FRAME_COLUMNS},
    )
    columns = dict.fromkeys(rows[0], pl.Int64) if rows else {}
    return build(
        Linked(
            heads=pl.DataFrame([head], schema=HEADS, orient="row"),
            samples=pl.DataFrame(rows, schema=columns),
            labelsets=pl.Series([], dtype=ATTRIBUTES),
            stack_offsets=np.cumsum([0, *map(len, paths)]).astype(np.int64),
            stack_frames=np.array([item for path in paths for item in path], np.int64),
            frames=frames,
        )
    )


def of_instances(rows: pl.DataFrame, instances: Sequence[str]) -> Tables:
    """Tables that hold some spans, each of an instance of its service."""
    labels = [[{"key": "service.instance.id", "value": name, "kind": 1}] for name in instances]
    ids, series = series_of_resources(rows["service"], pl.Series(labels, dtype=ATTRIBUTES))
    return Tables(spans=rows.with_columns(series=pl.Series(ids, dtype=pl.Int64)), series=series)
