"""Grafana Tempo: all spans of services in a time range, single traces, TraceQL searches and rates, over its HTTP API.

Complete means: search finds the ids of all traces that overlap the range (windows that overflow are cut), and each
trace is then taken whole by its id, in protobuf. Tempo shows a span to searches only some half a minute after it
came in, so pulls must stay behind by `settled_until_ns`.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import httpx

from connectors.bodies import AnswerTooLarge
from connectors.flow import Seen, ahead
from connectors.http import Endpoint, HttpSource, Params, Timing
from connectors.tempo_check import TempoCheck
from connectors.tempo_metrics import RatePoint, chunks, read_series
from connectors.tempo_search import (
    MAX_LIMIT,
    MAX_RANGE_S,
    NS_PER_S,
    Answer,
    Ask,
    TraceHit,
    padded_trace_id,
    read_hits,
    service_queries,
    slices,
    sweep,
    whole_seconds,
)
from connectors.tempo_traces import TempoTraces
from connectors.tempo_wire import BrokenTrace, only_services
from correlate.errors import BadQuery, SourceRefused, SourceTooSlow
from correlate.model.ids import TraceId
from correlate.model.payload import Encoding, PayloadKind, RawPayload
from correlate.model.queries import TimeRange
from correlate.ports import Clock, Finding

_SEARCH: Final = "/api/search"
_QUERY_RANGE: Final = "/api/metrics/query_range"
_NEWEST: Final = " with (most_recent=true)"
_SPANS_PER_HIT: Final = 100
"""Tempo's ``max_spans_per_span_set``; 0 would mean 3."""
_SEEN_COUNT: Final = 100_000
_NOTES_COUNT: Final = 50


@dataclass(frozen=True, slots=True)
class TempoOptions:
    """How a Tempo is pulled.

    Attributes:
        services: names of the services whose spans are wanted; empty: all.
        whole_traces: take what other services did in the same traces too; it costs room and gives every span its
            parents.
        lag_s: how long after the end of a span Tempo may need until searches find it; 30 s ``query_end_cutoff``,
            30 s ``max_trace_live``, and time for senders' batches.
        slice_s: width of the first search window.
        limit: traces per search; more make fewer and heavier searches.
        concurrency: traces fetched at once.
    """

    services: tuple[str, ...] = ()
    whole_traces: bool = True
    lag_s: float = 90.0
    slice_s: int = 60
    limit: int = 1000
    concurrency: int = 8


class TempoSource:
    """A Tempo to pull spans from. Implements `correlate.ports.Source`."""

    def __init__(
        self,
        name: str,
        endpoint: Endpoint,
        clock: Clock,
        options: TempoOptions | None = None,
        *,
        transport: httpx.BaseTransport | None = None,
        timing: Timing | None = None,
    ) -> None:
        """Prepare; nothing is sent yet.

        Raises:
            ConfigError: the endpoint cannot be used.
        """
        self._name = name
        self._clock = clock
        self._options = options or TempoOptions()
        self._http = HttpSource(name, endpoint, transport=transport, timing=timing)
        self._traces = TempoTraces(self._http)
        self._notes: deque[Finding] = deque(maxlen=_NOTES_COUNT)
        self._knows_newest = True

    @property
    def name(self) -> str:
        """What the configuration calls it."""
        return self._name

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def check(self) -> list[Finding]:
        """Contact it and explain what was found, with the notes of pulls since the last check."""
        found = TempoCheck(self._http, self._clock, self._options.services).findings()
        return found + self.take_notes()

    def take_notes(self) -> list[Finding]:
        """What pulls could not get, oldest first, each told once; only the last 50 are kept."""
        return [self._notes.popleft() for _ in range(len(self._notes))]

    def settled_until_ns(self, now_ns: int) -> int:
        """Up to when spans can be expected to be found: `TempoOptions.lag_s` before now."""
        return now_ns - int(self._options.lag_s * NS_PER_S)

    def fetch(self, window: TimeRange) -> Iterator[RawPayload]:
        """All traces that overlap a window, one payload each, about in the order of time.

        A trace comes whole, with its spans before and after the window, and again with every window it overlaps.
        At most twice `TempoOptions.concurrency` traces are in memory. What a single trace is refused for (too large,
        broken) becomes a note, and the others come.

        Raises:
            SourceError: Tempo could not be asked, or is too slow even for short windows.
        """
        with ThreadPoolExecutor(self._options.concurrency, thread_name_prefix=f"tempo-{self._name}") as pool:
            for payloads in ahead(pool, self._payloads, self._found(window), 2 * self._options.concurrency):
                yield from payloads

    def trace(self, trace_id: TraceId | str) -> bytes | None:
        """One trace as OTLP ``TracesData`` in protobuf, also milliseconds after its spans came in; None: not there.

        Raises:
            BadQuery: not a trace id.
            SourceError: Tempo could not be asked.
        """
        stored = self._traces.stored(_checked_id(str(trace_id)))
        if stored.partial:
            self._note(f"trace {trace_id} is not complete: {stored.partial}")
        return stored.body or None

    def search(self, traceql: str, window: TimeRange, limit: int) -> Iterator[TraceHit]:
        """The newest traces with spans that a TraceQL query matches, each once.

        Up to 100 spans come with a trace; `TraceHit.matched` says how many match. Names and attributes are filled
        only when the query mentions them: ``{ … } | select(span:name, span.http.route)``.

        Args:
            traceql: as Tempo understands it, without ``with (…)``.
            window: traces that overlap it.
            limit: most traces to give.

        Raises:
            SourceError: Tempo could not be asked, or did not accept the query.
        """
        seen: set[str] = set()
        for piece in slices(window, MAX_RANGE_S):
            ask = Ask(*whole_seconds(piece), min(limit, MAX_LIMIT))
            for hit in self._newest(traceql, ask):
                if hit.trace_id not in seen and len(seen) < limit:
                    seen.add(hit.trace_id)
                    yield hit
            if len(seen) >= limit:
                return

    def rate(self, traceql: str, window: TimeRange, step_s: int) -> list[RatePoint]:
        """Time series of a TraceQL metrics query, a point for the end of each step.

        Args:
            traceql: for instance ``{ resource.service.name = "checkout" } | rate() by (name)``.
            window: what the series cover.
            step_s: distance of the points.

        Raises:
            SourceError: Tempo could not be asked, or did not accept the query.
        """
        points: list[RatePoint] = []
        for start_s, end_s in chunks(*whole_seconds(window), step_s):
            params: Params = {"q": traceql, "start": start_s, "end": end_s, "step": f"{step_s}s"}
            answer = self._http.get(_QUERY_RANGE, params).json_object()
            if answer.get("status") == "PARTIAL":
                self._note(f"the rates of {traceql!r} are not complete: {answer.get('message', 'no reason given')}")
            points += read_series(answer, start_s, self._http.who)
        return points

    def _found(self, window: TimeRange) -> Iterator[TraceHit]:
        seen = Seen(_SEEN_COUNT)
        for query in service_queries(self._options.services):
            yield from (hit for hit in self._swept(query, window) if seen.is_new(bytes.fromhex(hit.trace_id)))

    def _swept(self, query: str, window: TimeRange) -> Iterator[TraceHit]:
        flow = sweep(window, limit=self._options.limit, slice_s=self._options.slice_s)
        answer: Answer | None = None
        slow: SourceTooSlow | None = None
        while True:
            try:
                ask = next(flow) if answer is None else flow.send(answer)
            except StopIteration as end:
                self._note_given_up(end.value)
                break
            answer, hits, slow = self._tried(query, ask)
            yield from hits
        if slow is not None:
            raise slow

    def _tried(self, query: str, ask: Ask) -> tuple[Answer, list[TraceHit], SourceTooSlow | None]:
        try:
            hits = self._searched(query, ask, spans_per_hit=1)
        except SourceTooSlow as exc:
            if exc.retry_after_s is not None:  # it told us when to come back: narrower windows are not what it wants
                raise
            return Answer.SLOW, [], exc
        except SourceRefused:
            if ask.limit <= self._options.limit:
                raise
            return Answer.REFUSED, [], None
        room = Answer.FEW if 8 * len(hits) < ask.limit else Answer.COMPLETE
        return (room if len(hits) < ask.limit else Answer.FULL), hits, None

    def _newest(self, traceql: str, ask: Ask) -> list[TraceHit]:
        if self._knows_newest and "with" not in traceql.rpartition("}")[2]:
            try:
                return self._searched(traceql + _NEWEST, ask, spans_per_hit=_SPANS_PER_HIT)
            except SourceRefused:
                # The hint is unknown before Tempo 2.8. When it is the query itself, it is refused again below.
                hits = self._searched(traceql, ask, spans_per_hit=_SPANS_PER_HIT)
                self._knows_newest = False
                return hits
        return self._searched(traceql, ask, spans_per_hit=_SPANS_PER_HIT)

    def _searched(self, query: str, ask: Ask, *, spans_per_hit: int) -> list[TraceHit]:
        params: Params = {"q": query, "start": ask.start_s, "end": ask.end_s, "limit": ask.limit, "spss": spans_per_hit}
        return read_hits(self._http.get(_SEARCH, params).json_object(), self._http.who)

    def _payloads(self, hit: TraceHit) -> list[RawPayload]:
        try:
            stored = self._traces.stored(hit.trace_id)
        except (BrokenTrace, AnswerTooLarge) as exc:
            self._note(f"trace {hit.trace_id} is left out: {exc}")
            return []
        parts = [stored, *(self._traces.parts(hit) if "size" in stored.partial else ())]
        if stored.partial or not stored.body:
            self._note(f"trace {hit.trace_id} is not complete: {stored.partial or 'search finds it, its id does not'}")
        wanted = dict.fromkeys(self._wanted(part.body) for part in parts)
        return [self._payload(body, hit.trace_id, stored.partial) for body in wanted if body]

    def _wanted(self, body: bytes) -> bytes:
        if self._options.whole_traces or not self._options.services:
            return body
        return only_services(body, frozenset(self._options.services))

    def _payload(self, body: bytes, trace_id: str, partial: str) -> RawPayload:
        return RawPayload(
            kind=PayloadKind.OTLP_TRACES,
            encoding=Encoding.PROTOBUF,
            body=body,
            received_ns=self._clock.now_ns(),
            sender=f"tempo:{self._name}",
            params={"trace": trace_id, **({"partial": partial} if partial else {})},
        )

    def _note(self, text: str) -> None:
        self._notes.append(Finding(ok=False, text=text))

    def _note_given_up(self, asks: Iterable[Ask]) -> None:
        for ask in asks:
            self._note(
                f"between {ask.start_s} and {ask.end_s} s there are more traces than one search may give; raise "
                "max_result_limit in Tempo, or name fewer services"
            )


def _checked_id(text: str) -> str:
    try:
        return padded_trace_id(text.strip())
    except ValueError as exc:
        raise BadQuery(f"{text[:64]!r} is not a trace id of up to 32 hexadecimal digits") from exc
