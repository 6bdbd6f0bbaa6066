"""Pyroscope 1, 2 and Phlare as a source of profiles: in bulk by window, and of single spans on demand."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import httpx

from connectors.endpoint import Endpoint
from connectors.http import HttpSource, Timing
from connectors.pyroscope_api import Exemplar, Pair, Point, PyroscopeApi
from connectors.pyroscope_spans import Selected, Selector, SpanProfiles, checked_ids, probe_query
from connectors.pyroscope_steps import NS_PER_MS, Steps, whole_steps
from connectors.pyroscope_wire import MergeQuery, timed_pprof
from correlate.errors import BadQuery, SourceError, SourceRefused
from correlate.model.payload import Encoding, PayloadKind, RawPayload
from correlate.model.queries import TimeRange
from correlate.ports import Clock, Finding

__all__ = ["Exemplar", "PyroscopeOptions", "PyroscopeSource"]

_CHUNK_MS: Final = 3_600_000
_CHECKED_S: Final = 3600
_SENDER: Final = "pyroscope-pull"


@dataclass(frozen=True, slots=True)
class PyroscopeOptions:
    """What to pull, and within which limits of the server.

    Attributes:
        step_s: length of the profiles that are pulled; agents upload every 10 to 15 s.
        settle_s: how long after its time a profile may still arrive.
        query_length_s: the server's ``-querier.max-query-length``.
        lookback_s: the server's ``-querier.max-query-lookback``; what is older it does not tell.
        margin_s: a span's samples are in profiles that begin up to an upload interval before it; this much is added
            on both sides of the window of a span.
        max_nodes: for answers that are trees; what is smaller ends up in nodes called ``other``.
        services: names of the services to pull; empty: all.
        profile_types: beginnings of the profile type ids to pull, such as ``process_cpu:cpu``; empty: all.
        accept_sampled: pull also profiles of which the server kept only a share, marked with ``kept_share``.
    """

    step_s: int = 15
    settle_s: int = 60
    query_length_s: int = 86_400
    lookback_s: int = 7 * 86_400
    margin_s: int = 30
    max_nodes: int = 65_536
    services: tuple[str, ...] = ()
    profile_types: tuple[str, ...] = ()
    accept_sampled: bool = False


class PyroscopeSource:
    """A `Source` of merged profiles per service, type and step, which also answers for single spans and traces."""

    def __init__(
        self,
        name: str,
        endpoint: Endpoint,
        clock: Clock,
        *,
        options: PyroscopeOptions | None = None,
        transport: httpx.BaseTransport | None = None,
        timing: Timing | None = None,
    ) -> None:
        """Prepare; nothing is sent yet.

        Args:
            name: what the configuration calls the source.
            endpoint: where it is.
            clock: the time of day.
            options: what to pull.
            transport: instead of the network.
            timing: clock, sleep and dice of the retries.

        Raises:
            ConfigError: the endpoint cannot be used.
        """
        self._name = name
        self._clock = clock
        self._options = options or PyroscopeOptions()
        self._api = PyroscopeApi(HttpSource(name, endpoint, transport=transport, timing=timing))
        self._spans = SpanProfiles(self._api)
        self._refused: dict[str, str] = {}

    @property
    def name(self) -> str:
        """What the configuration calls it."""
        return self._name

    @property
    def refused(self) -> dict[str, str]:
        """Services of which profiles were left out, and why; as of the last pulls."""
        return dict(self._refused)

    def close(self) -> None:
        """Close the connections."""
        self._api.close()

    def settled_until_ns(self, now_ns: int) -> int:
        """Agents upload what they collected afterwards, so the last minute is incomplete."""
        return now_ns - self._options.settle_s * 10**9

    def fetch(self, window: TimeRange) -> Iterator[RawPayload]:
        """One pprof per service, type and step that has samples. Steps that do not end within the window are left out.

        What is older than the server's lookback cannot be had and is left out.

        Raises:
            SourceRefused: all of the window is older than that.
            SourceError: it could not be asked; what was yielded before is complete in itself.
        """
        oldest_ns = self._clock.now_ns() - self._options.lookback_s * 10**9
        if window.end_ns <= oldest_ns:
            days = self._options.lookback_s // 86_400
            raise SourceRefused(
                f"{self._api.who} tells of the last {days} days only (-querier.max-query-lookback); raise it there and "
                "in lookback_s, or ask for a younger time"
            )
        steps = whole_steps(window, self._options.step_s * 1000, oldest_ns)
        for chunk in steps.chunks(min(_CHUNK_MS, self._options.query_length_s * 1000)):
            for pair in self._wanted(chunk.first_ms, chunk.end_ms):
                yield from self._profiles(pair, chunk)

    def span_profile(
        self, span_ids: Sequence[str], profile_type: str, service: str, window: TimeRange
    ) -> RawPayload | None:
        """The samples of some spans of a service, merged into one profile; None when there are none.

        pprof where the server gives it, else collapsed stacks. The parameters name the spans (``span_ids``).

        Args:
            span_ids: 16 hexadecimal digits each.
            profile_type: full profile type id.
            service: name of the service.
            window: when the spans were.

        Raises:
            BadQuery: no span ids, wrong ones, or a window longer than the server's limit.
            SourceRefused: this server does not select samples by span.
            SourceError: it could not be asked.
        """
        return self._selected(Selector.SPANS, span_ids, Pair(service, profile_type), window)

    def trace_profile(
        self, trace_ids: Sequence[str], profile_type: str, service: str, window: TimeRange
    ) -> RawPayload | None:
        """The samples of some traces in a service, as `span_profile` gives those of spans. Needs Pyroscope 2.2.

        Raises:
            BadQuery: no trace ids, wrong ones, or a window longer than the server's limit.
            SourceRefused: this server does not select samples by trace.
            SourceError: it could not be asked.
        """
        return self._selected(Selector.TRACES, trace_ids, Pair(service, profile_type), window)

    def span_exemplars(self, profile_type: str, service: str, window: TimeRange) -> list[Exemplar]:
        """Spans of a service that have samples, up to 20 per step; none on servers before 2, which cannot tell.

        Raises:
            SourceError: they could not be asked for.
        """
        step_ms = self._options.step_s * 1000
        found: list[Exemplar] = []
        for chunk in whole_steps(window, step_ms).chunks(_CHUNK_MS):
            query = MergeQuery(profile_type, Pair(service, profile_type).selector, chunk.first_ms, chunk.end_ms)
            found += self._api.span_exemplars(query, self._options.step_s) or []
        return found

    def pairs(self, window: TimeRange) -> list[Pair]:
        """Services and profile types that the server has in a window and the options want.

        Raises:
            SourceError: they could not be asked for.
        """
        return self._chosen(self._api.pairs(window.start_ns // NS_PER_MS, window.end_ns // NS_PER_MS))

    def check(self) -> list[Finding]:
        """Version, services, whether it selects by span, whether it keeps only samples of the profiles."""
        now_ns = self._clock.now_ns()
        hour = TimeRange(now_ns - _CHECKED_S * 10**9, now_ns)
        try:
            findings = [Finding(ok=True, text=f"{self._api.who} is {self._describe()}")]
            pairs = self.pairs(hour)
            return [*findings, self._about_pairs(pairs), *self._about_spans(pairs, hour), *self._about_sampling(hour)]
        except SourceError as exc:
            return [Finding(ok=False, text=str(exc))]

    def _describe(self) -> str:
        version = self._api.version()
        if self._api.v2_storage():
            kind = "Pyroscope with v2 storage"
        elif self._api.has_stats():
            kind = "Pyroscope with v1 storage"
        else:
            kind = "Phlare"
        return f"{kind}, version {version}" if version else kind

    def _about_pairs(self, pairs: list[Pair]) -> Finding:
        if not pairs:
            return Finding(ok=False, text="it has no profiles of the last hour: check tenant, services and agents")
        services = sorted({pair.service for pair in pairs})
        shown = ", ".join(services[:10]) + (" …" if len(services) > 10 else "")
        return Finding(
            ok=True, text=f"profiles of the last hour: {len(services)} services ({shown}), {len(pairs)} series"
        )

    def _about_spans(self, pairs: list[Pair], hour: TimeRange) -> list[Finding]:
        query = [probe_query(pair, *_milliseconds(hour)) for pair in pairs if ":cpu:" in pair.profile_type][:1]
        if not query:
            return []
        findings = []
        for selector in Selector:
            way = self._spans.way(selector, query[0])
            if way:
                findings.append(Finding(ok=True, text=f"it selects samples by {selector} ({way})"))
            elif way is not None:
                text = f"it ignores selectors of {selector}: these profiles have to come by push, or joined by time"
                findings.append(Finding(ok=selector is Selector.TRACES, text=text))
        return findings

    def _about_sampling(self, hour: TimeRange) -> list[Finding]:
        stripped = sorted(self._api.stripped_services(*_milliseconds(hour)))
        if not stripped:
            return []
        text = f"it throws profiles of {', '.join(stripped)} away by sampling rules: their totals are too small"
        return [Finding(ok=False, text=f"{text}; lift the rules (-distributor.sampling) or set accept_sampled")]

    def _wanted(self, start_ms: int, end_ms: int) -> Iterator[Pair]:
        """Pairs to pull, without the services of which the server keeps only a sample."""
        pairs = self._chosen(self._api.pairs(start_ms, end_ms))
        stripped = set() if self._options.accept_sampled else self._api.stripped_services(start_ms, end_ms)
        for service in stripped:
            self._refused[service] = "the server threw the stacks of some profiles away (__sampled__)"
        return (pair for pair in pairs if pair.service not in stripped)

    def _chosen(self, pairs: list[Pair]) -> list[Pair]:
        services, types = self._options.services, self._options.profile_types
        return [
            pair
            for pair in pairs
            if (not services or pair.service in services) and (not types or pair.profile_type.startswith(types))
        ]

    def _profiles(self, pair: Pair, steps: Steps) -> Iterator[RawPayload]:
        for point in self._api.points(pair, steps.first_end_ms, steps.end_ms, steps.step_ms):
            if point.kept_share < 1.0 and not self._options.accept_sampled:
                self._refused[pair.service] = f"the server keeps {point.kept_share:.0%} of its profiles"
            elif payload := self._profile(pair, point, steps.step_ms):
                yield payload

    def _profile(self, pair: Pair, point: Point, step_ms: int) -> RawPayload | None:
        start_ms = point.end_ms - step_ms + 1
        body = self._api.merged_profile(MergeQuery(pair.profile_type, pair.selector, start_ms, point.end_ms))
        if body is None:
            return None
        window = TimeRange(start_ms * NS_PER_MS, (point.end_ms + 1) * NS_PER_MS)
        extra = {} if point.kept_share >= 1.0 else {"kept_share": f"{point.kept_share:g}"}
        return self._payload(pair, window, Selected(body, is_pprof=True), extra)

    def _selected(self, selector: Selector, ids: Sequence[str], pair: Pair, window: TimeRange) -> RawPayload | None:
        margin_ns = self._options.margin_s * 10**9
        start_ms, end_ms = _milliseconds(TimeRange(window.start_ns - margin_ns, window.end_ns + margin_ns))
        if end_ms - start_ms > self._options.query_length_s * 1000:
            raise BadQuery(
                f"{self._api.who} answers for {self._options.query_length_s} s at most; ask for a shorter time"
            )
        query = MergeQuery(pair.profile_type, pair.selector, start_ms, end_ms, max_nodes=self._options.max_nodes)
        wanted = checked_ids(selector, ids)
        selected = self._spans.select(selector, wanted, query)
        key = "span_ids" if selector is Selector.SPANS else "trace_ids"
        return selected and self._payload(pair, window, selected, {key: ",".join(wanted)})

    def _payload(self, pair: Pair, window: TimeRange, found: Selected, extra: dict[str, str]) -> RawPayload:
        params = {
            "service": pair.service,
            "name": pair.profile_type.partition(":")[0],
            "type": pair.profile_type,
            "from": str(window.start_ns),
            "until": str(window.end_ns),
            **extra,
        }
        now_ns = self._clock.now_ns()
        if not found.is_pprof:
            return RawPayload(PayloadKind.COLLAPSED, found.body, now_ns, Encoding.RAW, "text/plain", _SENDER, params)
        body = timed_pprof(found.body, window.start_ns, window.end_ns - window.start_ns)
        return RawPayload(PayloadKind.PPROF, body, now_ns, Encoding.PROTOBUF, "", _SENDER, params)


def _milliseconds(window: TimeRange) -> tuple[int, int]:
    return max(window.start_ns, 0) // NS_PER_MS, -(-window.end_ns // NS_PER_MS)
