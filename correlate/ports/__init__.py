"""What the use cases need from the outside, as protocols. Implementations live in ``storage`` and ``connectors``."""

from correlate.ports.alerts import (
    AlertBook,
    AlertBooks,
    DeadNotification,
    FeedbackBook,
    NotificationOutbox,
    QueueState,
    Silences,
)
from correlate.ports.books import DeadLetter, DeadLetters, Lease, Leases, Part, SourceStatus, SourceStatuses, Watermarks
from correlate.ports.clock import Clock
from correlate.ports.lake import Lake, Receipt, Sink
from correlate.ports.metrics import LEVELS, Measured, MetricsSource
from correlate.ports.observations import Observations
from correlate.ports.probe import Probe
from correlate.ports.sources import Finding, OnDemand, Source

__all__ = [
    "LEVELS",
    "AlertBook",
    "AlertBooks",
    "Clock",
    "DeadLetter",
    "DeadLetters",
    "DeadNotification",
    "FeedbackBook",
    "Finding",
    "Lake",
    "Lease",
    "Leases",
    "Measured",
    "MetricsSource",
    "NotificationOutbox",
    "Observations",
    "OnDemand",
    "Part",
    "Probe",
    "QueueState",
    "Receipt",
    "Silences",
    "Sink",
    "Source",
    "SourceStatus",
    "SourceStatuses",
    "Watermarks",
]
