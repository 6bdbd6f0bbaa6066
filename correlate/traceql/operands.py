"""The values of what a condition names, for many spans at once."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from correlate.tables.hexadecimal import to_hex, trace_to_hex
from correlate.traceql.attributes import Typed, Values, values_of
from correlate.traceql.syntax import (
    SERVICE,
    TYPES,
    Attribute,
    Condition,
    Field,
    Intrinsic,
    Literal,
    Operand,
    Type,
    Where,
    fields,
)

I64 = npt.NDArray[np.int64]

OF_TRACES: Final = ("root_name", "root_service", "trace_duration_ns")
"""Columns that are not of SPANS: what the spans of the same trace say; null where that is not known."""

_COLUMNS: Final[dict[Intrinsic, tuple[str, ...]]] = {
    Intrinsic.NAME: ("name",),
    Intrinsic.DURATION: ("duration_ns",),
    Intrinsic.STATUS: ("status",),
    Intrinsic.STATUS_MESSAGE: ("status_message",),
    Intrinsic.KIND: ("kind",),
    Intrinsic.PARENT: ("parent",),
    Intrinsic.ROOT_NAME: ("root_name",),
    Intrinsic.ROOT_SERVICE: ("root_service",),
    Intrinsic.TRACE_DURATION: ("trace_duration_ns",),
    Intrinsic.SPAN_ID: ("span",),
    Intrinsic.PARENT_ID: ("parent",),
    Intrinsic.TRACE_ID: ("trace_hi", "trace_lo"),
}
_STORED: Final = {Type.STRING: pl.String, Type.DECIMAL: pl.Float64, Type.BOOLEAN: pl.Boolean}
_ID_DIGITS: Final = {Intrinsic.SPAN_ID: 16, Intrinsic.PARENT_ID: 16, Intrinsic.TRACE_ID: 32}


@dataclass(frozen=True, slots=True)
class Rows:
    """Some spans.

    Attributes:
        spans: columns as `columns_of` says.
        series: the SERIES rows they point to; only their ids and labels are looked at.
        chosen: which rows of `spans`; None: all.
    """

    spans: pl.DataFrame
    series: pl.DataFrame
    chosen: I64 | None = None

    def __len__(self) -> int:
        return len(self.spans) if self.chosen is None else len(self.chosen)

    def column(self, name: str) -> pl.Series:
        """A column of the chosen rows."""
        whole = self.spans[name]
        return whole if self.chosen is None else whole[self.chosen]

    def take(self, rows: I64) -> "Rows":
        """Some of these rows."""
        return Rows(self.spans, self.series, rows if self.chosen is None else self.chosen[rows])


def columns_of(condition: Condition) -> set[str]:
    """The columns that a condition looks at: of SPANS, and some of `OF_TRACES`."""
    return {column for field in fields(condition) for column in _columns(field)}


def _columns(field: Field) -> tuple[str, ...]:
    if isinstance(field, Intrinsic):
        return _COLUMNS[field]
    resource = ("service",) if field.key == SERVICE.key else ("series",)
    return {Where.SPAN: ("attributes",), Where.RESOURCE: resource, Where.EITHER: ("attributes", *resource)}[field.where]


def typed(operand: Operand, rows: Rows) -> Typed:
    """Values by type; those of a literal are one, which stands for all rows."""
    if isinstance(operand, Literal):
        return _literal(operand)
    if isinstance(operand, Attribute):
        return attribute_values(operand, rows).typed()
    return _intrinsic(operand, rows)


def attribute_values(attribute: Attribute, rows: Rows) -> Values:
    """The values of an attribute; where either scope will do, those of the span come first."""
    if attribute.where is Where.RESOURCE:
        return _of_resources(attribute.key, rows)
    own = values_of(rows.column("attributes"), attribute.key)
    return own if attribute.where is Where.SPAN else own.or_else(_of_resources(attribute.key, rows))


def same_form(operand: Operand, id_: Operand) -> Operand:
    """An id as it is written out here, when that is what a text is compared with: all digits, in lower case."""
    if not isinstance(operand, Intrinsic) or operand not in _ID_DIGITS or not isinstance(id_, Literal):
        return id_
    return Literal(id_.type, str(id_.value).lower().zfill(_ID_DIGITS[operand]))


def _of_resources(key: str, rows: Rows) -> Values:
    """The label of each span's series, looked up once for each series."""
    if key == SERVICE.key:
        return Values.of_strings(rows.column("service"))
    ids = rows.series["series"].to_numpy()
    order = np.argsort(ids)
    wanted = rows.column("series").to_numpy()
    at = np.searchsorted(ids[order], wanted)
    row = np.append(order, -1)[at]
    known = (row >= 0) & (np.append(ids, 0)[row] == wanted)
    return values_of(rows.series["labels"], key).take(np.where(known, row, -1))


def _literal(literal: Literal) -> Typed:
    kind = Type.INTEGER if literal.type is Type.DURATION else literal.type
    return {kind: pl.Series([literal.value], dtype=_STORED.get(kind, pl.Int64))}


def _intrinsic(intrinsic: Intrinsic, rows: Rows) -> Typed:
    if intrinsic is Intrinsic.TRACE_ID:
        return {Type.STRING: trace_to_hex(*(rows.column(name).to_numpy() for name in _COLUMNS[intrinsic]))}
    (name,) = _COLUMNS[intrinsic]
    if intrinsic in _ID_DIGITS:
        return {Type.STRING: to_hex(rows.column(name).to_numpy())}
    kind = TYPES[intrinsic]
    return {Type.INTEGER if kind is Type.DURATION else kind: rows.column(name)}
