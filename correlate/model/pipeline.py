"""Rules that data passes on its way in: which resources are wanted, and what their attributes become."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

SERVICE_KEYS: Final = ("service.name", "service_name")
"""Two spellings of the one attribute that every series has: the name of its service."""

TYPE_KEY: Final = "profile.type"
"""What rules call the profile type id; spans have none."""


class Signal(StrEnum):
    """What a rule is about."""

    SPANS = "spans"
    PROFILES = "profiles"


class ActionKind(StrEnum):
    """What happens to an attribute; the words are those of the OpenTelemetry collector."""

    INSERT = "insert"
    UPDATE = "update"
    UPSERT = "upsert"
    DELETE = "delete"
    RENAME = "rename"


@dataclass(frozen=True, slots=True)
class Condition:
    """One attribute that has to have a value.

    Attributes:
        key: of a resource attribute or label; SERVICE_KEYS and TYPE_KEY are always there.
        value: the value, or a regular expression that is searched for in it.
    """

    key: str
    value: str


@dataclass(frozen=True, slots=True)
class Matcher:
    """Attributes that all have to match; one that is missing does not.

    Attributes:
        conditions: what has to hold; none: always.
        regexp: whether values are regular expressions.
    """

    conditions: tuple[Condition, ...] = ()
    regexp: bool = False


@dataclass(frozen=True, slots=True)
class Action:
    """One change of one attribute.

    Attributes:
        kind: ``insert`` leaves an attribute alone that is there, ``update`` one that is not, ``upsert`` sets either;
            ``rename`` moves the value, over one that is there.
        key: of the attribute.
        value: the new value of ``insert``, ``update``, ``upsert``.
        to: the new key of ``rename``.
    """

    kind: ActionKind
    key: str
    value: str = ""
    to: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the pipeline: a filter, or changes.

    Attributes:
        name: for messages and metrics.
        signals: what it is about.
        where: only what matches is touched, for instance one service; None: everything.
        include: of that, only what matches is kept.
        exclude: of that, what matches is left out.
        actions: changes of the attributes, in order.
    """

    name: str
    signals: frozenset[Signal] = frozenset(Signal)
    where: Matcher | None = None
    include: Matcher | None = None
    exclude: Matcher | None = None
    actions: tuple[Action, ...] = ()
