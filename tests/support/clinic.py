"""Two minutes of a well-formed shop: two services, whole traces, profiles that name their spans; and ways to spoil it.

A `Clinic` is all of it as columns. Every fault is a change of some columns, so a test shows what it plants.
"""

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from correlate.tables.hashing import hash_one
from correlate.tables.schema import ATTRIBUTES, SAMPLES, TABLES
from correlate.tables.series import identify_series, series_of_resources
from correlate.tables.tables import Tables, concat
from tests.support.rows import CPU, SECOND, T0, profile, spans

MS = SECOND // 1000
PERIOD_NS = 10 * MS
LENGTH_S = 120
PER_S = 4
NOW_NS = T0 + (LENGTH_S + 60) * SECOND
SHOP, BANK = "checkout", "payments"


@dataclass(frozen=True)
class Clinic:
    """What was recorded.

    Attributes:
        spans: SPANS rows.
        tables: everything else.
    """

    spans: pl.DataFrame
    tables: Tables

    def rows(self) -> Tables:
        """All of it, as the store takes it."""
        return replace(self.tables, spans=self.spans.select(list(Tables().spans.columns)))

    def with_spans(self, rows: pl.DataFrame) -> "Clinic":
        """Other spans."""
        return replace(self, spans=rows)

    def with_samples(self, rows: pl.DataFrame) -> "Clinic":
        """Other samples."""
        kept = rows.select(pl.col(name).cast(kind) for name, kind in SAMPLES.items())
        return replace(self, tables=replace(self.tables, samples=kept))

    def change(self, service: str, share: float = 1.0, /, **columns: pl.Expr | int) -> "Clinic":
        """Change columns of a part of a service's samples."""
        rows = self.tables.samples.with_row_index("row")
        chosen = (pl.col("service") == hash_one(service)) & (pl.col("row").hash(1) % 1000 < round(share * 1000))
        new = {name: pl.when(chosen).then(value).otherwise(pl.col(name)) for name, value in columns.items()}
        return self.with_samples(rows.with_columns(**new))

    def moved(self, service: str, by_ns: int) -> "Clinic":
        """Profiles and samples of a service by a clock that is wrong."""
        profiles = self.tables.profiles.with_columns(
            time_ns=pl.col("time_ns") + pl.when(pl.col("service") == service).then(by_ns).otherwise(0)
        )
        changed = self.change(service, time_ns=pl.col("time_ns") + by_ns)
        return replace(changed, tables=replace(changed.tables, profiles=profiles))

    def renamed(self, service: str, name: str) -> "Clinic":
        """The profiles of a service under another name; the spans keep theirs."""
        ours = pl.col("service") == service
        series = self.tables.series.with_columns(
            service=pl.when((pl.col("type") != "") & ours).then(pl.lit(name)).otherwise("service"),
            service_id=pl.when((pl.col("type") != "") & ours).then(hash_one(name)).otherwise("service_id"),
        )
        profiles = self.tables.profiles.with_columns(service=pl.when(ours).then(pl.lit(name)).otherwise("service"))
        samples = self.change(service, service=hash_one(name)).tables.samples
        return self.with_tables(series=series, profiles=profiles, samples=samples)

    def labelled(self, service: str, labels: dict[str, str], share: float = 1.0) -> "Clinic":
        """A part of a service's samples with these labels on their series."""
        attributes = [{"key": key, "value": value, "kind": 1} for key, value in labels.items()]
        frame = pl.DataFrame({"service": [service], "type": [CPU], "labels": pl.Series([attributes], dtype=ATTRIBUTES)})
        ids, series = identify_series(frame)
        changed = self.change(service, share, series=int(ids[0]))
        return changed.with_tables(series=pl.concat([self.tables.series, series]), samples=changed.tables.samples)

    def with_tables(self, **frames: pl.DataFrame) -> "Clinic":
        """Other frames."""
        ours = {name: getattr(self.tables, name) for name in TABLES}
        return replace(self, tables=Tables(**ours | frames))


def clinic() -> Clinic:
    """Nothing is wrong: four requests a second, each a root span, a call, and a span in the other service."""
    count = LENGTH_S * PER_S
    begin = T0 + np.arange(count) * (SECOND // PER_S)
    number = np.arange(1, count + 1)
    frames = [
        _spans(SHOP, "POST /checkout", number, number, 0 * number, begin, 120 * MS, kind=2),
        _spans(SHOP, "call payments", number, number + 10_000, number, begin + 20 * MS, 60 * MS, kind=3),
        _spans(BANK, "charge", number, number + 20_000, number + 10_000, begin + 25 * MS, 50 * MS, kind=2),
    ]
    parts = [_profiles(SHOP, number, begin, hits=8), _profiles(BANK, number + 20_000, begin, hits=4)]
    rows = pl.concat(frames)
    instance = [{"key": "service.instance.id", "value": "a", "kind": 1}]
    ids, series = series_of_resources(rows["service"], pl.Series([instance] * len(rows), dtype=ATTRIBUTES))
    found = concat([*parts, Tables(series=series)])
    return Clinic(rows.with_columns(series=pl.Series(ids)), found)


def _spans(
    service: str,
    name: str,
    trace: np.ndarray,
    span: np.ndarray,
    parent: np.ndarray,
    start_ns: np.ndarray,
    duration_ns: int,
    *,
    kind: int,
) -> pl.DataFrame:
    row = spans({"service": service, "name": name, "kind": kind, "duration_ns": duration_ns, "payload": 1 + kind})
    columns = {"trace_lo": trace, "span": span, "parent": parent, "start_ns": start_ns}
    many = row.select(pl.all().repeat_by(len(trace)).explode())
    return many.with_columns(*(pl.Series(key, value.astype(np.int64)) for key, value in columns.items()))


def _profiles(service: str, span: np.ndarray, begin_ns: np.ndarray, *, hits: int) -> Tables:
    """A profile for every ten seconds: the hits of each span, and one in twenty that name none."""
    parts = []
    for first in range(0, LENGTH_S, 10):
        mine = slice(first * PER_S, (first + 10) * PER_S)
        rows = [
            {"stack": "main;handle;work", "value": hits * PERIOD_NS, "span": int(one), "trace": (7, int(one) % 10_000)}
            for one in span[mine]
        ]
        rows.append({"stack": "main;idle", "value": len(rows) * hits * PERIOD_NS // 20})
        parts.append(profile(rows, service=service, time_ns=T0 + first * SECOND, labels={"pod": f"{service}-1"}))
    return concat(parts)
