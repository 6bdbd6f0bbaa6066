"""What the use cases need from the outside, as protocols. Implementations live in ``storage`` and ``connectors``."""

from correlate.ports.books import DeadLetter, DeadLetters, Lease, Leases, Part, SourceStatus, SourceStatuses, Watermarks
from correlate.ports.clock import Clock
from correlate.ports.lake import Lake, Receipt, Sink
from correlate.ports.probe import Probe
from correlate.ports.sources import Finding, OnDemand, Source

__all__ = [
    "Clock",
    "DeadLetter",
    "DeadLetters",
    "Finding",
    "Lake",
    "Lease",
    "Leases",
    "OnDemand",
    "Part",
    "Probe",
    "Receipt",
    "Sink",
    "Source",
    "SourceStatus",
    "SourceStatuses",
    "Watermarks",
]
