"""Alerts as JSON text in the columns of the state database.

What a later version adds is left out by an earlier one, and what an earlier one did not write gets its default, so
versions can run beside each other while they are replaced.
"""

import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final, TypeVar

import orjson

from correlate.model.alert_changes import Told
from correlate.model.alerts import Alert, AlertStatus, Severity
from correlate.model.verdicts import Guard, Site, Tier, Verdict

T = TypeVar("T")

_OPTIONS: Final = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS


def dump(value: object) -> str:
    """The JSON of values, columns of text and mappings; not-a-number and infinity become null."""
    return orjson.dumps(value, _plain, _OPTIONS).decode()


def load_alert(text: str) -> Alert:
    """Read what `dump` made of an alert."""
    return _alert(orjson.loads(text))


def load_alerts(text: str) -> tuple[Alert, ...]:
    """Read what `dump` made of several."""
    return tuple(_alert(each) for each in orjson.loads(text))


def load_texts(text: str) -> dict[str, str]:
    """Read labels, matchers or addresses."""
    read: dict[str, str] = orjson.loads(text)
    return read


def load_text(text: str) -> str:
    """Read one text, kept as JSON since it may hold what the database does not keep."""
    read: str = orjson.loads(text)
    return read


def load_told(text: str) -> dict[str, Told]:
    """Read what a receiver believes."""
    read = orjson.loads(text).items()
    return {name: Told(each["episode"], AlertStatus(each["status"]), Severity(each["severity"])) for name, each in read}


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no place in an alert")


def _alert(read: dict[str, Any]) -> Alert:
    changed = {
        "status": AlertStatus(read["status"]),
        "severity": Severity(read["severity"]),
        "verdict": _verdict(read["verdict"]),
    }
    return _made(Alert, read | changed)


def _verdict(read: dict[str, Any]) -> Verdict:
    changed = {
        "tier": Tier(read["tier"]),
        "figures": {name: math.nan if value is None else value for name, value in read["figures"].items()},
        "sites": tuple(_site(each) for each in read["sites"]),
        "guards": tuple(_made(Guard, each) for each in read["guards"]),
    }
    return _made(Verdict, read | changed)


def _site(read: dict[str, Any]) -> Site:
    lists = {"stack": tuple(read["stack"]), "operations": tuple(read["operations"])}
    return _made(Site, read | lists)


def _made(kind: type[T], read: Mapping[str, Any]) -> T:
    known = {field.name for field in fields(kind)}  # type: ignore[arg-type]  # only dataclasses come here
    return kind(**{name: value for name, value in read.items() if name in known})
