"""What happened between two pprof profiles of counters that run since the process started (allocs, mutex, block).

Go counts allocations, lock waits and blocking from the start of the process, and never forgets a call stack. So the
difference of two profiles of the same process is what happened in between, and counters that got smaller tell that it
is another process.
"""

from collections import OrderedDict
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from correlate.formats.pprof_write import PprofProfile, parse, write
from correlate.tables.hashing import combine, hash_text, mix, sequence_hashes

I64 = npt.NDArray[np.int64]

CUMULATIVE: Final = ("alloc_objects", "alloc_space", "contentions", "delay")
"""Sample types that count since the process started; the counts come before what they weigh."""

# Go scales what it samples by floating point, and ticks to nanoseconds by a rate it keeps estimating: counters of a
# living process may shrink by a rounding error.
_ROUNDING_SHARE: Final = 0.01


def delta(previous: bytes, current: bytes) -> bytes | None:
    """The second profile with its cumulative types reduced to what was added since the first one.

    Types that say how things are at the moment (``inuse_space``) stay as they are in the second profile. The result
    spans the time between the two. Samples in which nothing is left are left out.

    After a restart all that the second profile counts happened since, so it is the difference. That a process restarted
    shows in a smaller total; one that has already counted more than the process before it cannot be told from that.

    Returns:
        The difference as gzip-compressed pprof; None when the two cannot be compared: their types differ, the second
        is not younger, or counters shrank though their sum grew (a rate of sampling was changed, or a restart).

    Raises:
        Malformed: one of them is broken.
        UnknownFormat: one of them is of another format.
        TooLarge: one of them exceeds a limit.
    """
    before, after = parse(previous), parse(current)
    types = _types(after)
    if types != _types(before) or after.time_ns <= before.time_ns:
        return None
    columns = [index for index, name in enumerate(types) if name in CUMULATIVE]
    if not columns:
        return write(after)
    profile = _subtracted(before, after, columns)
    return None if profile is None else write(profile)


def gauges(current: bytes) -> bytes | None:
    """A profile without what its cumulative types count: for the first profile of a process, and after a doubt.

    Returns:
        gzip-compressed pprof; None when all types are cumulative, so nothing is left.

    Raises:
        Malformed: it is broken.
        UnknownFormat: it is of another format.
        TooLarge: it exceeds a limit.
    """
    profile = parse(current)
    kept = [
        pl.lit(0) if name in CUMULATIVE else pl.col("value").list.get(at) for at, name in enumerate(_types(profile))
    ]
    samples = profile.samples.with_columns(value=pl.concat_list(kept)).filter(
        pl.col("value").list.eval(pl.element() != 0).list.any()
    )
    return write(replace(profile, samples=samples)) if len(samples) else None


class Baselines:
    """The last profile of each target, to turn what comes next into differences. For one thread at a time.

    Args:
        limit_count: targets remembered; the one not heard of for longest is forgotten first, and begins anew.
    """

    def __init__(self, limit_count: int = 10_000) -> None:
        self._limit_count = limit_count
        self._last: OrderedDict[str, bytes] = OrderedDict()

    def advance(self, target: str, body: bytes) -> bytes | None:
        """What a profile of a target adds to the one before; of the first only what is no counter.

        Returns:
            gzip-compressed pprof, None when there is nothing to store yet.

        Raises:
            Malformed: it is broken; the one before stays in force, as for the errors below.
            UnknownFormat: it is of another format.
            TooLarge: it exceeds a limit.
        """
        previous = self._last.get(target)
        added = delta(previous, body) if previous is not None else None
        result = gauges(body) if added is None else added
        self._last[target] = body
        self._last.move_to_end(target)
        if len(self._last) > self._limit_count:
            self._last.popitem(last=False)
        return result


def _types(profile: PprofProfile) -> list[str]:
    return [profile.text(position) for position in profile.sample_types["type"].to_list()]


def _subtracted(before: PprofProfile, after: PprofProfile, columns: list[int]) -> PprofProfile | None:
    """The later profile, its cumulative columns reduced by what the earlier one holds for the same stack and labels."""
    names = [f"v{index}" for index in range(len(after.sample_types))]
    ours, theirs = _rows(after, names), _rows(before, names)
    both = ours.join(theirs.select("key", *names), on="key", how="full", suffix="_before", coalesce=True).fill_null(0)
    counter = names[columns[0]]
    if both[counter].sum() >= both[f"{counter}_before"].sum():
        if _lost_share(both, counter) > _ROUNDING_SHARE:
            return None
        reduced = [(pl.col(names[at]) - pl.col(f"{names[at]}_before")).clip(0).alias(names[at]) for at in columns]
        both = both.with_columns(reduced)
    left = both.filter(pl.any_horizontal(pl.col(name) != 0 for name in names)).sort("row")
    samples = after.samples[left["row"].cast(pl.Int64)].with_columns(left.select(value=pl.concat_list(names))["value"])
    return replace(after, samples=samples, time_ns=before.time_ns, duration_ns=after.time_ns - before.time_ns)


def _lost_share(both: pl.DataFrame, counter: str) -> float:
    """How much of what was counted is not counted any more."""
    lost = both.select((pl.col(f"{counter}_before") - pl.col(counter)).clip(0).sum()).item()
    return float(lost) / max(float(both[f"{counter}_before"].sum()), 1.0)


def _rows(profile: PprofProfile, names: list[str]) -> pl.DataFrame:
    """Columns key, row (the first sample with that key), and the values by `names`; one row per key."""
    values = profile.samples["value"].list.to_struct(fields=names).struct.unnest()
    keyed = values.with_columns(key=pl.Series(_keys(profile)), row=pl.int_range(len(values)))
    return keyed.group_by("key").agg(pl.col("row").min(), pl.col(names).sum())


def _keys(profile: PprofProfile) -> I64:
    """What identifies a sample within its process: the addresses of its stack, and its labels."""
    stacks = _looked_up(profile.samples["location_id"], profile.locations["id"], _location_keys(profile))
    return combine([stacks, _label_keys(profile)])


def _location_keys(profile: PprofProfile) -> I64:
    """The address of a location, or where there is none what its lines say."""
    address = profile.locations["address"].to_numpy().view(np.int64)
    return np.where(address != 0, mix(address).view(np.int64), _line_keys(profile))


def _line_keys(profile: PprofProfile) -> I64:
    lines = profile.locations["line"]
    flat = lines.explode(empty_as_null=False).struct.unnest()
    texts = hash_text(profile.strings.cast(pl.String, strict=False))
    names = texts[profile.functions["name"].to_numpy()]
    functions = _looked_up(flat["function_id"].reshape((-1, 1)).arr.to_list(), profile.functions["id"], names)
    return sequence_hashes(combine([functions, flat["line"].to_numpy()]), _offsets(lines))


def _label_keys(profile: PprofProfile) -> I64:
    lists = profile.samples["label"]
    flat = lists.explode(empty_as_null=False).struct.unnest()
    texts = hash_text(profile.strings.cast(pl.String, strict=False))
    parts = [texts[flat["key"].to_numpy()], texts[flat["str"].to_numpy()], flat["num"].to_numpy()]
    return sequence_hashes(combine(parts), _offsets(lists))


def _looked_up(lists: pl.Series, ids: pl.Series, keys: I64) -> I64:
    """Hash lists of ids by the keys of what the ids stand for; ids that stand for nothing count as 0."""
    table = pl.DataFrame({"id": ids, "key": keys}).unique("id", keep="first", maintain_order=True)
    flat = lists.explode(empty_as_null=False).alias("id").to_frame()
    found = flat.join(table, on="id", how="left", maintain_order="left")["key"].fill_null(0).to_numpy()
    return sequence_hashes(found, _offsets(lists))


def _offsets(lists: pl.Series) -> I64:
    lengths = lists.list.len().cast(pl.Int64).to_numpy()
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
