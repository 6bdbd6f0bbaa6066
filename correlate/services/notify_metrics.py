"""How telling receivers about alerts goes, in Prometheus' words."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from correlate.errors import StoreError
from correlate.ports import Clock, NotificationOutbox, QueueState
from correlate.services.notify import Notify

_COUNTED: Final = {
    "sent": "Notifications that a receiver took from this process",
    "failed": "Attempts to notify that failed and are repeated",
    "given_up": "Notifications that a receiver will not take, or did not for too long",
    "repeated": "Rounds in which a receiver that forgets was told everything again",
}
_PREFIX: Final = "correlate_notifications"


class NotifyMetrics(Collector):
    """Counters of this process, and the queues of all, read when Prometheus asks."""

    def __init__(self, notify: Notify, outbox: NotificationOutbox, clock: Clock) -> None:
        self._notify = notify
        self._outbox = outbox
        self._clock = clock

    def describe(self) -> list[Metric]:
        """Nothing, so that registering asks no database."""
        return []

    def collect(self) -> Iterator[Metric]:
        """One metric per fact, one series per receiver; no queues while the state database does not answer."""
        counters = self._notify.counters()
        for name, text in _COUNTED.items():
            family = CounterMetricFamily(f"{_PREFIX}_{name}", text, labels=["receiver"])
            for receiver, counted in sorted(counters.items()):
                family.add_metric([receiver], float(getattr(counted, name)))
            yield family
        try:
            queues = self._outbox.queues()
        except StoreError:
            return
        yield from self._queues(queues)

    def _queues(self, queues: Sequence[QueueState]) -> Iterator[Metric]:
        now_ns = self._clock.now_ns()
        facts: dict[str, tuple[str, Callable[[QueueState], float]]] = {
            "pending": ("Notifications that wait", lambda queue: queue.waiting_count),
            "oldest_seconds": ("How long the oldest of them waits", lambda queue: _age_s(queue.oldest_ns, now_ns)),
            "dead": ("Notifications that were given up and are kept", lambda queue: queue.dead_count),
        }
        for name, (text, value) in facts.items():
            gauge = GaugeMetricFamily(f"{_PREFIX}_{name}", text, labels=["receiver"])
            for queue in queues:
                gauge.add_metric([queue.receiver], float(value(queue)))
            yield gauge


def _age_s(since_ns: int, now_ns: int) -> float:
    return max(0.0, (now_ns - since_ns) / 1e9) if since_ns else 0.0
