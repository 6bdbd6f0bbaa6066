"""Who is told about alerts, as the configuration says it: whom of what, and in which rhythm.

How a receiver is reached (address, credentials, certificates) depends on its kind and is checked by whoever delivers;
here only what decides about the content is read.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from correlate.alerting.matching import LABELS, matcher_problem
from correlate.model.alert_policy import ReceiverRoute
from correlate.model.alerts import Severity

Seconds = Annotated[float, Field(ge=0, le=30 * 86_400)]

_RHYTHMS: Final = {
    # An Alertmanager groups and waits by itself, and is told everything again every minute anyway.
    "alertmanager": {"group_wait_s": 0.0, "group_interval_s": 30.0, "repeat_interval_s": 86_400.0},
    # Annotations wake nobody; telling them again moves the end of their region.
    "grafana": {"group_wait_s": 0.0, "group_interval_s": 60.0, "repeat_interval_s": 900.0},
}
"""Defaults of kinds that differ from those of the model."""


class ReceiverSettings(BaseModel):
    """One receiver: what it is told, and, as further fields, how it is reached."""

    model_config = ConfigDict(extra="allow", hide_input_in_errors=True)

    name: str = Field(pattern="^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=100)
    kind: str
    severity: Severity = Severity.WARNING
    matchers: dict[str, str] = Field(default_factory=dict)
    send_resolved: bool = True
    send_watch: bool = False
    group_by: tuple[str, ...] = ("alertname", "service")
    group_wait_s: Seconds = 30.0
    group_interval_s: Seconds = 300.0
    repeat_interval_s: Annotated[float, Field(ge=60, le=30 * 86_400)] = 14_400.0

    def __repr__(self) -> str:  # what it is reached with is secret
        return f"ReceiverSettings(name={self.name!r}, kind={self.kind!r})"

    __str__ = __repr__

    @model_validator(mode="before")
    @classmethod
    def _rhythm_of_kind(cls, given: Any) -> Any:
        return _RHYTHMS.get(str(given.get("kind")), {}) | given if isinstance(given, dict) else given

    @field_validator("matchers")
    @classmethod
    def _usable(cls, matchers: dict[str, str]) -> dict[str, str]:
        if problem := matcher_problem(matchers):
            raise ValueError(problem)
        return matchers

    @field_validator("group_by")
    @classmethod
    def _labels(cls, group_by: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := sorted(set(group_by) - set(LABELS)):
            raise ValueError(f"alerts have no label {unknown[0]!r}: they have {', '.join(LABELS)}")
        return group_by

    def route(self) -> ReceiverRoute:
        """What it is told, and when."""
        return ReceiverRoute(
            name=self.name,
            kind=self.kind,
            place=self.place,
            severity=self.severity,
            matchers=self.matchers,
            send_resolved=self.send_resolved,
            send_watch=self.send_watch,
            group_by=self.group_by,
            group_wait_ns=int(self.group_wait_s * 1e9),
            group_interval_ns=int(self.group_interval_s * 1e9),
            repeat_interval_ns=int(self.repeat_interval_s * 1e9),
        )

    @property
    def delivery(self) -> dict[str, Any]:
        """Name, kind, and how it is reached; for those who deliver."""
        return {"name": self.name, "kind": self.kind, **(self.model_extra or {})}

    @property
    def place(self) -> str:
        """Scheme and host of its addresses: the rest may be secret; "" where it is in a file."""
        extra = self.model_extra or {}
        urls = extra.get("urls") if isinstance(extra.get("urls"), list | tuple) else [extra.get("url")]
        return ", ".join(filter(None, map(_origin, urls or ())))


def names_once(receivers: Sequence[ReceiverSettings]) -> list[str]:
    """Names that several receivers have."""
    return sorted(name for name, count in Counter(each.name for each in receivers).items() if count > 1)


def _origin(url: object) -> str:
    try:
        parts = urlsplit(str(url or ""))
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.hostname}{port}" if parts.hostname else ""
