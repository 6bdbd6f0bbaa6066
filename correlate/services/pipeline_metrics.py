"""What the pipeline on the way in tells about itself."""

from prometheus_client import CollectorRegistry, Counter

from correlate.tables.pipeline import Dropped


class PipelineMetrics:
    """Counts what steps leave out; a payload that is sent again is counted again."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._dropped = Counter(
            "correlate_pipeline_dropped", "Spans and profiles left out", ["step", "signal"], registry=registry
        )
        self._samples = Counter(
            "correlate_pipeline_dropped_samples", "Sample rows left out", ["step"], registry=registry
        )

    def count(self, dropped: Dropped) -> None:
        """Add what one step left out of one payload."""
        self._dropped.labels(dropped.step, dropped.signal.value).inc(dropped.count)
        if dropped.sample_count:
            self._samples.labels(dropped.step).inc(dropped.sample_count)
