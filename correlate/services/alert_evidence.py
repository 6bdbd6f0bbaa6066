"""Addresses that an alert is shown with: flame graph, difference, call site, example traces, Grafana."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode

import orjson

from correlate.detectors import contention, goroutine, hotspot, leak, regression
from correlate.joins import scope
from correlate.model.alerts import Alert
from correlate.model.answers import CohortInfo, Scope
from correlate.model.profile_type import ProfileType, choose
from correlate.model.queries import TimeRange
from correlate.model.verdicts import Verdict
from correlate.ports import Lake
from correlate.services.links import LinkMaker

_HOUR_NS: Final = 3_600_000_000_000
_EXAMPLES: Final = 3
_ALIASES: Final = {
    leak.DETECTOR: "inuse_space",
    goroutine.DETECTOR: "goroutine",
    contention.DETECTOR: "mutex",
}
"""Which profile shows what a detector found; CPU where it is not named here, or the service does not have it."""

_CPU: Final = "process_cpu:cpu:nanoseconds:cpu:nanoseconds"
_COMPARED: Final = (regression.DETECTOR, hotspot.DETECTOR)


class AlertEvidence:
    """Makes the addresses, of what exists: a service without spans has no traces to show."""

    def __init__(self, lake: Lake, links: LinkMaker) -> None:
        self._lake = lake
        self._links = links

    def __call__(self, alert: Alert) -> Mapping[str, str]:
        """The addresses of an alert, by name.

        Raises:
            StoreError: the lake failed.
        """
        until_ns = alert.judged_until_ns
        verdict = alert.verdict
        lately = TimeRange(until_ns - _HOUR_NS, until_ns)
        operation = _operation(verdict)
        profile_type = self._profile_type(verdict)
        found = self._cohort(verdict.service, operation, lately, profile_type)
        if verdict.detector in _COMPARED:
            found["difference"] = self._difference(verdict.service, operation, alert)
        function = verdict.sites[0].function if verdict.sites else ""
        if function and function != operation:
            asked = {"function": function, "service": verdict.service, "type": "cpu"} | _bounds(lately)
            found["call_site"] = f"{self._links.public_url}/frames/traces?{urlencode(asked)}"
        return found | self._examples(verdict.service, operation, lately, profile_type)

    def _profile_type(self, verdict: Verdict) -> ProfileType:
        known = self._lake.profile_types()
        present = known.filter(known["service"] == verdict.service)["type"].sort().to_list()
        alias = _ALIASES.get(verdict.detector, "cpu")
        return ProfileType.parse((choose(alias, present) or choose("cpu", present) or [_CPU])[0])

    def _cohort(self, service: str, operation: str, window: TimeRange, profile_type: ProfileType) -> dict[str, str]:
        cohort = CohortInfo(_query(service, operation), window, 0, 0, (service,))
        links = self._links.of_cohort(cohort, profile_type)
        named = {"flame_graph": links["page"], "grafana": links["grafana_trace"]}
        return {name: url for name, url in named.items() if url}

    def _difference(self, service: str, operation: str, alert: Alert) -> str:
        """The last hour against the hour before it began, or against yesterday's where that is not known."""
        until_ns, query = alert.judged_until_ns, _query(service, operation)
        changed_ns = int(alert.verdict.figures.get("since_ns", 0)) or alert.started_ns - _HOUR_NS
        before = TimeRange(changed_ns - _HOUR_NS, changed_ns)
        asked = {"left": query, "left_from": str(before.start_ns), "left_to": str(before.end_ns)}
        asked |= {"right": query, "right_from": str(until_ns - _HOUR_NS), "right_to": str(until_ns)}
        return f"{self._links.public_url}/compare?{urlencode(asked)}"

    def _examples(self, service: str, operation: str, window: TimeRange, profile_type: ProfileType) -> dict[str, str]:
        rows = self._lake.spans_of_service(service, operation or None, window, limit=_EXAMPLES, slowest=True)
        cpu = profile_type if profile_type.matches("cpu") is not None else ProfileType.parse(_CPU)
        found: dict[str, str] = {}
        for number, row in enumerate(rows.iter_rows(named=True), 1):
            found[f"trace_{number}"] = str(self._links.of_span(scope.span_info(row), cpu, Scope.SUBTREE)["page"])
        return found


def _operation(verdict: Verdict) -> str:
    """The operation that a verdict is mostly about; "" where it names none."""
    return next((site.operations[0] for site in verdict.sites if site.operations), "")


def _query(service: str, operation: str) -> str:
    """The spans of a service or an operation, in TraceQL."""
    named = f" && name = {_quoted(operation)}" if operation else ""
    return f"{{ resource.service.name = {_quoted(service)}{named} }}"


def _quoted(text: str) -> str:
    return orjson.dumps(text).decode()


def _bounds(window: TimeRange) -> dict[str, str]:
    return {"from": str(window.start_ns), "to": str(window.end_ns)}
