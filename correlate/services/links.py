"""Links out of an answer: to our own page, and into Grafana Explore."""

from dataclasses import dataclass
from urllib.parse import quote, urlencode

import orjson

from correlate.model.answers import CohortInfo, Scope, SpanInfo, Subject
from correlate.model.ids import format_span_id
from correlate.model.profile_type import ProfileType
from correlate.model.queries import TimeRange

_MARGIN_MS = 60_000


@dataclass(frozen=True, slots=True)
class LinkMaker:
    """Builds links.

    Attributes:
        public_url: how people reach our HTTP port, without a slash at the end.
        grafana_url: Grafana's base URL with its sub-path; empty: no Grafana links.
        tempo_uid: uid of Grafana's Tempo datasource.
        pyroscope_uid: uid of its Pyroscope datasource.
        org_id: Grafana's organisation.
    """

    public_url: str
    grafana_url: str = ""
    tempo_uid: str = "tempo"
    pyroscope_uid: str = "pyroscope"
    org_id: int = 1

    def of_span(self, span: SpanInfo, profile_type: ProfileType, scope: Scope) -> dict[str, str | None]:
        """The links of a span answer: page, pprof, grafana_trace and grafana_profile (None without Grafana)."""
        path = f"{span.trace}/{format_span_id(span.span)}"
        asked = _unusual(profile_type, scope)
        return {
            "page": _url(f"{self.public_url}/spans/{path}", asked),
            "pprof": _url(f"{self.public_url}/api/v1/spans/{path}/profile", asked | {"format": "pprof"}),
            "grafana_trace": self._explore("trace", self._trace_pane(span)),
            "grafana_profile": self._explore("profile", self._profile_pane(span, profile_type)),
        }

    def of_cohort(self, cohort: CohortInfo, profile_type: ProfileType) -> dict[str, str | None]:
        """The links of a cohort's answer: its page, its pprof file and, with Grafana, its traces there."""
        asked = {"q": cohort.query} | _bounds(cohort.window) | _unusual(profile_type, Scope.SUBTREE)
        return {
            "page": _url(f"{self.public_url}/cohorts", asked),
            "pprof": _url(f"{self.public_url}/api/v1/cohorts/profile", asked | {"format": "pprof"}),
            "grafana_trace": self._explore("traces", self._search_pane(cohort)),
            "grafana_profile": None,
        }

    def of(self, subject: Subject, profile_type: ProfileType, scope: Scope) -> dict[str, str | None]:
        """The links of any answer."""
        if isinstance(subject, CohortInfo):
            return self.of_cohort(subject, profile_type)
        return self.of_span(subject, profile_type, scope)

    def _explore(self, name: str, pane: dict[str, object]) -> str | None:
        if not self.grafana_url:
            return None
        panes = quote(orjson.dumps({name: pane}).decode(), safe="")
        return f"{self.grafana_url.rstrip('/')}/explore?schemaVersion=1&panes={panes}&orgId={self.org_id}"

    def _trace_pane(self, span: SpanInfo) -> dict[str, object]:
        query = {
            "refId": "A",
            "datasource": {"type": "tempo", "uid": self.tempo_uid},
            "queryType": "traceql",
            "limit": 20,
            "tableType": "traces",
            "query": str(span.trace),
        }
        focus = {"trace": {"spanId": format_span_id(span.span)}}
        return {"datasource": self.tempo_uid, "queries": [query], "range": _around(span), "panelsState": focus}

    def _search_pane(self, cohort: CohortInfo) -> dict[str, object]:
        query = {
            "refId": "A",
            "datasource": {"type": "tempo", "uid": self.tempo_uid},
            "queryType": "traceql",
            "limit": 20,
            "tableType": "spans",
            "query": cohort.query,
        }
        start_ms, end_ms = cohort.window.start_ns // 1_000_000, -(-cohort.window.end_ns // 1_000_000)
        span = {"from": str(start_ms), "to": str(end_ms)}
        return {"datasource": self.tempo_uid, "queries": [query], "range": span}

    def _profile_pane(self, span: SpanInfo, profile_type: ProfileType) -> dict[str, object]:
        query = {
            "refId": "A",
            "datasource": {"type": "grafana-pyroscope-datasource", "uid": self.pyroscope_uid},
            "queryType": "profile",
            "profileTypeId": str(profile_type),
            "labelSelector": f"{{service_name={orjson.dumps(span.service).decode()}}}",
            "groupBy": [],
            "spanSelector": [_selector(span)],
        }
        return {"datasource": self.pyroscope_uid, "queries": [query], "range": _around(span)}


def _unusual(profile_type: ProfileType, scope: Scope) -> dict[str, str]:
    """The query parameters that are not what they would be anyway."""
    asked = {} if profile_type.matches("cpu") == 0 else {"type": str(profile_type)}
    return asked if scope is Scope.SUBTREE else asked | {"scope": scope.value}


def _bounds(window: TimeRange) -> dict[str, str]:
    """The query parameters of a window; what is unbounded is left out."""
    ever = TimeRange.everything()
    start = {"from": str(window.start_ns)} if window.start_ns > ever.start_ns else {}
    return start | ({"to": str(window.end_ns)} if window.end_ns < ever.end_ns else {})


def _url(base: str, params: dict[str, str]) -> str:
    return f"{base}?{urlencode(params)}" if params else base


def _selector(span: SpanInfo) -> str:
    """What the profiler stamped on the samples: the attribute where it is a span id, else the span's own id."""
    return span.profile_ref if len(span.profile_ref) == 16 else format_span_id(span.span)


def _around(span: SpanInfo) -> dict[str, str]:
    start_ms, end_ms = span.start_ns // 1_000_000, -(-span.end_ns // 1_000_000)
    return {"from": str(start_ms - _MARGIN_MS), "to": str(end_ms + _MARGIN_MS)}
