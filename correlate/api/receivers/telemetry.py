"""What the receivers tell about themselves: metrics, and a log that a bad client cannot flood."""

import logging
import threading
from collections.abc import Iterable
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from correlate.errors import CorrelateError
from correlate.ports import Clock
from correlate.tables.tables import Reject

_LOGGER = logging.getLogger(__name__)
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_MAX_REASON = 300
_MAX_SENDER = 80


class ReceiverMetrics:
    """Counters by door: ``otlp_http_traces``, ``otlp_grpc_profiles``, ``pyroscope_push`` and so on.

    Outcomes are ``stored``, ``partial`` (some of it was refused) or the name of the error's class.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "correlate_receiver_requests", "Requests received", ["door", "outcome"], registry=registry
        )
        self.body_bytes = Counter(
            "correlate_receiver_body_bytes", "Bytes received, decompressed", ["door"], registry=registry
        )
        self.rejected = Counter(
            "correlate_receiver_rejected",
            "Spans and profiles refused in requests that were otherwise taken",
            ["door", "signal"],
            registry=registry,
        )
        self.seconds = Histogram(
            "correlate_receiver_seconds",
            "From the request's headers to its answer, waiting for the commit included",
            ["door"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.held_bytes = Gauge(
            "correlate_receiver_held_bytes", "Room reserved for request bodies now", registry=registry
        )

    def count_rejects(self, door: str, rejects: Iterable[Reject]) -> None:
        """Add the parts of a request that were refused."""
        for reject in rejects:
            self.rejected.labels(door, reject.signal).inc(reject.count)


@dataclass(slots=True)
class _Spell:
    """A stretch of time in which one line per kind of refusal is written."""

    until_ns: int
    suppressed_count: int = 0


class RefusalLog:
    """One line per refused request, at most one per door and outcome in `every_s` seconds; the rest are counted."""

    def __init__(self, clock: Clock, every_s: float = 10.0) -> None:
        self._clock = clock
        self._every_ns = int(every_s * 1e9)
        self._lock = threading.Lock()
        self._spells: dict[tuple[str, str], _Spell] = {}

    def refused(self, door: str, sender: str, error: CorrelateError) -> None:
        """Note a request that was refused as a whole."""
        level = logging.ERROR if error.report else logging.WARNING
        self._write(level, door, type(error).__name__, sender, str(error), error if error.report else None)

    def partly_refused(self, door: str, sender: str, rejects: Iterable[Reject]) -> None:
        """Note a request of which only a part was taken."""
        reasons = "; ".join(f"{reject.count} {reject.signal}: {reject.reason}" for reject in rejects)
        self._write(logging.WARNING, door, "partial", sender, reasons, None)

    def _write(
        self, level: int, door: str, outcome: str, sender: str, reason: str, cause: BaseException | None
    ) -> None:
        suppressed_count = self._turn(door, outcome)
        if suppressed_count is not None:
            _LOGGER.log(
                level,
                "refused door=%s outcome=%s sender=%r reason=%r suppressed=%d",
                *(door, outcome, sender[:_MAX_SENDER], reason[:_MAX_REASON], suppressed_count),
                exc_info=cause.__cause__ if cause else None,
            )

    def _turn(self, door: str, outcome: str) -> int | None:
        """How many lines were held back since the last one; None when this one is held back too."""
        now_ns = self._clock.now_ns()
        with self._lock:
            spell = self._spells.setdefault((door, outcome), _Spell(now_ns))
            # A clock that was set back must not silence the log: no spell ends later than one length from now.
            if now_ns < spell.until_ns <= now_ns + self._every_ns:
                spell.suppressed_count += 1
                return None
            self._spells[door, outcome] = _Spell(now_ns + self._every_ns)
            return spell.suppressed_count
