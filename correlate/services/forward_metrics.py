"""What forwarding tells about itself."""

from collections.abc import Iterable, Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from correlate.services.forward import Lane

Family = CounterMetricFamily | GaugeMetricFamily

_COUNTED = {
    "queued": "Payloads queued for a target",
    "delivered": "Payloads that a target took",
    "refused": "Payloads that a target will never take, put aside in refused.jsonl",
    "dropped": "Payloads not passed on because the queue was full",
    "retries": "Attempts that were put off",
}


class ForwardMetrics(Collector):
    """Counters and gauges by target, read from the lanes when asked for."""

    def __init__(self, lanes: Sequence[Lane]) -> None:
        self._lanes = lanes

    def collect(self) -> Iterable[Family]:
        """The families, each with one value for each target."""
        for name, text in _COUNTED.items():
            counter = CounterMetricFamily(f"correlate_forward_{name}", text, labels=["target"])
            for lane in self._lanes:
                counter.add_metric([lane.target.name], getattr(lane.counters, name))
            yield counter
        yield from self._gauges()

    def _gauges(self) -> Iterator[Family]:
        count = GaugeMetricFamily("correlate_forward_waiting", "Payloads in the queue", labels=["target"])
        size = GaugeMetricFamily("correlate_forward_waiting_bytes", "Bytes in the queue on disk", labels=["target"])
        failing = GaugeMetricFamily("correlate_forward_failing", "1 while the last attempt failed", labels=["target"])
        for lane in self._lanes:
            labels = [lane.target.name]
            count.add_metric(labels, lane.waiting[0])
            size.add_metric(labels, lane.waiting[1])
            failing.add_metric(labels, float(bool(lane.counters.problem)))
        yield from (count, size, failing)
