"""OTLP attributes as columns: key, text and kind of each, whatever type its value had.

Source: opentelemetry-proto ``common/v1/common.proto``. Since OTLP 1.10 resource attributes of a profiles request may
name their key and their text by position in the request's string table; both ways of writing are read.
"""

from base64 import b64encode
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import orjson
import polars as pl
import pyarrow as pa
from google.protobuf.message import DecodeError

from correlate.formats.arrow import integers, ragged
from correlate.formats.proto import otlp_messages_pb2 as messages
from correlate.formats.text import decode_lossy, utf8
from correlate.tables.schema import (
    ATTRIBUTES,
    KIND_ARRAY,
    KIND_BOOL,
    KIND_BYTES,
    KIND_DOUBLE,
    KIND_EMPTY,
    KIND_INT,
    KIND_MAP,
    KIND_STRING,
)

I64 = npt.NDArray[np.int64]
I8 = npt.NDArray[np.int8]

NO_STRINGS = pl.Series([""])
"""The string table of a request that has none."""

_KINDS = {
    "string_value": KIND_STRING,
    "bool_value": KIND_BOOL,
    "int_value": KIND_INT,
    "double_value": KIND_DOUBLE,
    "array_value": KIND_ARRAY,
    "kvlist_value": KIND_MAP,
    "bytes_value": KIND_BYTES,
    "string_value_strindex": KIND_STRING,
}


@dataclass(frozen=True, slots=True)
class Attributes:
    """The attributes of n owners (resources, spans).

    Attributes:
        rows: columns key, value and kind as in ATTRIBUTES, all owners' one after the other.
        offsets: where each owner's attributes start in `rows`, plus the end.
    """

    rows: pl.DataFrame
    offsets: I64

    def column(self) -> pl.Series:
        """One ATTRIBUTES list for each owner."""
        items = self.rows.to_struct("attribute").to_arrow()
        lists = pa.LargeListArray.from_arrays(pa.array(self.offsets), items)
        return pl.Series("attributes", pl.from_arrow(lists)).cast(ATTRIBUTES)

    def text(self, key: str) -> pl.Series:
        """The text of an attribute for each owner, the first where there are several; "" where there is none."""
        at = np.flatnonzero((self.rows["key"] == key).to_numpy())
        count = len(self.offsets) - 1
        if not len(at):
            return _blank(count)
        owner = np.searchsorted(self.offsets, at, side="right") - 1
        if len(at) == count and bool((owner == np.arange(count)).all()):  # every owner has one
            return self.rows["value"][at]
        row = np.full(count, len(self.rows))
        row[owner[::-1]] = at[::-1]
        return pl.concat([self.rows["value"], NO_STRINGS])[row]


def attributes(column: pa.Array, strings: pl.Series = NO_STRINGS) -> Attributes:
    """Read a list column of KeyValue messages.

    Args:
        column: one list for each owner.
        strings: the request's string table, for attributes that refer to it; a reference beyond it is "".
    """
    lists = ragged(column)
    pairs: pa.StructArray = lists.values
    key = utf8(pairs.field("key"))
    if pairs.type.get_field_index("key_strindex") >= 0:
        key = _choose(key == "", _named(integers(pairs.field("key_strindex")), strings), key)
    value, kind = value_texts(pairs.field("value"), strings)
    return Attributes(pl.DataFrame({"key": key, "value": value, "kind": kind}), lists.offsets)


def value_texts(values: pa.StructArray, strings: pl.Series = NO_STRINGS) -> tuple[pl.Series, I8]:
    """Read AnyValue messages: the text and the KIND_* of each.

    Numbers are written in decimal, lists and maps as JSON, bytes as base64.
    """
    kind = np.full(len(values), KIND_EMPTY, np.int8)
    text = None
    for name, column in zip(values.type.names, values.flatten(), strict=True):
        if column.null_count < len(column):
            present = np.asarray(column.is_valid())
            kind[present] = _KINDS[name]
            part = _text(name, column, strings)
            text = part if text is None else _choose(pl.Series(present), part, text)
    if text is None:
        return _blank(len(kind)), kind
    return text.fill_null("") if text.null_count() else text, kind


def service_names(resources: Attributes) -> pl.Series:
    """The service of each resource: ``service.name``, else what the OpenTelemetry specification says to call it.

    That is ``unknown_service``, followed by ``:`` and the name of the executable where it is known.
    """
    name = resources.text("service.name")
    if (name != "").all():
        return name
    executable = resources.text("process.executable.name")
    unknown = _choose(
        executable == "", pl.repeat("unknown_service", len(executable), eager=True), _prefixed(executable)
    )
    return _choose(name == "", unknown, name)


def _prefixed(executable: pl.Series) -> pl.Series:
    return pl.select(pl.format("unknown_service:{}", executable)).to_series()


def _text(name: str, column: pa.Array, strings: pl.Series) -> pl.Series:
    """The values of one member of the oneof as text; what stands where the member is absent does not matter."""
    if name == "string_value":
        return utf8(column)
    if name == "string_value_strindex":
        return _named(integers(column), strings)
    if name in ("array_value", "kvlist_value"):
        return _json_texts(column, name == "array_value", strings)
    plain = pl.Series(pl.from_arrow(column))
    return plain.bin.encode("base64") if name == "bytes_value" else plain.cast(pl.String)


def _named(index: I64, strings: pl.Series) -> pl.Series:
    known = (index >= 0) & (index < len(strings))
    return pl.concat([strings, NO_STRINGS])[np.where(known, index, len(strings))]


def _json_texts(column: pa.Array, is_array: bool, strings: pl.Series) -> pl.Series:
    """Lists or maps as JSON; only distinct values are decoded one by one, the same few recur in real traffic."""
    encoded = column.dictionary_encode()
    table = strings if len(strings) > 1 else NO_STRINGS
    texts = [_json_text(raw, is_array, table) for raw in encoded.dictionary.to_pylist()]
    return pl.Series(texts, dtype=pl.String)[pl.Series(pl.from_arrow(encoded.indices))]


def _json_text(raw: bytes, is_array: bool, strings: pl.Series) -> str:
    try:
        if is_array:
            value = messages.NestedValue(array_value=messages.NestedArray.FromString(raw))
        else:
            value = messages.NestedValue(kvlist_value=messages.NestedMap.FromString(raw))
        return orjson.dumps(_plain(value, strings)).decode()
    except DecodeError:  # broken, or nested deeper than protobuf allows: the bytes themselves, as a JSON string
        return orjson.dumps(b64encode(raw).decode()).decode()


def _plain(value: messages.NestedValue, strings: pl.Series) -> object:
    """A value as JSON has it. The recursion is bounded by that of the protobuf parser, 100 messages."""
    member = value.WhichOneof("value")
    if member == "array_value":
        return [_plain(item, strings) for item in value.array_value.values]
    if member == "kvlist_value":
        return {_entry_key(entry, strings): _plain(entry.value, strings) for entry in value.kvlist_value.values}
    if member == "string_value":
        return decode_lossy(value.string_value)
    if member == "string_value_strindex":
        return _string_at(value.string_value_strindex, strings)
    if member == "bytes_value":
        return b64encode(value.bytes_value).decode()
    return getattr(value, member) if member else None


def _entry_key(entry: messages.NestedEntry, strings: pl.Series) -> str:
    return decode_lossy(entry.key) if entry.key else _string_at(entry.key_strindex, strings)


def _string_at(index: int, strings: pl.Series) -> str:
    return str(strings[index]) if 0 <= index < len(strings) else ""


def _choose(condition: pl.Series, yes: pl.Series, no: pl.Series) -> pl.Series:
    return yes.zip_with(condition, no)


def _blank(length: int) -> pl.Series:
    return NO_STRINGS.new_from_index(0, length)
