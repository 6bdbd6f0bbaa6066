"""Tempo's search as values: which windows to ask for, and what the answers say. No I/O.

Search has no paging. It gives the first `limit` traces it comes across, so an answer is complete only when it holds
fewer than `limit`; a window whose answer is full is cut in two. Its time filter is that of traces, not of spans: a
trace is found by every window it overlaps. (grafana/tempo ``docs/sources/tempo/api_docs``, ``pkg/api/http.go``.)
"""

import json
import re
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from correlate.errors import SourceMalformed
from correlate.model.queries import TimeRange

NS_PER_S: Final = 1_000_000_000
MAX_LIMIT: Final = 262_144
"""Tempo's ``max_result_limit``: no search may ask for more traces."""
MAX_RANGE_S: Final = 168 * 3600
"""Tempo's ``search.max_duration``: no search may cover more time."""
_MAX_SECONDS: Final = (1 << 32) - 1
_SERVICES_PER_QUERY: Final = 50
_SLOW_HALVINGS: Final = 3
_TRACE_ID: Final = re.compile(r"[0-9a-fA-F]{1,32}")


@dataclass(frozen=True, slots=True)
class Ask:
    """One search: whole seconds since the epoch, and how many traces at most.

    Attributes:
        start_s: begin of the window.
        end_s: end of the window, at least a second later.
        limit: most traces in the answer.
    """

    start_s: int
    end_s: int
    limit: int


class Answer(Enum):
    """What became of a search, as far as the next window depends on it."""

    FEW = "complete, with room to spare"
    COMPLETE = "complete"
    FULL = "as many traces as the limit, so there may be more"
    SLOW = "it did not answer in time"
    REFUSED = "the limit is higher than it allows"


def sweep(window: TimeRange, *, limit: int, slice_s: int) -> Generator[Ask, Answer, list[Ask]]:
    """Ask for windows that together cover a time range, narrower where there is much and wider where there is little.

    Yields searches, expects for each what became of it, and returns those that could not be completed: single
    seconds with more traces than the server gives. Ends early when it is too slow for a window that was cut already.

    Args:
        window: the time to cover.
        limit: traces per search while windows can still be cut.
        slice_s: width of the first window.
    """
    at_s, end_s = whole_seconds(window)
    width_s, slow, given_up = slice_s, 0, []
    while at_s < end_s:
        ask = Ask(at_s, min(at_s + width_s, end_s), limit)
        answer = yield ask
        span_s = ask.end_s - ask.start_s
        slow = slow + 1 if answer is Answer.SLOW else 0
        if span_s > 1 and (answer is Answer.FULL or 0 < slow <= _SLOW_HALVINGS):
            width_s = span_s // 2
            continue
        if answer is Answer.FULL:
            answer = yield from _raised(ask)
        if answer is Answer.SLOW:
            break
        if answer in (Answer.FULL, Answer.REFUSED):
            given_up.append(ask)
        elif answer is Answer.FEW:
            width_s = min(2 * width_s, MAX_RANGE_S)
        at_s = ask.end_s
    return given_up


def _raised(ask: Ask) -> Generator[Ask, Answer, Answer]:
    """One second cannot be cut further: ask for more traces at once instead."""
    limit, answer = ask.limit, Answer.FULL
    while answer is Answer.FULL and limit < MAX_LIMIT:
        limit = min(8 * limit, MAX_LIMIT)
        answer = yield Ask(ask.start_s, ask.end_s, limit)
    return answer


def whole_seconds(window: TimeRange) -> tuple[int, int]:
    """The whole seconds that cover a time range, within what Tempo's parameters can hold."""
    start_s = min(max(window.start_ns // NS_PER_S, 0), _MAX_SECONDS)
    return start_s, min(max(-(-window.end_ns // NS_PER_S), start_s), _MAX_SECONDS)


def slices(window: TimeRange, longest_s: int) -> Iterator[TimeRange]:
    """Cut a time range into pieces of whole seconds that are not longer than something, newest first."""
    start_s, end_s = whole_seconds(window)
    while start_s < end_s:
        at_s = max(start_s, end_s - longest_s)
        yield TimeRange(at_s * NS_PER_S, end_s * NS_PER_S)
        end_s = at_s


def service_queries(services: Iterable[str]) -> list[str]:
    """TraceQL for all spans of some services, ``{}`` when none are named; several queries when they are many."""
    terms = [f"resource.service.name = {json.dumps(name, ensure_ascii=False)}" for name in services]
    groups = [terms[at : at + _SERVICES_PER_QUERY] for at in range(0, len(terms), _SERVICES_PER_QUERY)]
    return [f"{{ {' || '.join(group)} }}" for group in groups] or ["{}"]


@dataclass(frozen=True, slots=True)
class SpanHit:
    """A span that a search found.

    Attributes:
        span_id: 16 hexadecimal digits.
        name: empty unless the query mentions or selects it.
        start_ns: since the Unix epoch.
        duration_ns: its length.
        attributes: what the query mentions or selects, unscoped; None where the span has none.
    """

    span_id: str
    name: str
    start_ns: int
    duration_ns: int
    attributes: Mapping[str, str | int | float | bool | None]


@dataclass(frozen=True, slots=True)
class TraceHit:
    """A trace that a search found. Tempo may know only parts of it yet, so nothing but the ids is lasting truth.

    Attributes:
        trace_id: 32 hexadecimal digits.
        root_service: service of the root span, or what Tempo writes when it has not arrived.
        root_name: name of the root span.
        start_ns: since the Unix epoch.
        duration_ns: from the first to the last span, to the millisecond.
        spans: some of the spans that match.
        matched: how many spans match; more than `spans` when Tempo left some out.
    """

    trace_id: str
    root_service: str
    root_name: str
    start_ns: int
    duration_ns: int
    spans: tuple[SpanHit, ...]
    matched: int


def read_hits(answer: Mapping[str, Any], who: str) -> list[TraceHit]:
    """Read the answer of ``/api/search``; it loops over what was found, which the query's limit bounds.

    Raises:
        SourceMalformed: it does not have the form of a search's answer.
    """
    try:
        return [_trace_hit(trace) for trace in answer.get("traces") or ()]
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise SourceMalformed(f"{who} gave search results in a form that is not Tempo's: {exc!r}") from exc


def _trace_hit(trace: Mapping[str, Any]) -> TraceHit:
    sets = trace.get("spanSets") or ([trace["spanSet"]] if trace.get("spanSet") else [])
    spans = {hit.span_id: hit for one in sets for hit in map(_span_hit, one.get("spans") or ())}
    return TraceHit(
        trace_id=padded_trace_id(trace["traceID"]),
        root_service=str(trace.get("rootServiceName", "")),
        root_name=str(trace.get("rootTraceName", "")),
        start_ns=int(trace.get("startTimeUnixNano", 0)),
        duration_ns=int(trace.get("durationMs", 0)) * 1_000_000,
        spans=tuple(spans.values()),
        matched=sum(int(one.get("matched", 0)) for one in sets),
    )


def padded_trace_id(text: str) -> str:
    """A trace id with the leading zeros that Tempo's search strips.

    Raises:
        ValueError: not hexadecimal, or longer than 32 digits.
    """
    if not _TRACE_ID.fullmatch(text):
        raise ValueError(f"{text[:64]!r} is not a trace id")
    return text.lower().zfill(32)


def _span_hit(span: Mapping[str, Any]) -> SpanHit:
    return SpanHit(
        span_id=str(span["spanID"]).lower().zfill(16),
        name=str(span.get("name", "")),
        start_ns=int(span.get("startTimeUnixNano", 0)),
        duration_ns=int(span.get("durationNanos", 0)),
        attributes=read_attributes(span.get("attributes") or ()),
    )


def read_attributes(pairs: Iterable[Mapping[str, Any]]) -> dict[str, str | int | float | bool | None]:
    """Attributes as Tempo's JSON writes them; ``"nil"`` is its word for none.

    Raises:
        ValueError: an ``intValue`` is not a number.
    """
    return {str(pair["key"]): _plain(pair.get("value") or {}) for pair in pairs}


def _plain(value: Mapping[str, Any]) -> str | int | float | bool | None:
    if "intValue" in value:
        return int(value["intValue"])
    for kind, convert in (("doubleValue", float), ("boolValue", bool)):
        if kind in value:
            return convert(value[kind])
    text = value.get("stringValue")
    return None if text is None or text == "nil" else str(text)
