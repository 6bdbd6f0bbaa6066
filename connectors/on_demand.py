"""Sources that answer single questions while somebody waits: Tempo for a trace, Pyroscope for the samples of spans."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from connectors.endpoint import Endpoint
from connectors.pyroscope import PyroscopeSource
from connectors.tempo import TempoSource
from correlate.errors import SourceTooSlow
from correlate.model.answers import SpanInfo
from correlate.model.ids import TraceId, format_span_id
from correlate.model.payload import Encoding, PayloadKind, RawPayload
from correlate.model.profile_type import choose
from correlate.model.queries import TimeRange
from correlate.ports import Clock

_REQUEST_S: Final = 4.0
_BUDGET_S: Final = 20.0
_MARGIN_NS: Final = 60 * 10**9
"""Profiles begin up to an upload interval before the spans whose samples they hold."""


def hurried(endpoint: Endpoint) -> Endpoint:
    """An endpoint for requests that somebody waits for: short, and tried twice at most."""
    return replace(
        endpoint,
        timeout_s=min(endpoint.timeout_s, _REQUEST_S),
        deadline_s=min(endpoint.deadline_s, _REQUEST_S),
        max_retries=min(endpoint.max_retries, 1),
    )


class TempoOnDemand:
    """A Tempo that is asked for single traces. Implements `correlate.ports.OnDemand`."""

    def __init__(self, source: TempoSource, clock: Clock) -> None:
        self._source = source
        self._clock = clock

    @property
    def name(self) -> str:
        """What the configuration calls it."""
        return self._source.name

    def trace(self, trace: TraceId) -> Iterator[RawPayload]:
        """The whole trace as one payload; nothing when Tempo does not have it.

        Raises:
            SourceError: Tempo could not be asked.
        """
        body = self._source.trace(trace)
        if body:
            yield RawPayload(
                kind=PayloadKind.OTLP_TRACES,
                encoding=Encoding.PROTOBUF,
                body=body,
                received_ns=self._clock.now_ns(),
                sender=f"tempo:{self.name}",
                params={"trace": str(trace)},
            )

    def span_profiles(self, spans: Sequence[SpanInfo], wanted_type: str) -> Iterator[RawPayload]:  # noqa: ARG002  a port
        """Nothing: Tempo holds no profiles."""
        return iter(())


class PyroscopeOnDemand:
    """A Pyroscope that is asked for the samples of single spans. Implements `correlate.ports.OnDemand`."""

    def __init__(
        self, source: PyroscopeSource, clock: Clock, *, monotonic_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._source = source
        self._clock = clock
        self._monotonic_s = monotonic_s

    @property
    def name(self) -> str:
        """What the configuration calls it."""
        return self._source.name

    def trace(self, trace: TraceId) -> Iterator[RawPayload]:  # noqa: ARG002  a port
        """Nothing: Pyroscope holds no spans."""
        return iter(())

    def span_profiles(self, spans: Sequence[SpanInfo], wanted_type: str) -> Iterator[RawPayload]:
        """The samples of each span that has some, in 20 seconds at most.

        Many spans are asked for together; only where there are samples, each half of them is asked for by itself. So
        it takes a few requests for each span with samples, and one for all that have none.

        Raises:
            SourceTooSlow: it takes longer, or the spans ended so short a time ago that profiles may be on their way.
            SourceRefused: this server does not select samples by span.
            SourceError: it could not be asked.
        """
        self._refuse_unsettled(spans)
        ends_s = self._monotonic_s() + _BUDGET_S
        for service, profile_type in self._present(spans, wanted_type):
            waiting = [[span for span in spans if span.service == service]]
            while waiting:
                if self._monotonic_s() > ends_s:
                    raise SourceTooSlow(f"{self.name} did not tell the samples of all spans within {_BUDGET_S:g} s")
                group = waiting.pop()
                payload = self._asked(group, profile_type)
                if payload is None:
                    continue
                if len(group) == 1:
                    yield _naming(payload, group[0])
                    continue
                half = len(group) // 2
                waiting += [group[half:], group[:half]]

    def _refuse_unsettled(self, spans: Sequence[SpanInfo]) -> None:
        """What is incomplete must not be stored, for what is stored is not asked for again."""
        now_ns = self._clock.now_ns()
        left_ns = max((span.end_ns for span in spans), default=0) - self._source.settled_until_ns(now_ns)
        if left_ns > 0:
            left_s = left_ns / 1e9
            raise SourceTooSlow(
                f"profiles of that time may still be on their way to it: ask again in {left_s:.0f} s",
                retry_after_s=left_s,
            )

    def _present(self, spans: Sequence[SpanInfo], wanted_type: str) -> list[tuple[str, str]]:
        """Services of the spans, and the profile types that are wanted and there; few."""
        window = _window(spans)
        types: dict[str, list[str]] = {span.service: [] for span in spans}
        for pair in self._source.pairs(TimeRange(window.start_ns - _MARGIN_NS, window.end_ns + _MARGIN_NS)):
            if pair.service in types:
                types[pair.service].append(pair.profile_type)
        return [(service, each) for service, present in types.items() for each in choose(wanted_type, sorted(present))]

    def _asked(self, group: Sequence[SpanInfo], profile_type: str) -> RawPayload | None:
        ids = [format_span_id(span.span) for span in group]
        return self._source.span_profile(ids, profile_type, group[0].service, _window(group))


def _window(spans: Sequence[SpanInfo]) -> TimeRange:
    return TimeRange(min(span.start_ns for span in spans), max(span.end_ns for span in spans))


def _naming(payload: RawPayload, span: SpanInfo) -> RawPayload:
    """The payload, telling its reader that all samples are of one span."""
    ids = {"span_id": format_span_id(span.span), "trace_id": str(span.trace)}
    return replace(payload, params={**payload.params, **ids})
