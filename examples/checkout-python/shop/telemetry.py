"""The real clients: OpenTelemetry for spans, Pyroscope for profiles, and the processor that ties the two."""

from dataclasses import dataclass

import pyroscope
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from pyroscope.otel import PyroscopeSpanProcessor

VERSION = "2.4.1"


@dataclass(frozen=True)
class Telemetry:
    """Where telemetry goes, and who sends it."""

    otlp_url: str
    pyroscope_url: str
    instance: str
    host: str
    environment: str
    upload_s: int

    def start(self) -> TracerProvider:
        """Begin profiling and tracing."""
        self._start_profiler()
        provider = TracerProvider(resource=Resource.create(self._resource()))
        # Marks root spans, and the samples of the thread they run on, with each other's ids.
        provider.add_span_processor(PyroscopeSpanProcessor())
        exporter = OTLPSpanExporter(endpoint=f"{self.otlp_url.rstrip('/')}/v1/traces")
        provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=self.upload_s * 1000))
        return provider

    def _start_profiler(self) -> None:
        pyroscope.configure(
            application_name="checkout",
            server_address=self.pyroscope_url,
            sample_rate=100,
            oncpu=True,
            gil_only=True,
            mem_enabled=True,
            upload_interval=self.upload_s,
            tags={
                "service_version": VERSION,
                "service_instance_id": self.instance,
                "deployment_environment_name": self.environment,
                "host_name": self.host,
            },
        )

    def _resource(self) -> dict[str, str]:
        return {
            "service.name": "checkout",
            "service.version": VERSION,
            "service.instance.id": self.instance,
            "host.name": self.host,
            "deployment.environment.name": self.environment,
        }


def stop(provider: TracerProvider) -> None:
    """Send what is left."""
    pyroscope.shutdown()
    provider.shutdown()
