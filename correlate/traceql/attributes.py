"""Attributes of many spans at once: the text and the kind of one attribute of each."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from correlate.tables.schema import (
    ATTRIBUTES,
    KIND_ARRAY,
    KIND_BOOL,
    KIND_DOUBLE,
    KIND_EMPTY,
    KIND_INT,
    KIND_STRING,
)
from correlate.traceql.syntax import Type

I64 = npt.NDArray[np.int64]
I8 = npt.NDArray[np.int8]
Typed = dict[Type, pl.Series]
"""Values by type; in each series null where the value is missing or of another type."""

_MISSING: Final = 0
_ELEMENTS: Final = r'"(?:[^"\\]|\\.)*"|-?[0-9][0-9.eE+-]*|true|false'


@dataclass(frozen=True, slots=True)
class Values:
    """One attribute of n owners.

    Attributes:
        text: its text, "" where it is missing.
        kind: its KIND_*, 0 where it is missing.
    """

    text: pl.Series
    kind: I8

    @classmethod
    def of_strings(cls, texts: pl.Series) -> "Values":
        """Strings that are always there."""
        return cls(texts, np.full(len(texts), KIND_STRING, np.int8))

    @property
    def present(self) -> npt.NDArray[np.bool_]:
        """Where there is a value; an attribute without one counts as missing."""
        return np.asarray((self.kind != _MISSING) & (self.kind != KIND_EMPTY))

    def take(self, rows: I64) -> "Values":
        """The values of some owners; -1 stands for one that has none."""
        return Values(pl.concat([self.text, pl.Series([""])])[rows], np.append(self.kind, np.int8(_MISSING))[rows])

    def or_else(self, other: "Values") -> "Values":
        """These, and where they are missing the others."""
        here = self.kind != _MISSING
        return Values(self.text.zip_with(pl.Series(here), other.text), np.where(here, self.kind, other.kind))

    def typed(self) -> Typed:
        """The values by type."""
        return {
            Type.STRING: self._only(KIND_STRING),
            Type.INTEGER: self._only(KIND_INT).cast(pl.Int64, strict=False),
            Type.DECIMAL: self._only(KIND_DOUBLE).cast(pl.Float64, strict=False).fill_nan(None),
            Type.BOOLEAN: self._only(KIND_BOOL) == "true",
        }

    def members(self) -> "tuple[I64, Values]":
        """The members of those values that are arrays, and whose value each belongs to."""
        owners = np.flatnonzero(self.kind == KIND_ARRAY)
        lists = self.text[owners].str.extract_all(_ELEMENTS)
        owner = np.repeat(owners, lists.list.len().to_numpy())
        written = lists.explode(empty_as_null=False)
        return owner, Values(_unquoted(written), _kinds(written))

    def _only(self, kind: int) -> pl.Series:
        mine = pl.Series(self.kind == kind)
        return self.text.zip_with(mine, pl.Series([None], dtype=pl.String).new_from_index(0, len(mine)))


def values_of(lists: pl.Series, key: str) -> Values:
    """The first attribute of a name in each of many lists of type ATTRIBUTES."""
    every = lists.cast(ATTRIBUTES).rechunk().to_arrow()
    offsets = np.asarray(every.offsets).astype(np.int64, copy=False)
    items = every.values.slice(offsets[0], offsets[-1] - offsets[0])
    found = np.flatnonzero((pl.Series(pl.from_arrow(items.field("key"))) == key).to_numpy())
    owner = np.searchsorted(offsets - offsets[0], found, side="right") - 1
    row = np.full(len(lists), -1)
    row[owner[::-1]] = np.arange(len(found))[::-1]
    text = pl.Series(pl.from_arrow(items.field("value")))[found]
    kind = pl.Series(pl.from_arrow(items.field("kind")))[found]
    return Values(text, kind.to_numpy().astype(np.int8)).take(row)


def _unquoted(written: pl.Series) -> pl.Series:
    strings = written.str.starts_with('"')
    if not strings.any():
        return written
    blank = pl.Series(['""']).new_from_index(0, len(written))
    return written.zip_with(strings, blank).str.json_decode(pl.String).zip_with(strings, written)


def _kinds(written: pl.Series) -> I8:
    kinds = np.where(written.str.contains("[.eE]").to_numpy(), KIND_DOUBLE, KIND_INT)
    kinds = np.where(written.is_in(["true", "false"]).to_numpy(), KIND_BOOL, kinds)
    return np.where(written.str.starts_with('"').to_numpy(), KIND_STRING, kinds).astype(np.int8)
