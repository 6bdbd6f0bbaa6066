"""OTLP traces: an ``ExportTraceServiceRequest``, protobuf or JSON, to rows of ``spans`` and ``series``.

Source: opentelemetry-proto 1.11, ``trace/v1/trace.proto`` and ``docs/specification.md``. Events and links of spans are
not kept. A span that cannot be stored is refused alone: its trace or span id is missing or of the wrong length, or its
times do not fit. A span that ends before it starts (a clock was set back, or the end is missing) is kept with the
duration 0 and reported as a warning, that is, a reject that counts nothing. A parent id of the wrong length is none.
"""

import hashlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from correlate.formats import otlp_json, wire
from correlate.formats.arrow import integers, ragged
from correlate.formats.otlp_attributes import Attributes, attributes, service_names
from correlate.formats.otlp_ids import ids
from correlate.formats.otlp_limits import check_counts
from correlate.formats.proto import otlp_skeleton_pb2
from correlate.formats.proto import otlp_traces_pb2 as proto
from correlate.formats.text import utf8
from correlate.model.payload import Encoding, RawPayload
from correlate.tables.schema import SPANS
from correlate.tables.series import series_of_resources
from correlate.tables.tables import Reject, Tables

I64 = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


class _Flat(NamedTuple):
    """A request's spans as one struct array, and the row of its resource and of its scope for each."""

    resources: pa.StructArray
    scopes: pa.StructArray
    spans: pa.StructArray
    resource: I64
    scope: I64


def read(payload: RawPayload) -> Tables:
    """Read the spans of a request.

    Raises:
        Malformed: the body is not the message.
        TooLarge: there are more spans or attributes than one request may hold.
    """
    as_json = payload.encoding == Encoding.JSON
    flat = _flatten(otlp_json.trace_request(payload.body) if as_json else payload.body)
    resources = attributes(flat.resources.field("resource").field("attributes"))
    service = service_names(resources)
    series, series_rows = series_of_resources(service, resources.column())
    columns = _columns(flat) | {
        "service": service[flat.resource],
        "series": series[flat.resource],
        "payload": np.full(len(flat.resource), _content_hash(payload.body)),
    }
    problems = list(_problems(columns, flat.spans))
    bad = np.logical_or.reduce([each for each, _ in problems])
    rejects = [*_rejects(problems), *_warnings(columns["duration_ns"], bad)]
    columns["duration_ns"] = np.maximum(columns["duration_ns"], 0)
    spans = pl.DataFrame([pl.Series(name, columns[name], dtype=kind) for name, kind in SPANS.items()])
    return Tables(spans.filter(~pl.Series(bad)) if bad.any() else spans, series=series_rows, rejects=tuple(rejects))


def _flatten(body: bytes) -> _Flat:
    check_counts(otlp_skeleton_pb2.Traces, body)
    batch = wire.decode(proto.Request, [body])
    resources = ragged(batch.column("resource_spans")).values
    scopes = ragged(resources.field("scope_spans"))
    spans = ragged(scopes.values.field("spans"))
    scope = spans.owners()
    return _Flat(resources, scopes.values, spans.values, scopes.owners()[scope], scope)


def _columns(flat: _Flat) -> dict[str, Any]:
    """The columns of SPANS that a span itself gives; ids that are missing or of the wrong length are 0."""
    spans = flat.spans
    own = attributes(spans.field("attributes"))
    trace = ids(spans.field("trace_id"), 16)
    start = integers(spans.field("start_time_unix_nano"))
    status = spans.field("status")
    return {
        "trace_hi": trace[:, 0],
        "trace_lo": trace[:, 1],
        "span": ids(spans.field("span_id"), 8)[:, 0],
        "parent": ids(spans.field("parent_span_id"), 8)[:, 0],
        "name": utf8(spans.field("name")),
        "kind": _small(integers(spans.field("kind"))),
        "status": _small(integers(status.field("code"))),
        "status_message": utf8(status.field("message")),
        "start_ns": start,
        "duration_ns": integers(spans.field("end_time_unix_nano")) - start,
        "thread": own.text("thread.id").cast(pl.Int64, strict=False).fill_null(0),
        "profile_ref": _profile_refs(own),
        "scope": utf8(flat.scopes.field("scope").field("name"))[flat.scope],
        "attributes": own.column(),
    }


def _profile_refs(own: Attributes) -> pl.Series:
    reference, generic = own.text("pyroscope.profile.id"), own.text("profile.id")
    return reference.zip_with(reference != "", generic)


def _small(codes: I64) -> npt.NDArray[np.int8]:
    """Codes of an enumeration; those no version of OTLP can mean are 0, unspecified."""
    return np.where((codes >= 0) & (codes < 128), codes, 0).astype(np.int8)


def _problems(columns: dict[str, Any], raw: pa.StructArray) -> Iterator[tuple[Bools, str]]:
    """Which spans cannot be stored, and why."""
    yield (columns["trace_hi"] | columns["trace_lo"]) == 0, "the trace id is not 16 bytes, or all zeros"
    yield columns["span"] == 0, "the span id is not 8 bytes, or all zeros"
    yield columns["start_ns"] <= 0, "the start time is 0, or later than the year 2262"
    yield integers(raw.field("end_time_unix_nano")) < 0, "the end time is later than the year 2262"


def _rejects(problems: list[tuple[Bools, str]]) -> Iterator[Reject]:
    """One reject for each reason; a span with several problems counts for the first."""
    seen = np.zeros(len(problems[0][0]), bool)
    for bad, reason in problems:
        count = int((bad & ~seen).sum())
        seen |= bad
        if count:
            yield Reject("spans", count, reason)


def _warnings(durations_ns: I64, bad: Bools) -> Iterator[Reject]:
    backwards = int(((durations_ns < 0) & ~bad).sum())
    if backwards:
        yield Reject("spans", 0, f"{backwards} spans end before they start; they are kept with the duration 0")


def _content_hash(body: bytes) -> int:
    """The same for the same bytes on any machine: a request that is sent again is known by it."""
    return int.from_bytes(hashlib.blake2b(body, digest_size=8).digest(), "big", signed=True)
