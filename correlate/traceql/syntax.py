"""The syntax tree of a query: which spans, by what they are and by how they are related."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Type(StrEnum):
    """What kind of value an operand has; `ANY` is what an attribute has until its value is seen."""

    STRING = "string"
    INTEGER = "integer"
    DECIMAL = "decimal number"
    BOOLEAN = "boolean"
    DURATION = "duration"
    STATUS = "status"
    KIND = "kind"
    NIL = "nil"
    ANY = "attribute"


class Where(StrEnum):
    """Where an attribute is looked for; `EITHER` means the span's own attributes, then those of its resource."""

    SPAN = "span"
    RESOURCE = "resource"
    EITHER = ""


class Intrinsic(StrEnum):
    """What every span has, whatever its attributes. The values are the short names of TraceQL."""

    NAME = "name"
    DURATION = "duration"
    STATUS = "status"
    STATUS_MESSAGE = "statusMessage"
    KIND = "kind"
    PARENT = "parent"
    ROOT_NAME = "rootName"
    ROOT_SERVICE = "rootServiceName"
    TRACE_DURATION = "traceDuration"
    SPAN_ID = "span:id"
    PARENT_ID = "span:parentID"
    TRACE_ID = "trace:id"


@dataclass(frozen=True, slots=True)
class Literal:
    """A value written in the query: durations in nanoseconds, a status or kind as its OTLP number."""

    type: Type
    value: str | int | float | bool


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute of the span or of its resource."""

    where: Where
    key: str


SERVICE: Final = Attribute(Where.RESOURCE, "service.name")
"""The service of the span: every span has one."""

Field = Intrinsic | Attribute
Operand = Literal | Field


@dataclass(frozen=True, slots=True)
class Constant:
    """True of every span, or of none."""

    value: bool


@dataclass(frozen=True, slots=True)
class Compare:
    """``left op right``; false where one side is missing or the types differ. `op` is as in TraceQL."""

    op: str
    left: Operand
    right: Operand


@dataclass(frozen=True, slots=True)
class Exists:
    """The span has the attribute; for `Intrinsic.PARENT`: it is not a root."""

    field: Field


@dataclass(frozen=True, slots=True)
class Truth:
    """The attribute is the boolean true."""

    attribute: Attribute


@dataclass(frozen=True, slots=True)
class Not:
    """The condition is false."""

    part: "Condition"


@dataclass(frozen=True, slots=True)
class All:
    """Every part is true. There are at least two."""

    parts: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Either:
    """At least one part is true. There are at least two."""

    parts: tuple["Condition", ...]


Condition = Constant | Compare | Exists | Truth | Not | All | Either


@dataclass(frozen=True, slots=True)
class SpansWith:
    """``{ condition }``: the spans of which it is true."""

    condition: Condition


@dataclass(frozen=True, slots=True)
class Combined:
    """``left op right`` within each trace.

    ``&&``: the spans of both sides, where both have some; ``||``: the spans of both. The others give spans of the
    right side: ``>`` children, ``>>`` descendants, ``<`` parents, ``<<`` ancestors, ``~`` siblings of a span of the
    left; with ``!`` in front those that are not; with ``&`` in front the related spans of both sides.
    """

    op: str
    left: "Query"
    right: "Query"


Query = SpansWith | Combined

STATUSES: Final = {"unset": 0, "ok": 1, "error": 2}
KINDS: Final = {"unspecified": 0, "internal": 1, "server": 2, "client": 3, "producer": 4, "consumer": 5}
"""What TraceQL calls the codes of OTLP."""

TYPES: Final[dict[Intrinsic, Type]] = {
    Intrinsic.NAME: Type.STRING,
    Intrinsic.DURATION: Type.DURATION,
    Intrinsic.STATUS: Type.STATUS,
    Intrinsic.STATUS_MESSAGE: Type.STRING,
    Intrinsic.KIND: Type.KIND,
    Intrinsic.PARENT: Type.NIL,
    Intrinsic.ROOT_NAME: Type.STRING,
    Intrinsic.ROOT_SERVICE: Type.STRING,
    Intrinsic.TRACE_DURATION: Type.DURATION,
    Intrinsic.SPAN_ID: Type.STRING,
    Intrinsic.PARENT_ID: Type.STRING,
    Intrinsic.TRACE_ID: Type.STRING,
}
"""The type of each intrinsic."""


def type_of(operand: Operand) -> Type:
    """What kind of value an operand has."""
    if isinstance(operand, Literal):
        return operand.type
    return Type.ANY if isinstance(operand, Attribute) else TYPES[operand]


def filters(query: Query) -> list[SpansWith]:
    """The ``{ … }`` of a query, from left to right."""
    found: list[SpansWith] = []
    waiting: list[Query] = [query]
    while waiting:
        next_one = waiting.pop()
        if isinstance(next_one, SpansWith):
            found.append(next_one)
        else:
            waiting += [next_one.right, next_one.left]
    return found


def fields(condition: Condition) -> set[Field]:
    """What a condition looks at."""
    found: set[Field] = set()
    waiting: list[Condition] = [condition]
    while waiting:
        part = waiting.pop()
        if isinstance(part, Compare):
            found |= {each for each in (part.left, part.right) if not isinstance(each, Literal)}
        elif isinstance(part, Exists):
            found.add(part.field)
        elif isinstance(part, Truth):
            found.add(part.attribute)
        elif isinstance(part, Not):
            waiting.append(part.part)
        elif isinstance(part, All | Either):
            waiting += part.parts
    return found
