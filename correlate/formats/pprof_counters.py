"""The values of a pprof profile by call stack and labels, for comparing profiles of one process.

Small profiles come often (one per target, type and scrape), so this stays in NumPy, where a call costs a microsecond.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from correlate.errors import Malformed, UnknownFormat
from correlate.formats import wire
from correlate.formats.arrow import Ragged, integers, ragged
from correlate.formats.inflate import gunzip, gzip
from correlate.formats.proto.pprof_pb2 import Profile
from correlate.formats.text import utf8
from correlate.tables.hashing import combine, hash_text, mix, sequence_hashes

I64 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Counters:
    """What a profile counts.

    Attributes:
        types: names of the sample types.
        time_ns: when it was taken, nanoseconds since the Unix epoch.
        keys: what identifies a stack with its labels within the process, ascending, each once.
        values: one row per key, one column per type.
    """

    types: tuple[str, ...]
    time_ns: int
    keys: I64
    values: I64

    def at(self, keys: I64) -> I64:
        """The values of some keys; 0 for keys that are not there."""
        if not len(self.keys):
            return np.zeros((len(keys), len(self.types)), np.int64)
        rows = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        found = self.keys[rows] == keys
        return np.where(found[:, None], self.values[rows], 0)


@dataclass(frozen=True, slots=True, eq=False)
class Counted:
    """A decoded profile and its counters.

    Attributes:
        counters: what it counts.
        batch: the profile as decoded, one row.
        first: for each key, the first sample that has it.
    """

    counters: Counters
    batch: pa.RecordBatch
    first: I64

    def with_values(self, values: I64) -> "Counted":
        """The profile with other values for its keys; samples in which all are 0 are left out."""
        kept = np.flatnonzero(values.any(axis=1))
        kept = kept[np.argsort(self.first[kept])]
        rows = self.batch.column("sample").values.take(pa.array(self.first[kept]))
        width = len(self.counters.types)
        offsets = np.arange(0, (len(kept) + 1) * width, width, dtype=np.int64)
        lists = pa.LargeListArray.from_arrays(pa.array(offsets), pa.array(values[kept].ravel()))
        children = [lists if part.name == "value" else rows.field(part.name) for part in rows.type]
        samples = pa.StructArray.from_arrays(children, names=[part.name for part in rows.type])
        column = pa.LargeListArray.from_arrays(pa.array([0, len(kept)], pa.int64()), samples)
        return replace(self, batch=_with(self.batch, sample=column))

    def spanning(self, start_ns: int, duration_ns: int) -> "Counted":
        """The profile with another time."""
        times = {"time_nanos": pa.array([start_ns]), "duration_nanos": pa.array([duration_ns])}
        return replace(self, batch=_with(self.batch, **times))

    def write(self) -> bytes:
        """As gzip-compressed pprof."""
        return gzip(wire.encode(Profile, self.batch)[0])

    @property
    def is_empty(self) -> bool:
        """Whether it has no samples."""
        return len(self.batch.column("sample").values) == 0


def read_counters(body: bytes) -> Counted:
    """Read a profile, gzip or plain.

    Raises:
        Malformed: it is broken.
        UnknownFormat: it declares no sample types.
        TooLarge: it exceeds a limit.
    """
    batch = wire.decode(Profile, [gunzip(body)])
    strings = batch.column("string_table").values
    types = ragged(batch.column("sample_type")).values
    if not len(types):
        raise UnknownFormat("not a pprof profile: it declares no sample types")
    names = [text.as_py().decode("utf-8", "replace") for text in strings.take(_positions(types.field("type"), strings))]
    sample = ragged(batch.column("sample"))
    values = ragged(sample.values.field("value"))
    if (values.lengths != len(names)).any():
        raise Malformed(f"a sample has not one value for each of the {len(names)} sample types")
    keys, first, of_sample = np.unique(_keys(batch, sample, strings), return_index=True, return_inverse=True)
    sums = np.zeros((len(keys), len(names)), np.int64)
    np.add.at(sums, of_sample, integers(values.values).reshape(-1, len(names)))
    time_ns = int(batch.column("time_nanos")[0].as_py())
    return Counted(Counters(tuple(names), time_ns, keys, sums), batch, first.astype(np.int64))


def _with(batch: pa.RecordBatch, **columns: pa.Array) -> pa.RecordBatch:
    parts = [
        columns[part.name].cast(part.type) if part.name in columns else batch.column(part.name) for part in batch.schema
    ]
    return pa.RecordBatch.from_arrays(parts, schema=batch.schema)


def _keys(batch: pa.RecordBatch, sample: Ragged, strings: pa.Array) -> I64:
    """Of each sample: the addresses of its stack, and its labels."""
    stacks = ragged(sample.values.field("location_id"))
    locations = ragged(batch.column("location")).values
    places = _looked_up(
        integers(stacks.values), integers(locations.field("id")), _place_keys(batch, locations, strings)
    )
    labels = ragged(sample.values.field("label"))
    return combine([sequence_hashes(places, stacks.offsets), _label_keys(labels, strings)])


def _place_keys(batch: pa.RecordBatch, locations: pa.Array, strings: pa.Array) -> I64:
    """Of each location its address, or where it has none what its lines say."""
    addresses = integers(locations.field("address"))
    keys = mix(addresses).view(np.int64)
    if addresses.all():
        return keys
    lines = ragged(locations.field("line"))
    functions = ragged(batch.column("function")).values
    names = _text_keys(functions.field("name"), strings)
    called = _looked_up(integers(lines.values.field("function_id")), integers(functions.field("id")), names)
    return np.where(
        addresses != 0, keys, sequence_hashes(combine([called, integers(lines.values.field("line"))]), lines.offsets)
    )


def _label_keys(labels: Ragged, strings: pa.Array) -> I64:
    if not len(labels.values):
        return np.zeros(len(labels.lengths), np.int64)
    texts = [_text_keys(labels.values.field(name), strings) for name in ("key", "str")]
    return sequence_hashes(combine([*texts, integers(labels.values.field("num"))]), labels.offsets)


def _text_keys(positions: pa.Array, strings: pa.Array) -> I64:
    """Hash the strings at some positions, each distinct one once."""
    distinct, of_item = np.unique(_positions(positions, strings), return_inverse=True)
    return hash_text(utf8(strings.take(pa.array(distinct))))[of_item]


def _positions(column: pa.Array, strings: pa.Array) -> I64:
    positions = integers(column)
    if len(positions) and not 0 <= int(positions.min()) <= int(positions.max()) < len(strings):
        raise Malformed("a position lies outside of the string table")
    return positions


def _looked_up(ids: I64, table_ids: I64, keys: I64) -> I64:
    """The keys of what ids stand for; 0 for ids that stand for nothing."""
    if not len(table_ids):
        return np.zeros(len(ids), np.int64)
    order = np.argsort(table_ids, kind="stable")
    rows = order[np.minimum(np.searchsorted(table_ids, ids, sorter=order), len(order) - 1)]
    return np.where(table_ids[rows] == ids, keys[rows], 0)
