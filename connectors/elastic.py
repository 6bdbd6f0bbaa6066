"""Elastic Universal Profiling, asked for through Elasticsearch's ``_profiling`` calls.

Elasticsearch answers with a random sample when more events match than were asked for. A window is halved until it
does not, so that what is stored was seen.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import httpx
import orjson

from connectors.elastic_stacks import collapsed_of, sampling_rate
from connectors.endpoint import Endpoint
from connectors.http import JSON, Call, HttpSource, Timing
from correlate.errors import SourceError
from correlate.model.payload import Encoding, PayloadKind, RawPayload
from correlate.model.queries import TimeRange
from correlate.ports import Clock, Finding

PROFILE_TYPE: Final = "process_cpu:samples:count:cpu:nanoseconds"
"""What the counts are: hits of a profiler that looks some 20 times a second at what is on a CPU."""

_EVENTS: Final = "profiling-events-all"
_TRANSACTIONS: Final = {"indices": ["traces-apm*"], "stacktrace_ids_field": "transaction.profiler_stack_trace_ids"}
_NS_PER_S: Final = 10**9
_MAX_SERVICES: Final = 1000


@dataclass(frozen=True, slots=True)
class ElasticOptions:
    """What to ask for.

    Attributes:
        services: names of the services; empty: all that have events.
        step_s: length of the profiles that are pulled.
        shortest_s: a window that is still too full at this length is taken as a sample, and marked.
        sample_count: events in one answer.
        settle_s: how long after its time an event may still arrive.
    """

    services: tuple[str, ...] = ()
    step_s: int = 60
    shortest_s: int = 5
    sample_count: int = 20_000
    settle_s: int = 120


class ElasticSource:
    """A `Source` of collapsed stacks per service and step; and of single transactions on demand."""

    def __init__(
        self,
        name: str,
        endpoint: Endpoint,
        clock: Clock,
        *,
        options: ElasticOptions | None = None,
        transport: httpx.BaseTransport | None = None,
        timing: Timing | None = None,
    ) -> None:
        """Prepare; nothing is sent yet.

        Args:
            name: what the configuration calls the source.
            endpoint: Elasticsearch; an API key goes into its headers, ``{"Authorization": "ApiKey …"}``.
            clock: the time of day.
            options: what to ask for.
            transport: instead of the network.
            timing: clock, sleep and dice of the retries.

        Raises:
            ConfigError: the endpoint cannot be used.
        """
        self._name = name
        self._clock = clock
        self._options = options or ElasticOptions()
        self._http = HttpSource(name, endpoint, transport=transport, timing=timing)

    @property
    def name(self) -> str:
        """What the configuration calls it."""
        return self._name

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def settled_until_ns(self, now_ns: int) -> int:
        """Hosts send in batches, and events become searchable some time after."""
        return now_ns - self._options.settle_s * _NS_PER_S

    def fetch(self, window: TimeRange) -> Iterator[RawPayload]:
        """Collapsed stacks per service and step. Steps that do not end within the window are left out.

        Raises:
            SourceError: it could not be asked; what was yielded before is complete in itself.
        """
        step_ns = self._options.step_s * _NS_PER_S
        first, last = window.start_ns // step_ns, window.end_ns // step_ns
        for start_ns in range(first * step_ns, last * step_ns, step_ns):
            step = TimeRange(start_ns, start_ns + step_ns)
            for service in self._options.services or self.services(step):
                yield from self._complete(service, step)

    def transaction_profile(self, service: str, transaction: str, window: TimeRange) -> RawPayload | None:
        """The stacks of the transactions of one name; None when there are none.

        Needs services whose APM agent writes stack ids to its transactions.

        Raises:
            SourceError: it could not be asked.
        """
        filters = [{"term": {"transaction.name": transaction}}]
        answer = self._stacks(service, window, filters, _TRANSACTIONS)
        return self._payload(service, window, answer, {"transaction": transaction})

    def services(self, window: TimeRange) -> list[str]:
        """The services that have events in a window.

        Raises:
            SourceError: they could not be asked for.
        """
        names = {"names": {"terms": {"field": "service.name", "size": _MAX_SERVICES}}}
        question = {"size": 0, "query": {"bool": {"filter": [_within(window)]}}, "aggs": names}
        answer = self._post(f"/{_EVENTS}/_search", question)
        buckets = ((answer.get("aggregations") or {}).get("names") or {}).get("buckets") or []
        return sorted(str(bucket["key"]) for bucket in buckets if bucket.get("key"))

    def check(self) -> list[Finding]:
        """Version, whether Universal Profiling is on, and whether it has data of the last hour."""
        now_ns = self._clock.now_ns()
        try:
            version = (self._http.get("/").json_object().get("version") or {}).get("number", "of unknown version")
            findings = [Finding(ok=True, text=f"{self._http.who} is Elasticsearch {version}"), self._about_profiling()]
            services = self.services(TimeRange(now_ns - 3600 * _NS_PER_S, now_ns))
        except SourceError as exc:
            return [Finding(ok=False, text=str(exc))]
        text = (
            f"{len(services)} services have profiles of the last hour" if services else "no profiles of the last hour"
        )
        return [*findings, Finding(ok=bool(services), text=text)]

    def _about_profiling(self) -> Finding:
        status = self._http.get("/_profiling/status").json_object()
        on = bool((status.get("profiling") or {}).get("enabled")) and bool(
            (status.get("resources") or {}).get("created")
        )
        text = "Universal Profiling is set up" if on else "Universal Profiling is not set up: do so in Kibana first"
        return Finding(ok=on, text=text)

    def _complete(self, service: str, window: TimeRange) -> Iterator[RawPayload]:
        """A window whole, or in halves when its answer is only a sample."""
        answer = self._stacks(service, window, [], {})
        length_ns = window.end_ns - window.start_ns
        if sampling_rate(answer) < 1.0 and length_ns >= 2 * self._options.shortest_s * _NS_PER_S:
            # Whole seconds: events have no finer time.
            middle_ns = (window.start_ns + length_ns // 2) // _NS_PER_S * _NS_PER_S
            yield from self._complete(service, TimeRange(window.start_ns, middle_ns))
            yield from self._complete(service, TimeRange(middle_ns, window.end_ns))
        elif payload := self._payload(service, window, answer, {}):
            yield payload

    def _stacks(
        self, service: str, window: TimeRange, filters: list[dict[str, Any]], further: dict[str, Any]
    ) -> dict[str, Any]:
        conditions = [{"term": {"service.name": service}}, *filters, _within(window)]
        question = {
            "sample_size": self._options.sample_count,
            "requested_duration": (window.end_ns - window.start_ns) / _NS_PER_S,
            "query": {"bool": {"filter": conditions}},
            **further,
        }
        return self._post("/_profiling/stacktraces", question)

    def _post(self, path: str, question: dict[str, Any]) -> dict[str, Any]:
        call = Call("POST", path, content=orjson.dumps(question), content_type=JSON, idempotent=True)
        return self._http.send(call).json_object()

    def _payload(
        self, service: str, window: TimeRange, answer: dict[str, Any], extra: dict[str, str]
    ) -> RawPayload | None:
        body = collapsed_of(answer, self._http.who)
        if not body:
            return None
        rate = sampling_rate(answer)
        params = {
            "service": service,
            "name": "process_cpu",
            "type": PROFILE_TYPE,
            "from": str(window.start_ns),
            "until": str(window.end_ns),
            **({} if rate >= 1.0 else {"kept_share": f"{rate:g}"}),
            **extra,
        }
        now_ns = self._clock.now_ns()
        return RawPayload(PayloadKind.COLLAPSED, body, now_ns, Encoding.RAW, "text/plain", "elastic-pull", params)


def _within(window: TimeRange) -> dict[str, Any]:
    millis = {"gte": window.start_ns // 10**6, "lt": window.end_ns // 10**6, "format": "epoch_millis"}
    return {"range": {"@timestamp": millis}}
