"""A source of single traces and span profiles that does what a test tells it to."""

import threading
from collections.abc import Iterator, Sequence

from correlate.model.answers import SpanInfo
from correlate.model.ids import TraceId
from correlate.model.payload import RawPayload


class FakeOnDemand:
    """Implements `ports.OnDemand`.

    Attributes:
        name: of the source.
        traces: what it gives for any trace.
        profiles: what it gives for any spans.
        error: raised after that, when there is one.
        asked: the questions it got, ``trace`` or the ids of the spans.
        go_on: it waits for this before it answers.
    """

    def __init__(self, name: str = "fake") -> None:
        self.name = name
        self.traces: list[RawPayload] = []
        self.profiles: list[RawPayload] = []
        self.error: BaseException | None = None
        self.asked: list[object] = []
        self.go_on = threading.Event()
        self.go_on.set()

    def trace(self, trace: TraceId) -> Iterator[RawPayload]:
        """What it has."""
        return self._given("trace", self.traces)

    def span_profiles(self, spans: Sequence[SpanInfo], wanted_type: str) -> Iterator[RawPayload]:
        """What it has."""
        return self._given(sorted(span.span for span in spans), self.profiles)

    def _given(self, question: object, payloads: list[RawPayload]) -> Iterator[RawPayload]:
        self.asked.append(question)
        self.go_on.wait(10)
        yield from payloads
        if self.error is not None:
            raise self.error
