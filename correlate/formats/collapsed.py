"""Collapsed stacks: one line per stack, ``root;caller;leaf 123``, as flame graph tools exchange them.

Written names may hold what separates them: a semicolon, a line feed, a carriage return are written ``%3B``, ``%0A``,
``%0D`` (and ``%25`` stands for a percent sign before one of these). Nothing else is changed, in either direction.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from correlate.errors import Malformed, TooLarge
from correlate.formats.limits import MAX_COLLAPSED_LINES, MAX_PROFILE_FRAMES, MAX_STACK_FRAMES
from correlate.formats.text import decode_lossy
from correlate.model.profile_type import ProfileType
from correlate.tables.build import FRAME_COLUMNS, HEADS, Linked
from correlate.tables.schema import FRAMES, KIND_STRING
from correlate.tables.symbols import Symbols
from correlate.tables.tables import Reject

I64 = npt.NDArray[np.int64]

_INT32_MAX: Final = (1 << 31) - 1

_ESCAPED: Final = ["%3B", "%0A", "%0D", "%25"]
_PLAIN: Final = [";", "\n", "\r", "%"]


@dataclass(frozen=True, slots=True)
class CollapsedContext:
    """What the door knows of collapsed stacks; the text itself says nothing but stacks and numbers.

    Attributes:
        service: name of the service.
        received_ns: when it arrived, nanoseconds since the Unix epoch.
        profile_type: what the numbers are.
        period_ns: nanoseconds that one hit stands for, when the numbers count hits but the type is a time; 0: the
            numbers are values.
        labels: key and value of the labels that the profile came with.
        from_ns: start, 0: not given.
        until_ns: end, 0: not given.
        each_line_once: lines are stacks without numbers, each counts 1.
        sender: user agent or file name.
    """

    service: str
    received_ns: int
    profile_type: ProfileType
    period_ns: int = 0
    labels: tuple[tuple[str, str], ...] = ()
    from_ns: int = 0
    until_ns: int = 0
    each_line_once: bool = False
    sender: str = ""


def read_collapsed(body: bytes, context: CollapsedContext) -> Linked:
    """Read collapsed stacks. Empty lines and comments (``#``) are skipped; lines without a number are rejected.

    Of a stack deeper than MAX_STACK_FRAMES the frames nearest to the leaf are kept.

    Raises:
        Malformed: no line is good.
        TooLarge: more lines than MAX_COLLAPSED_LINES, or frames than MAX_PROFILE_FRAMES.
    """
    if body.count(b"\n") > MAX_COLLAPSED_LINES:
        raise TooLarge(f"more than {MAX_COLLAPSED_LINES:,} lines in one request; add up those of the same stack")
    if body.count(b";") + body.count(b"\n") > MAX_PROFILE_FRAMES:
        raise TooLarge(f"more than {MAX_PROFILE_FRAMES:,} frames in one request")
    lines = _lines(body)
    parsed = _parsed(lines, each_line_once=context.each_line_once)
    good = parsed.filter(pl.col("value").is_not_null())
    bad_count = len(parsed) - len(good)
    if not len(good):
        example = f", for instance {lines[0][:80]!r}" if len(lines) else ""
        raise Malformed(f"no line is of the form 'root;caller;leaf 123'{example}")
    stacks, offsets, frames = _stacks(good["stack"])
    reason = "lines without a whole number after the last space"
    return Linked(
        heads=_head(context),
        samples=_samples(good, context),
        labelsets=pl.Series([], dtype=HEADS["labels"]),
        stack_offsets=offsets,
        stack_frames=stacks,
        frames=frames,
        rejects=(Reject("profiles", bad_count, reason),) if bad_count else (),
    )


def write_collapsed(symbols: Symbols, rows: pl.DataFrame) -> str:
    """Write samples as collapsed stacks, sorted by text; stacks that look the same become one line.

    Args:
        symbols: stacks and frames of the samples.
        rows: columns stack and value, as in SAMPLES.
    """
    merged = rows.group_by("stack").agg(pl.col("value").sum())
    text = pl.concat([_stack_texts(symbols), pl.Series(["", "[unknown]"])])
    ids = merged["stack"].to_numpy()
    row = symbols.rows_of(ids)
    row = np.where(ids == 0, len(text) - 2, np.where(row < 0, len(text) - 1, row))
    lines = merged.select(stack=text[row], value=pl.col("value")).group_by("stack").agg(pl.col("value").sum())
    return "".join((lines.sort("stack").select(pl.format("{} {}\n", "stack", "value")).to_series()).to_list())


def _lines(body: bytes) -> pl.Series:
    lines = pl.Series([decode_lossy(body)]).str.split("\n").explode(empty_as_null=False)
    lines = lines.str.strip_suffix("\r")
    return lines.filter((lines.str.strip_chars() != "") & ~lines.str.starts_with("#"))


def _parsed(lines: pl.Series, *, each_line_once: bool) -> pl.DataFrame:
    """Columns stack (text) and value (null: no number)."""
    if each_line_once:
        return pl.DataFrame({"stack": lines, "value": pl.repeat(1, len(lines), dtype=pl.Int64, eager=True)})
    groups = (
        lines.alias("line")
        .to_frame()
        .select(pl.col("line").str.extract_groups(r"^(?s)(?<stack>.*)[ \t](?<value>-?\d+)\s*$").alias("g"))
    )
    return groups.unnest("g").with_columns(pl.col("value").cast(pl.Int64, strict=False))


def _stacks(texts: pl.Series) -> tuple[I64, I64, pl.DataFrame]:
    """Rows of frames of all stacks, where each stack starts, and the frames: one per distinct name."""
    split = texts.str.split(";").list.tail(MAX_STACK_FRAMES)
    empty = texts == ""
    lengths = np.where(empty.to_numpy(), 0, split.list.len().cast(pl.Int64).to_numpy())
    names = split.filter(~empty).explode(empty_as_null=False).alias("name")
    distinct = names.unique(maintain_order=True)
    numbered = pl.DataFrame({"name": distinct, "row": np.arange(len(distinct))})
    rows = names.to_frame().join(numbered, on="name", how="left", maintain_order="left")["row"].to_numpy()
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    return rows, offsets, _frames(distinct.str.replace_many(_ESCAPED, _PLAIN))


def _frames(names: pl.Series) -> pl.DataFrame:
    blanks = pl.DataFrame(schema={name: FRAMES[name] for name in FRAME_COLUMNS if name != "function"})
    empty = {pl.String: "", pl.Boolean: False, pl.Int64: 0}
    fill = [pl.lit(empty[kind], kind).alias(name) for name, kind in blanks.schema.items()]  # type: ignore[index]
    return names.alias("function").to_frame().with_columns(fill).select(FRAME_COLUMNS)


def _samples(good: pl.DataFrame, context: CollapsedContext) -> pl.DataFrame:
    time_ns, duration_ns = _times(context)
    count = pl.col("value")
    return good.with_row_index("row").select(
        head=pl.lit(0, pl.Int64),
        stack=pl.when(pl.col("stack") == "").then(-1).otherwise(pl.col("row").cast(pl.Int64)),
        labelset=pl.lit(-1, pl.Int64),
        time_ns=pl.lit(time_ns, pl.Int64),
        duration_ns=pl.lit(duration_ns, pl.Int64),
        **{name: pl.lit(0, pl.Int64) for name in ("thread", "trace_hi", "trace_lo", "span")},
        evidence=pl.lit(0, pl.Int8),
        value=count * (context.period_ns or 1),
        weight=(count.abs() if _counts_hits(context) else pl.lit(1, pl.Int64)).clip(1, _INT32_MAX),
    )


def _counts_hits(context: CollapsedContext) -> bool:
    return bool(context.period_ns) or context.profile_type.sample_type in ("samples", "sample", "contentions")


def _times(context: CollapsedContext) -> tuple[int, int]:
    duration_ns = max(0, context.until_ns - context.from_ns) if context.from_ns else 0
    return context.from_ns or context.received_ns - duration_ns, duration_ns


def _head(context: CollapsedContext) -> pl.DataFrame:
    labels = [{"key": key, "value": value, "kind": KIND_STRING} for key, value in context.labels]
    row = (context.service, str(context.profile_type), labels, *_times(context), context.period_ns, 0, 0, "collapsed")
    return pl.DataFrame([(*row, context.sender, context.received_ns)], schema=HEADS, orient="row")


def _stack_texts(symbols: Symbols) -> pl.Series:
    """The text of every stack of some symbols."""
    names = symbols.names.str.replace_all("%(3B|0A|0D|25)", "%25${1}")
    names = names.str.replace_many(_PLAIN[:3], _ESCAPED[:3])
    lists = pa.LargeListArray.from_arrays(pa.array(symbols.offsets), names[symbols.items].to_arrow())
    return pl.Series(pl.from_arrow(lists)).list.join(";")
