"""The outward form of alerts, silences and receivers, and what people send about them."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from correlate.alerting.matching import LABELS, MAX_PATTERN_CHARS
from correlate.model.alerts import AlertStatus, EventKind, Reason, Severity
from correlate.model.verdicts import Tier

FINGERPRINT = "^[0-9a-f]{16}$"

Who = Annotated[str, StringConstraints(min_length=1, max_length=200), Field(description="who says so")]
Comment = Annotated[str, StringConstraints(max_length=2000)]
Pattern = Annotated[str, StringConstraints(max_length=MAX_PATTERN_CHARS)]


class SiteModel(BaseModel):
    """A place in the code."""

    function: str
    file: str
    line: int
    growth_per_hour: float | None = Field(description="in the unit of the profile")
    share_ratio: float | None = Field(description="its part of all growth, or of the whole")
    stack: list[str] = Field(description="from the root to the leaf")
    operations: list[str] = Field(description="operations seen there, most frequent first")


class GuardModel(BaseModel):
    """A check that was consulted."""

    name: str
    passed: bool
    reason: str


class FindingModel(BaseModel):
    """What a detector sees now."""

    fingerprint: str = Field(pattern=FINGERPRINT, description="of the alert that it became")
    detector: str
    service: str
    subject: str
    tier: Tier = Field(description="what the detector says")
    status: AlertStatus = Field(description="what became of it")
    headline: str = Field(description="one sentence")
    figures: dict[str, float | None] = Field(description="by name, each with its unit; null: no number")
    sites: list[SiteModel] = Field(description="places in the code, strongest first")
    guards: list[GuardModel] = Field(description="every check that was consulted, in order")
    minimum_detectable: float | None = Field(description="the smallest effect that would have been seen")
    since_ns: int = Field(description="since when it has its status")
    seen_until_ns: int = Field(description="until when the detector has seen it")
    judged_until_ns: int = Field(description="until when data was judged")
    silenced_by: list[int] = Field(description="silences that hold for it now")
    evidence: dict[str, str] = Field(description="addresses by name")


class Findings(BaseModel):
    """What detectors see now, confirmed or not."""

    findings: list[FindingModel]


class AlertModel(BaseModel):
    """An alert; times are nanoseconds since the Unix epoch, 0 where not yet."""

    fingerprint: str = Field(pattern=FINGERPRINT)
    episode: int = Field(description="how often it has begun")
    status: AlertStatus
    severity: Severity
    labels: dict[str, str] = Field(description="what identifies it to other systems")
    finding: FindingModel
    started_ns: int
    confirmed_ns: int
    resolved_ns: int
    escalated_ns: int
    acknowledged_ns: int
    acknowledged_by: str
    false_positive: bool
    muted_until_ns: int = Field(description="until when it stays quiet because it was called wrong")
    reopened_count: int = Field(description="how often this episode came back")


class EventModel(BaseModel):
    """A step in the life of an alert."""

    episode: int
    time_ns: int
    kind: EventKind
    text: str
    by: str = Field(description="empty: a detector")


class AlertDetail(AlertModel):
    """An alert with its history."""

    events: list[EventModel] = Field(description="in all episodes, the newest first")


class AlertList(BaseModel):
    """Alerts: firing, then watched, then resolved; the last changed first."""

    alerts: list[AlertModel]


class Acknowledgement(BaseModel):
    """Somebody takes an alert on."""

    by: Who


class FeedbackBody(BaseModel):
    """Somebody says that an alert is wrong."""

    verdict: Annotated[str, Field(pattern="^false_positive$", description="the only word there is so far")]
    by: Who
    comment: Comment = ""


class MatcherModel(BaseModel):
    """A label, and an expression that the whole of its value has to match."""

    label: Annotated[str, Field(max_length=50, description=f"one of {', '.join(LABELS)}")]
    pattern: Pattern


class SilenceBody(BaseModel):
    """A silence to be made: until a time, or for some seconds."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "matchers": [{"label": "service", "pattern": "checkout"}],
                "duration_s": 3600,
                "by": "ada",
                "comment": "load test",
            }
        }
    )

    matchers: Annotated[list[MatcherModel], Field(min_length=1, max_length=20, description="all must match")]
    start: Annotated[str, Field(max_length=64, description="now-1h, RFC 3339, or s/ms/µs/ns since 1970")] = "now"
    end: Annotated[str | None, Field(max_length=64, description="as start")] = None
    duration_s: Annotated[int | None, Field(ge=1, le=366 * 86_400, description="instead of end")] = None
    by: Who
    comment: Comment = ""

    @model_validator(mode="after")
    def _one_end(self) -> Self:
        if (self.end is None) == (self.duration_s is None):
            raise ValueError("a silence needs either end or duration_s")
        if len({each.label for each in self.matchers}) < len(self.matchers):
            raise ValueError("a label can be matched once")
        return self


class SilenceModel(BaseModel):
    """A silence."""

    id: int
    matchers: list[MatcherModel]
    start_ns: int
    end_ns: int
    active: bool = Field(description="whether it holds now")
    by: str
    comment: str


class SilenceList(BaseModel):
    """Silences, the newest first."""

    silences: list[SilenceModel]


class DeadModel(BaseModel):
    """A message that was given up."""

    id: int
    group: str
    reason: Reason
    error: str
    attempts: int
    created_ns: int
    given_up_ns: int


class ReceiverModel(BaseModel):
    """Somebody who is told about alerts, and how that goes."""

    name: str
    configured: bool = Field(description="whether the configuration names it now")
    kind: str
    place: str = Field(description="address without credentials")
    severity: Severity | None = Field(description="not told about less than that")
    send_resolved: bool
    send_watch: bool
    waiting_count: int = Field(description="messages that are not delivered yet")
    oldest_ns: int = Field(description="when the oldest of them was decided; 0: none waits")
    sent_count: int = Field(description="delivered ones that are still kept")
    last_sent_ns: int
    dead_count: int = Field(description="messages that were given up")
    last_error: str
    last_error_ns: int
    tested_ns: int = Field(description="when it last took a test alert; 0: never")
    dead: list[DeadModel] = Field(description="the newest of those given up")


class ReceiverList(BaseModel):
    """Everybody who is told about alerts."""

    receivers: list[ReceiverModel]


class TrialSent(BaseModel):
    """A test alert that is on its way."""

    receiver: str
    key: str = Field(description="what the receiver will see as its idempotency key")
