"""Questions to the store, as values."""

from dataclasses import dataclass

from correlate.model.ids import TraceId


@dataclass(frozen=True, slots=True)
class SampleFilter:
    """Which samples are wanted.

    Service, type and time must all match. Of `spans`, `trace` and `profiles` any one is enough; with none of them
    given, every sample is wanted.

    Attributes:
        service_ids: hashes of the services' names; empty: any service.
        type_ids: hashes of the profile type ids; empty: any type.
        start_ns: samples whose own interval ends before this are left out.
        end_ns: samples that begin after this are left out.
        spans: span ids that samples may name.
        trace: a trace that samples may name, with or without a span.
        profiles: content hashes of profiles whose samples are wanted, whatever they name.
    """

    service_ids: tuple[int, ...]
    type_ids: tuple[int, ...]
    start_ns: int
    end_ns: int
    spans: tuple[int, ...] = ()
    trace: TraceId | None = None
    profiles: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class SpanFilter:
    """Which spans are wanted; every condition that is given must hold.

    Attributes:
        start_ns: spans that end before this are left out.
        end_ns: spans that start at this or later are left out.
        services: service names; empty: any.
        names: span names; empty: any.
        min_duration_ns: the shortest.
        max_duration_ns: the longest; None: any.
        kinds: OTLP SpanKinds; empty: any.
        statuses: OTLP StatusCodes; empty: any.
    """

    start_ns: int
    end_ns: int
    services: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    min_duration_ns: int = 0
    max_duration_ns: int | None = None
    kinds: tuple[int, ...] = ()
    statuses: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class TimeRange:
    """A half-open interval of time, nanoseconds since the Unix epoch."""

    start_ns: int
    end_ns: int

    @classmethod
    def everything(cls) -> "TimeRange":
        """All representable time, with room for sums."""
        return cls(0, 1 << 62)
