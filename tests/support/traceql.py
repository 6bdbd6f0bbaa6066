"""Random queries and spans, and a reader of queries that looks at one span at a time."""

import json
import operator
import re
from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl
from hypothesis import strategies as st

from correlate.model.ids import format_span_id
from correlate.tables.schema import (
    ATTRIBUTES,
    KIND_ARRAY,
    KIND_BOOL,
    KIND_DOUBLE,
    KIND_EMPTY,
    KIND_INT,
    KIND_STRING,
    SPANS,
)
from correlate.tables.series import series_of_resources
from correlate.tables.tables import Tables
from correlate.traceql.syntax import (
    KINDS,
    SERVICE,
    STATUSES,
    All,
    Attribute,
    Combined,
    Compare,
    Condition,
    Constant,
    Either,
    Exists,
    Intrinsic,
    Literal,
    Not,
    Operand,
    Query,
    SpansWith,
    Truth,
    Type,
    Where,
)
from tests.support.rows import spans

KEYS = ("a", "b.c", "weird key")
TEXTS = ("x", "y", "xy", "")
NUMBERS = (0, 1, -2, 2**53 + 1)
REGEXES = ("x", "x|y", "x.*", ".*", "")
ORDER = ("=", "!=", "<", "<=", ">", ">=")

Attributes = dict[str, Any]


def literals() -> st.SearchStrategy[Literal]:
    """Values that attributes may have."""
    return st.one_of(
        st.sampled_from(TEXTS).map(lambda text: Literal(Type.STRING, text)),
        st.sampled_from(NUMBERS).map(lambda number: Literal(Type.INTEGER, number)),
        st.sampled_from([0.5, 1.0, -2.0]).map(lambda number: Literal(Type.DECIMAL, number)),
    )


def attributes() -> st.SearchStrategy[Attribute]:
    """Attributes of few names, in all scopes."""
    return st.builds(Attribute, st.sampled_from(list(Where)), st.sampled_from(KEYS))


def comparisons() -> st.SearchStrategy[Condition]:
    """Comparisons that pass the checks."""

    def some(kind: Type, values_: Iterable[str | float]) -> st.SearchStrategy[Literal]:
        return st.sampled_from([Literal(kind, value) for value in values_])

    texts, order, equality = some(Type.STRING, TEXTS), st.sampled_from(ORDER), st.sampled_from(ORDER[:2])
    named = st.sampled_from([Intrinsic.NAME, Intrinsic.STATUS_MESSAGE, SERVICE])
    durations = st.one_of(some(Type.DURATION, [0, 1, 5, 1_500_000]), some(Type.DECIMAL, [1.5]))
    regex = st.one_of(attributes(), st.just(Intrinsic.NAME))
    return st.one_of(
        st.builds(Compare, order, attributes(), literals()),
        st.builds(Compare, equality, attributes(), some(Type.BOOLEAN, [True, False])),
        st.builds(Compare, st.sampled_from(["=~", "!~"]), regex, some(Type.STRING, REGEXES)),
        st.builds(Compare, order, attributes(), attributes()),
        st.builds(Compare, order, named, texts),
        st.builds(Compare, order, st.just(Intrinsic.DURATION), durations),
        st.builds(Compare, equality, st.just(Intrinsic.STATUS), some(Type.STATUS, STATUSES.values())),
        st.builds(Compare, equality, st.just(Intrinsic.KIND), some(Type.KIND, KINDS.values())),
        st.builds(Compare, equality, st.just(Intrinsic.SPAN_ID), some(Type.STRING, ["0000000000000001"])),
        st.builds(Compare, order, some(Type.INTEGER, [1]), some(Type.DECIMAL, [1.5])),
        st.builds(Exists, st.one_of(attributes(), st.just(Intrinsic.PARENT))),
        st.builds(Truth, attributes()),
        st.builds(Constant, st.booleans()),
    )


def _groups(inner: st.SearchStrategy[Condition]) -> st.SearchStrategy[Condition]:
    def group(kind: type[All] | type[Either]) -> st.SearchStrategy[Condition]:
        parts = st.lists(inner, min_size=2, max_size=3).map(tuple)
        return parts.filter(lambda each: not isinstance(each[0], kind)).map(kind)  # reading would flatten that

    return st.one_of(inner.filter(lambda part: not isinstance(part, Truth)).map(Not), group(All), group(Either))


def conditions() -> st.SearchStrategy[Condition]:
    """Conditions as they come out of reading."""
    return st.recursive(comparisons(), _groups, max_leaves=6)


def queries() -> st.SearchStrategy[Query]:
    """Queries of one or a few ``{ … }``."""
    ops = st.sampled_from(["&&", "||", ">", "<", ">>", "<<", "~", "!>", "!>>", "!~", "&>", "&<<", "&~", "!<", "!<<"])
    return st.recursive(conditions().map(SpansWith), lambda inner: st.builds(Combined, ops, inner, inner), max_leaves=4)


def values() -> st.SearchStrategy[Any]:
    """Attribute values of all types."""
    plain = st.sampled_from([*TEXTS, *NUMBERS, 0.5, 2.0, True, False, None])
    arrays = st.sampled_from([["x", "y"], ['x"', "\\y"], [0, 1], [0.5], [True], []])
    return st.one_of(plain, arrays)


def rows() -> st.SearchStrategy[dict[str, Any]]:
    """One span, with ``attributes`` and ``resource`` as dictionaries."""
    some = st.dictionaries(st.sampled_from(KEYS), values(), max_size=3)
    return st.fixed_dictionaries(
        {
            "span": st.integers(1, 9),
            "parent": st.integers(0, 3),
            "service": st.sampled_from(TEXTS[:3]),
            "name": st.sampled_from(TEXTS),
            "kind": st.integers(0, 5),
            "status": st.integers(0, 2),
            "status_message": st.sampled_from(TEXTS),
            "duration_ns": st.sampled_from([0, 1, 2, 5, 1_500_000]),
            "attributes": some,
            "resource": some,
        }
    )


def tables(given: list[dict[str, Any]]) -> Tables:
    """The spans of `rows` and their series."""
    rows_ = spans(*({name: row[name] for name in row if name in SPANS and name != "attributes"} for row in given))
    own, resource = (
        pl.Series([stored(row.get(name, {})) for row in given], dtype=ATTRIBUTES) for name in ("attributes", "resource")
    )
    ids, series = series_of_resources(rows_["service"], resource)
    return Tables(spans=rows_.with_columns(attributes=own, series=pl.Series(ids, dtype=pl.Int64)), series=series)


def stored(attributes: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Attributes as they are stored."""
    return [{"key": key, "value": _text(value), "kind": _kind(value)} for key, value in attributes.items()]


def _kind(value: object) -> int:
    kinds = {str: KIND_STRING, bool: KIND_BOOL, int: KIND_INT, float: KIND_DOUBLE, list: KIND_ARRAY}
    return kinds.get(type(value), KIND_EMPTY)


def _text(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


def holds(condition: Condition, row: Mapping[str, Any]) -> bool:
    """Whether a condition is true of one span: the slow twin of `evaluate.matching`."""
    match condition:
        case Constant(value):
            found = value
        case Not(part):
            found = not holds(part, row)
        case All(parts):
            found = all(holds(part, row) for part in parts)
        case Either(parts):
            found = any(holds(part, row) for part in parts)
        case Truth(attribute):
            found = value_of(attribute, row) is True
        case Exists(field):
            found = row["parent"] != 0 if field is Intrinsic.PARENT else value_of(field, row) is not None
        case Compare(op, left, right):
            found = _compare_values(op, value_of(left, row), value_of(right, row), isinstance(right, Literal))
    return found


def value_of(operand: Operand, row: Mapping[str, Any]) -> Any:
    """The value of an operand, None where it is missing."""
    if isinstance(operand, Attribute):
        return row["service"] if operand == SERVICE else _attribute(operand, row)
    if isinstance(operand, Literal):
        return (operand.type, operand.value) if operand.type in (Type.STATUS, Type.KIND) else operand.value
    return {
        Intrinsic.NAME: row["name"],
        Intrinsic.DURATION: row["duration_ns"],
        Intrinsic.STATUS_MESSAGE: row["status_message"],
        Intrinsic.STATUS: (Type.STATUS, row["status"]),
        Intrinsic.KIND: (Type.KIND, row["kind"]),
        Intrinsic.SPAN_ID: format_span_id(row["span"]),
    }[operand]


def _attribute(attribute: Attribute, row: Mapping[str, Any]) -> Any:
    own, resource = row["attributes"], row["resource"]
    either = own if attribute.key in own else resource
    return {Where.SPAN: own, Where.RESOURCE: resource, Where.EITHER: either}[attribute.where].get(attribute.key)


def _compare_values(op: str, left: Any, right: Any, literal: bool) -> bool:
    if isinstance(left, list):
        hits = [_compare_values(op, each, right, literal) for each in left] if literal else []
        return bool(hits) and all(hits) if op in ("!=", "!~") else any(hits)
    if left is None or right is None or isinstance(right, list) or _sort(left) != _sort(right):
        return False
    if op in ("=~", "!~"):
        return isinstance(left, str) and (re.fullmatch(right, left, re.DOTALL) is not None) == (op == "=~")
    if isinstance(left, bool) and op not in ("=", "!="):
        return False
    if isinstance(left, float) or isinstance(right, float):
        left, right = (float(each) if isinstance(each, int) else each for each in (left, right))
    python = {"=": "eq", "!=": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge"}[op]
    return bool(getattr(operator, python)(left, right))


def _sort(value: object) -> object:
    if isinstance(value, tuple):
        return value[0]
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value)


def sorted_ids(frame: pl.DataFrame) -> list[int]:
    """Span ids in order."""
    return sorted(frame["span"].to_list())
