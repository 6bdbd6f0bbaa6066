"""From linked profiles, as a format reads them, to the tables of the store.

Every profile format ends in a `Linked`: plain columns in which ids of the wire have become row numbers. Everything
that gives rows their lasting identity (frame, stack, series and content hashes) happens here, once for all formats.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from correlate.tables import hashing
from correlate.tables.schema import (
    ATTRIBUTES,
    EVIDENCE_AMBIGUOUS,
    FRAMES,
    PROFILES,
    SAMPLES,
    SERIES,
    STACKS,
    Schema,
)
from correlate.tables.tables import Reject, Tables

I64 = npt.NDArray[np.int64]

HEADS: Schema = {
    "service": pl.String,
    "type": pl.String,
    "labels": ATTRIBUTES,
    "time_ns": pl.Int64,
    "duration_ns": pl.Int64,
    "period": pl.Int64,
    "profile_hi": pl.Int64,
    "profile_lo": pl.Int64,
    "format": pl.String,
    "sender": pl.String,
    "received_ns": pl.Int64,
}
"""What is known of a profile besides its samples: one row per profile and sample type."""

FRAME_COLUMNS = [name for name in FRAMES if name not in ("service", "frame")]


@dataclass(frozen=True, slots=True)
class Linked:
    """Profiles of one or more payloads with every reference resolved to a row number.

    Attributes:
        heads: HEADS rows.
        samples: one row per sample, with columns ``head`` (row in `heads`), ``stack`` (row in the stacks; -1 is the
            empty stack), ``labelset`` (row in `labelsets`, -1: none), and ``time_ns duration_ns thread trace_hi
            trace_lo span evidence value weight`` as in SAMPLES. All integers.
        labelsets: attribute lists that samples carry besides ids, for instance ``thread_name``.
        stack_offsets: where each stack's frames start in `stack_frames`, plus the end.
        stack_frames: rows in `frames`, root first.
        frames: FRAMES columns without ``service`` and ``frame``.
        rejects: what was refused while reading.
    """

    heads: pl.DataFrame
    samples: pl.DataFrame
    labelsets: pl.Series
    stack_offsets: I64
    stack_frames: I64
    frames: pl.DataFrame
    rejects: tuple[Reject, ...] = ()


def build(linked: Linked) -> Tables:
    """Give every row its lasting id and lay the rows out as tables. Samples of value 0 are dropped."""
    samples = linked.samples.filter(pl.col("value") != 0)
    frame_ids = hashing.hash_rows(linked.frames.select(FRAME_COLUMNS))
    stack_ids = hashing.sequence_hashes(frame_ids[linked.stack_frames], linked.stack_offsets)
    stack_row = samples["stack"].to_numpy()
    series, series_of = _series(linked, samples)
    service_of_head = hashing.hash_text(linked.heads["service"])
    head = samples["head"].to_numpy()
    rows = samples.with_columns(
        service=pl.Series(service_of_head[head], dtype=pl.Int64),
        type=pl.Series(hashing.hash_text(linked.heads["type"])[head], dtype=pl.Int64),
        series=pl.Series(series_of, dtype=pl.Int64),
        stack=pl.Series(np.where(stack_row < 0, 0, np.append(stack_ids, 0)[stack_row]), dtype=pl.Int64),
    )
    profile_ids = _content_hashes(linked.heads, rows)
    rows = rows.with_columns(profile=pl.Series(profile_ids[head], dtype=pl.Int64))
    used = _used_stacks(service_of_head[head], stack_row, len(stack_ids))
    rows = _without_repeated_profiles(rows, profile_ids)
    return Tables(
        samples=rows.select(pl.col(name).cast(kind) for name, kind in SAMPLES.items()),
        stacks=_stacks(used, stack_ids, frame_ids, linked),
        frames=_frames(used, frame_ids, linked),
        series=series,
        profiles=_profiles(linked.heads, rows, profile_ids),
        rejects=linked.rejects,
    )


def series_of_resources(service: pl.Series, labels: pl.Series) -> tuple[I64, pl.DataFrame]:
    """Give resources of spans their series: one id per row, and the SERIES rows (unique)."""
    frame = pl.DataFrame({"service": service, "type": pl.repeat("", len(service), eager=True), "labels": labels})
    return _identify_series(frame)


def _identify_series(frame: pl.DataFrame) -> tuple[I64, pl.DataFrame]:
    """Add ids to rows of service, type and labels; labels are sorted by key first."""
    labels = frame["labels"].list.eval(pl.element().sort_by(pl.element().struct.field("key")))
    text = pl.DataFrame({"l": labels}).select(
        pl.col("l")
        .list.eval(
            pl.format(
                "{}\x1f{}\x1f{}",
                pl.element().struct.field("key"),
                pl.element().struct.field("value"),
                pl.element().struct.field("kind"),
            )
        )
        .list.join("\x1e")
    )
    service_id = hashing.hash_text(frame["service"])
    type_id = hashing.hash_text(frame["type"])
    ids = hashing.combine([service_id, type_id, hashing.hash_text(text.to_series())])
    rows = pl.DataFrame(
        {
            "series": ids,
            "service_id": service_id,
            "service": frame["service"],
            "type_id": type_id,
            "type": frame["type"],
            "labels": labels,
        },
        schema=SERIES,
    )
    return ids, rows.unique("series", keep="any")


def _series(linked: Linked, samples: pl.DataFrame) -> tuple[pl.DataFrame, I64]:
    """Series of the samples: the profile's labels and the sample's own put together, the profile's winning."""
    pairs = samples.select("head", "labelset").unique().sort("head", "labelset")
    heads = linked.heads.select("service", "type", "labels")[pairs["head"].to_numpy()]
    own = pl.concat([linked.labelsets.cast(ATTRIBUTES), pl.Series([[]], dtype=ATTRIBUTES)])
    row = pairs["labelset"].to_numpy()
    extra = own[np.where(row < 0, len(own) - 1, row)]
    merged = (
        pl.DataFrame({"row": np.arange(len(pairs)), "label": heads["labels"].list.concat(extra)})
        .explode("label", empty_as_null=False)
        .with_columns(key=pl.col("label").struct.field("key"))
        .unique(["row", "key"], keep="first", maintain_order=True)
        .group_by("row")
        .agg(pl.col("label"))
    )
    labels = (
        pl.DataFrame({"row": np.arange(len(pairs))})
        .join(merged, on="row", how="left", maintain_order="left")
        .select(pl.col("label").fill_null(pl.lit([], dtype=ATTRIBUTES)))
        .to_series()
    )
    ids, rows = _identify_series(heads.with_columns(labels=labels.cast(ATTRIBUTES)))
    located = samples.select("head", "labelset").join(
        pairs.with_columns(id=pl.Series(ids, dtype=pl.Int64)),
        on=["head", "labelset"],
        how="left",
        maintain_order="left",
    )
    return rows, located["id"].to_numpy()


def _content_hashes(heads: pl.DataFrame, rows: pl.DataFrame) -> I64:
    """One hash per profile over everything that makes it what it is, not over how or when it was sent."""
    columns = ["series", "stack", "time_ns", "duration_ns", "thread", "trace_hi", "trace_lo", "span", "value"]
    row_hashes = hashing.combine([rows[name].cast(pl.Int64).to_numpy() for name in columns])
    bags = hashing.bag_hashes(row_hashes, rows["head"].cast(pl.Int64).to_numpy(), len(heads))
    own = heads.select("service", "type", "time_ns", "duration_ns", "period", "profile_hi", "profile_lo")
    return hashing.combine([hashing.hash_rows(own), bags])


def _without_repeated_profiles(rows: pl.DataFrame, profile_ids: I64) -> pl.DataFrame:
    """Drop the samples of a profile that came twice in one payload."""
    _, first, index = np.unique(profile_ids, return_index=True, return_inverse=True)
    if len(first) == len(profile_ids):
        return rows
    keeps = first[index] == np.arange(len(profile_ids))
    return rows.filter(pl.Series(keeps[rows["head"].to_numpy()]))


def _used_stacks(service: I64, stack_row: I64, stacks: int) -> pl.DataFrame:
    """The stacks that samples of each service use: columns service and row."""
    if len(service) and (service == service[0]).all():
        used = np.zeros(stacks + 1, bool)
        used[stack_row] = True  # -1, the empty stack, marks the extra last place
        rows = np.flatnonzero(used[:-1])
        return pl.DataFrame({"service": np.full(len(rows), service[0]), "row": rows})
    return pl.DataFrame({"service": service, "row": stack_row}).filter(pl.col("row") >= 0).unique()


def _stacks(used: pl.DataFrame, stack_ids: I64, frame_ids: I64, linked: Linked) -> pl.DataFrame:
    row = used["row"].to_numpy()
    flat, lengths = _take_ragged(linked.stack_frames, linked.stack_offsets, row)
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    frames = _list_column(offsets, frame_ids[flat])
    return pl.DataFrame({"service": used["service"], "stack": stack_ids[row], "frames": frames}, schema=STACKS).unique(
        ["service", "stack"], keep="any"
    )


def _frames(used: pl.DataFrame, frame_ids: I64, linked: Linked) -> pl.DataFrame:
    parts = []
    for (service,), group in used.group_by("service"):
        flat, _ = _take_ragged(linked.stack_frames, linked.stack_offsets, group["row"].to_numpy())
        present = np.zeros(len(frame_ids), bool)
        present[flat] = True
        rows = np.flatnonzero(present)
        parts.append(
            linked.frames[rows].select(
                pl.lit(service, pl.Int64).alias("service"),
                pl.Series("frame", frame_ids[rows], dtype=pl.Int64),
                *(pl.col(name).cast(FRAMES[name]) for name in FRAME_COLUMNS),
            )
        )
    return pl.concat(parts).unique(["service", "frame"], keep="any") if parts else pl.DataFrame(schema=FRAMES)


def _profiles(heads: pl.DataFrame, rows: pl.DataFrame, profile_ids: I64) -> pl.DataFrame:
    names_a_span = (pl.col("span") != 0) | (pl.col("trace_hi") != 0) | (pl.col("trace_lo") != 0)
    sums = rows.group_by("head").agg(
        sample_rows=pl.len().cast(pl.Int64),
        sample_count=pl.col("weight").cast(pl.Int64).sum(),
        total=pl.col("value").sum(),
        labelled=pl.col("value").filter(names_a_span).sum(),
        ambiguous=pl.col("value").filter(pl.col("evidence") == EVIDENCE_AMBIGUOUS).sum(),
    )
    joined = heads.with_row_index("head").with_columns(
        pl.col("head").cast(rows.schema["head"]), profile=pl.Series(profile_ids, dtype=pl.Int64)
    )
    return (
        joined.join(sums, on="head", how="left", maintain_order="left")
        .with_columns(
            pl.col(name).fill_null(0) for name in ("sample_rows", "sample_count", "total", "labelled", "ambiguous")
        )
        .select(pl.col(name).cast(kind) for name, kind in PROFILES.items())
        .unique("profile", keep="any")
    )


def _take_ragged(items: I64, offsets: I64, rows: I64) -> tuple[I64, I64]:
    """The items of some sequences one after the other, and the length of each."""
    lengths = np.diff(offsets)[rows]
    ends = np.cumsum(lengths)
    positions = np.arange(int(ends[-1]) if len(ends) else 0, dtype=np.int64)
    positions += np.repeat(offsets[:-1][rows] - (ends - lengths), lengths)
    return items[positions], lengths


def _list_column(offsets: I64, values: I64) -> pl.Series:
    array = pa.LargeListArray.from_arrays(pa.array(offsets), pa.array(values))
    return pl.Series(pl.from_arrow(array), dtype=pl.List(pl.Int64))
