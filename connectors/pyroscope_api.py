"""Pyroscope's ``querier.v1`` as calls: Connect over JSON, and over protobuf where the answer is pprof.

The same names serve Phlare, Pyroscope 1 and 2. A server ignores request fields that it does not know, so older ones
answer newer questions too widely; what can be trusted is found out in `connectors.pyroscope_spans`.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from connectors.bodies import excerpt
from connectors.http import Call, HttpSource, Reply
from connectors.pyroscope_wire import MergeQuery, collapsed_of, has_samples, pprof_of
from correlate.errors import SourceMalformed, SourceRefused, SourceUnreachable

QUERIER: Final = "/querier.v1.QuerierService/"
_PROTO: Final = "application/proto"
_JSON: Final = "application/json"
_ANSWERED: Final = frozenset({400, 404, 500, 501})
_DOTTED_NAMES: Final = {"Accept": "*/*; allow-utf8-labelnames=true", "Connect-Protocol-Version": "1"}

_STRIPPED: Final = '{__sampled__="true"}'
"""Matches profiles of which the server kept the total and threw the stacks away."""


@dataclass(frozen=True, slots=True, order=True)
class Pair:
    """What there is profiles of: a service, and a full profile type id."""

    service: str
    profile_type: str

    @property
    def selector(self) -> str:
        """Matches the service, without profiles whose stacks were thrown away."""
        return f'{{service_name={_quoted(self.service)},__sampled__!="true"}}'


@dataclass(frozen=True, slots=True)
class Point:
    """A step of time in which a pair has profiles.

    Attributes:
        end_ms: last millisecond of the step.
        kept_share: which share of the profiles the server kept, 1.0 when it did not sample.
    """

    end_ms: int
    kept_share: float


@dataclass(frozen=True, slots=True)
class Exemplar:
    """A span that has samples.

    Attributes:
        span_id: 16 hex digits.
        trace_id: 32 hex digits, empty on servers before 2.2 and for samples without.
        value: of its samples in one profile.
        time_ms: of that profile, milliseconds since the Unix epoch.
    """

    span_id: str
    trace_id: str
    value: int
    time_ms: int


class PyroscopeApi:
    """The calls, each with its answer as values."""

    def __init__(self, http: HttpSource) -> None:
        self._http = http

    @property
    def who(self) -> str:
        """The source and its address, the subject of messages."""
        return self._http.who

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def v2_storage(self) -> bool:
        """Whether the server says that it reads the second storage layer; servers before 1.14 do not say.

        Raises:
            SourceError: it could not be asked.
        """
        answer = self._json("/capabilities.v1.FeatureFlagsService/GetFeatureFlags", {}) or {}
        flags = answer.get("featureFlags") or []
        return any(flag.get("name") == "v2StorageLayer" and flag.get("enabled") for flag in flags)

    def version(self) -> str:
        """What the server calls its version, empty when it does not tell.

        Raises:
            SourceError: it could not be asked.
        """
        reply = self._http.send(Call("GET", "/api/v1/status/buildinfo", allow=frozenset({404})))
        data = reply.json_object().get("data") if reply.status == 200 else None
        return str((data or {}).get("version") or "")

    def has_stats(self) -> bool:
        """Whether it is Pyroscope: Phlare, its predecessor, has no ``GetProfileStats``.

        Raises:
            SourceError: it could not be asked.
        """
        return self._json(f"{QUERIER}GetProfileStats", {}) is not None

    def pairs(self, start_ms: int, end_ms: int) -> list[Pair]:
        """Services and the types of their profiles in a range of time (Phlare: in all its time).

        Raises:
            SourceError: they could not be asked for.
        """
        question = {"matchers": [], "labelNames": ["service_name", "__profile_type__"]}
        answer = self._json(f"{QUERIER}Series", question | {"start": start_ms, "end": end_ms})
        found = {_pair(labels) for labels in _label_sets(answer or {})}
        found.discard(None)
        return sorted(pair for pair in found if pair) or self._pairs_one_by_one(start_ms, end_ms)

    def stripped_services(self, start_ms: int, end_ms: int) -> set[str]:
        """Services of which the server threw stacks away by its sampling rules, keeping totals.

        Raises:
            SourceError: they could not be asked for.
        """
        question = {"matchers": [_STRIPPED], "labelNames": ["service_name", "__sampled__"]}
        answer = self._json(f"{QUERIER}Series", question | {"start": start_ms, "end": end_ms}) or {}
        sets = [labels for labels in _label_sets(answer) if labels.get("__sampled__") == "true"]
        return {labels.get("service_name", "") for labels in sets} - {""}

    def points(self, pair: Pair, first_end_ms: int, last_end_ms: int, step_ms: int) -> list[Point]:
        """The steps in which a pair has profiles. A step is the milliseconds from ``end_ms - step_ms + 1`` to its end.

        Raises:
            SourceError: they could not be asked for.
        """
        query = MergeQuery(pair.profile_type, pair.selector, first_end_ms, last_end_ms)
        answer = self._json(f"{QUERIER}SelectSeries", query.as_json(step=step_ms / 1000, groupBy=[]))
        try:
            found = [point for series in (answer or {}).get("series") or [] for point in series.get("points") or []]
            return [Point(int(point["timestamp"]), _kept_share(point.get("annotations") or [])) for point in found]
        except (KeyError, TypeError, ValueError, AttributeError) as exc:
            raise SourceMalformed(f"{self.who} answered SelectSeries with points that cannot be read: {exc}") from exc

    def merged_profile(self, query: MergeQuery) -> bytes | None:
        """All samples of a pair as one pprof, uncompressed; None when there are none.

        Raises:
            SourceError: it could not be asked for.
        """
        body = self._proto(f"{QUERIER}SelectMergeProfile", query.as_merge_profile())
        if body is None:
            raise self._missing("SelectMergeProfile")
        return body if has_samples(body) else None

    def selected_pprof(self, query: MergeQuery) -> bytes | None:
        """The samples of some spans or traces as pprof: empty when there are none, None when not offered.

        Raises:
            SourceError: it could not be asked for.
        """
        response = self._proto(f"{QUERIER}SelectMergeStacktraces", query.as_merge_pprof())
        pprof = None if response is None else pprof_of(response)
        return pprof if not pprof or has_samples(pprof) else b""

    def selected_stacks(self, rpc: str, query: MergeQuery) -> bytes | None:
        """The samples of some spans or traces as collapsed stacks: empty when there are none, None when not offered.

        Args:
            rpc: ``SelectMergeSpanProfile`` or ``SelectMergeStacktraces``.
            query: which ones.

        Raises:
            SourceError: it could not be asked for.
        """
        answer = self._json(f"{QUERIER}{rpc}", query.as_json(format="PROFILE_FORMAT_TREE"))
        return None if answer is None else collapsed_of(answer)

    def span_exemplars(self, query: MergeQuery, step_s: float) -> list[Exemplar] | None:
        """Spans with samples, at most 20 per step and series; None on servers before 2.

        Raises:
            SourceError: they could not be asked for.
        """
        kind = {"queryType": "HEATMAP_QUERY_TYPE_SPAN", "exemplarType": "EXEMPLAR_TYPE_SPAN"}
        answer = self._json(f"{QUERIER}SelectHeatmap", query.as_json(step=step_s, groupBy=[], **kind))
        if answer is None:
            return None
        slots = [slot for series in answer.get("series") or [] for slot in series.get("slots") or []]
        found = [item for slot in slots for item in slot.get("exemplars") or [] if item.get("spanId")]
        return [
            Exemplar(item["spanId"], item.get("traceId", ""), int(item.get("value", 0)), int(item.get("timestamp", 0)))
            for item in found
        ]

    def _pairs_one_by_one(self, start_ms: int, end_ms: int) -> list[Pair]:
        """For servers whose Series tells no profile types: the types, and the services of each."""
        window = {"start": start_ms, "end": end_ms}
        types = (self._json(f"{QUERIER}ProfileTypes", window) or {}).get("profileTypes") or []
        found = []
        for profile_type in [str(each["ID"]) for each in types if each.get("ID")]:
            matchers = [f"{{__profile_type__={_quoted(profile_type)}}}"]
            question = {"name": "service_name", "matchers": matchers, **window}
            names = (self._json(f"{QUERIER}LabelValues", question) or {}).get("names") or []
            found += [Pair(str(name), profile_type) for name in names]
        return sorted(found)

    def _json(self, path: str, question: Mapping[str, object]) -> dict[str, Any] | None:
        reply = self._send(path, orjson.dumps(question), _JSON)
        return None if reply is None else reply.json_object()

    def _proto(self, path: str, question: bytes) -> bytes | None:
        reply = self._send(path, question, _PROTO)
        if reply is not None and not reply.headers.get("content-type", "").startswith(_PROTO):
            raise SourceMalformed(f"{self.who} answered {path} with {excerpt(reply.body, 80)!r}, which is not protobuf")
        return None if reply is None else reply.body

    def _send(self, path: str, body: bytes, kind: str) -> Reply | None:
        """Ask; None when the server does not know the call."""
        call = Call("POST", path, {}, "*/*", body, kind, _DOTTED_NAMES, allow=_ANSWERED, idempotent=True)
        reply = self._http.send(call)
        if reply.status == 200:
            return reply
        code, message = _connect_error(reply.body)
        if reply.status in (404, 501) or code == "unimplemented":
            return None
        said = f"{self.who} answered {path.rpartition('/')[2]} with {code or reply.status}: {message}"
        if reply.status == 500:
            raise SourceUnreachable(f"{said}; its log says more")
        raise SourceRefused(f"{said}{_advice(message)}")

    def _missing(self, rpc: str) -> SourceRefused:
        return SourceRefused(f"{self.who} does not know {rpc}: check that the url leads to Pyroscope or Phlare")


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _connect_error(body: bytes) -> tuple[str, str]:
    """Code and message of a Connect error; of anything else, its beginning as message."""
    try:
        error = orjson.loads(body)
    except orjson.JSONDecodeError:
        return "", excerpt(body)
    if not isinstance(error, dict):
        return "", excerpt(body)
    return str(error.get("code", "")), str(error.get("message", ""))[:300]


def _advice(message: str) -> str:
    if "max_query_length" in message:
        return "; set query_length to the server's -querier.max-query-length"
    if "org" in message and "id" in message:
        return "; set tenant"
    return ""


def _label_sets(answer: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    for labels in answer.get("labelsSet") or []:
        pairs: Iterable[Mapping[str, str]] = labels.get("labels") or []
        yield {str(pair.get("name", "")): str(pair.get("value", "")) for pair in pairs}


def _pair(labels: Mapping[str, str]) -> Pair | None:
    service, profile_type = labels.get("service_name", ""), labels.get("__profile_type__", "")
    return Pair(service, profile_type) if service and profile_type else None


def _kept_share(annotations: Iterable[Mapping[str, Any]]) -> float:
    """The smallest probability among the annotations ``pyroscope.ingest.sampled`` of a point."""
    shares = [
        float((json.loads(annotation.get("value", "{}")).get("body") or {}).get("probability", 1.0))
        for annotation in annotations
        if annotation.get("key") == "pyroscope.ingest.sampled"
    ]
    return min([*shares, 1.0])
