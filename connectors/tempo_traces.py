"""Traces by id, from every Tempo: the newer path and the older, whole ones and what can be had of others."""

from collections.abc import Iterator
from typing import Final

from connectors.bodies import AnswerTooLarge, excerpt
from connectors.http import PROTOBUF, Call, HttpSource, Params, Reply
from connectors.tempo_search import NS_PER_S, TraceHit, whole_seconds
from connectors.tempo_wire import BrokenTrace, StoredTrace, check_trace, read_response
from correlate.errors import SourceMalformed
from correlate.model.queries import TimeRange

_V2: Final = "/api/v2/traces/"
_V1: Final = "/api/traces/"
_PARTS: Final = 8


class TempoTraces:
    """Traces by id of one Tempo."""

    def __init__(self, http: HttpSource) -> None:
        self._http = http
        self._knows_v2 = True

    def stored(self, trace_id: str, window_s: tuple[int, int] | None = None) -> StoredTrace:
        """A trace by its 32 digits.

        Args:
            trace_id: of the trace.
            window_s: look only into blocks that overlap it; seconds since the Unix epoch.

        Raises:
            BrokenTrace: its bytes are not a trace.
            AnswerTooLarge: it is larger than the limit of the endpoint.
            SourceError: Tempo could not be asked.
        """
        if self._knows_v2:
            reply = self._asked(_V2 + trace_id, window_s)
            if reply.status == 200:
                return read_response(reply.body)
        reply = self._asked(_V1 + trace_id, window_s)
        if reply.status == 200:  # so the 404 was about the path: an old Tempo
            self._knows_v2 = False
            return StoredTrace(check_trace(reply.body))
        return StoredTrace(b"", (excerpt(reply.body) or "it is too large") if reply.status == 422 else "")

    def parts(self, hit: TraceHit) -> Iterator[StoredTrace]:
        """What can be had of a trace that is too large for one answer: what lies in the blocks of parts of its time.

        Raises:
            SourceError: Tempo could not be asked.
        """
        start_s, end_s = whole_seconds(TimeRange(hit.start_ns, hit.start_ns + hit.duration_ns + NS_PER_S))
        step_s = max(1, -(-(end_s - start_s) // _PARTS))
        for at_s in range(start_s, end_s, step_s):
            try:
                yield self.stored(hit.trace_id, (at_s, min(at_s + step_s, end_s)))
            except (BrokenTrace, AnswerTooLarge):
                continue

    def _asked(self, path: str, window_s: tuple[int, int] | None) -> Reply:
        params: Params = {"start": window_s[0], "end": window_s[1]} if window_s else {}
        reply = self._http.send(Call("GET", path, params, accept=PROTOBUF, allow=frozenset({404, 422})))
        if reply.status == 200 and "protobuf" not in reply.headers.get("content-type", PROTOBUF):
            raise SourceMalformed(
                f"{self._http.who} answered {path} as {reply.headers['content-type'][:60]!r} instead of protobuf; "
                "does a gateway in between change the Accept header?"
            )
        return reply
