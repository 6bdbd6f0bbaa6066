"""The columns of each table, in one place.

Trace ids (128 bit) travel as two signed 64-bit columns, span ids, content hashes and process ids as one; hexadecimal
exists only at the edges (``model.ids``). Zero means "none". Times are nanoseconds since the Unix epoch, UTC.
"""

from typing import Final

import polars as pl

Schema = dict[str, pl.DataType | type[pl.DataType]]

ATTRIBUTE: Final = pl.Struct({"key": pl.String, "value": pl.String, "kind": pl.Int8})
"""One attribute or label. ``value`` is text: JSON for arrays and maps, base64 for bytes; ``kind`` is a KIND_*."""

ATTRIBUTES: Final = pl.List(ATTRIBUTE)

KIND_STRING, KIND_BOOL, KIND_INT, KIND_DOUBLE, KIND_ARRAY, KIND_MAP, KIND_BYTES, KIND_EMPTY = range(1, 9)
"""What an attribute's text was: string, ``true``/``false``, integer, decimal number, JSON, JSON, base64, nothing."""

EVIDENCE_NONE, EVIDENCE_LABEL, EVIDENCE_LINK, EVIDENCE_AMBIGUOUS = range(4)
"""How a sample came by its span id: it has none; a label; an OTLP Link; two labels that disagree (then span is 0)."""

SPANS: Final[Schema] = {
    "trace_hi": pl.Int64,
    "trace_lo": pl.Int64,
    "span": pl.Int64,
    "parent": pl.Int64,  # 0: a root
    "service": pl.String,
    "name": pl.String,
    "kind": pl.Int8,  # OTLP SpanKind
    "status": pl.Int8,  # OTLP StatusCode
    "status_message": pl.String,
    "start_ns": pl.Int64,
    "duration_ns": pl.Int64,
    "thread": pl.Int64,  # attribute thread.id, 0: unknown
    "profile_ref": pl.String,  # attribute pyroscope.profile.id or profile.id, "": none
    "series": pl.Int64,  # the resource, see SERIES
    "scope": pl.String,  # instrumentation scope name
    "attributes": ATTRIBUTES,
    "payload": pl.Int64,  # content hash of the request body the span came in
}

SAMPLES: Final[Schema] = {
    "service": pl.Int64,  # hash of the service name, see SERIES
    "type": pl.Int64,  # hash of the profile type id, see SERIES
    "series": pl.Int64,
    "profile": pl.Int64,  # content hash, see PROFILES
    "time_ns": pl.Int64,  # the sample's own time where the sender gave it, else the profile's start
    "duration_ns": pl.Int64,  # 0 for a sample with its own time, else the profile's length
    "thread": pl.Int64,  # operating system thread id, 0: unknown
    "trace_hi": pl.Int64,
    "trace_lo": pl.Int64,
    "span": pl.Int64,
    "evidence": pl.Int8,  # EVIDENCE_*
    "stack": pl.Int64,
    "value": pl.Int64,  # in the unit the profile type names
    "weight": pl.Int32,  # how many hits of the profiler this row stands for
}

STACKS: Final[Schema] = {
    "service": pl.Int64,
    "stack": pl.Int64,
    "frames": pl.List(pl.Int64),  # root first
}

FRAMES: Final[Schema] = {
    "service": pl.Int64,
    "frame": pl.Int64,
    "function": pl.String,  # "" for a native frame without symbols
    "system_name": pl.String,
    "file": pl.String,
    "line": pl.Int64,
    "column": pl.Int64,
    "start_line": pl.Int64,
    "mapping": pl.String,  # file name of the binary
    "build_id": pl.String,
    "address": pl.Int64,  # native address as on the wire, bit-cast; 0: none
    "kind": pl.String,  # profile.frame.type: native, kernel, cpython, go, …, "" where unknown
    "inlined": pl.Boolean,  # inlined into the next frame towards the root
}

SERIES: Final[Schema] = {
    "series": pl.Int64,
    "service_id": pl.Int64,
    "service": pl.String,
    "type_id": pl.Int64,  # 0 for the resource of spans
    "type": pl.String,  # profile type id, "" for the resource of spans
    "labels": ATTRIBUTES,  # sorted by key
}

PROFILES: Final[Schema] = {
    "profile": pl.Int64,  # content hash of everything in the profile
    "profile_hi": pl.Int64,  # the sender's 16-byte profile id, 0: none
    "profile_lo": pl.Int64,
    "service": pl.String,
    "type": pl.String,
    "time_ns": pl.Int64,
    "duration_ns": pl.Int64,
    "period": pl.Int64,  # in the period type's unit
    "sample_rows": pl.Int64,
    "sample_count": pl.Int64,  # hits of the profiler
    "total": pl.Int64,
    "labelled": pl.Int64,  # the part of total whose samples name a span or a trace
    "ambiguous": pl.Int64,  # the part of total whose samples name two spans
    "format": pl.String,  # "pprof", "otlp 1.8", "otlp 1.9", "otlp 1.10", "collapsed"
    "sender": pl.String,  # user agent or file name
    "received_ns": pl.Int64,
}

OBSERVED_TOTAL, OBSERVED_SITE, OBSERVED_FUNCTION, OBSERVED_OPERATION = range(1, 5)
"""What a row of OBSERVATIONS is about: everything, a call site that holds something, a function, an operation."""

OBSERVATIONS: Final[Schema] = {
    "service_id": pl.Int64,  # hash of the service name
    "service": pl.String,
    "type": pl.String,  # profile type id, "" for spans, "metric:<name>" for a Prometheus series
    "instance": pl.Int64,  # hash of the process, 0: the service as a whole
    "version": pl.String,  # service.version, "": not known, or several
    "time_ns": pl.Int64,  # begin of the bucket
    "duration_ns": pl.Int64,  # its length
    "kind": pl.Int8,  # OBSERVED_*
    "key": pl.Int64,  # hash of what it is about; 0 for everything, and for the small ones put together
    "name": pl.String,  # of the instance, function or operation
    "file": pl.String,
    "line": pl.Int64,
    "stack": pl.Int64,  # an example, see STACKS
    "value": pl.Int64,  # sum over the bucket, of a function with what it calls; for what is held the mean of snapshots
    "self": pl.Int64,  # of a function without what it calls
    "floor": pl.Int64,  # smallest snapshot
    "weight": pl.Int64,  # hits of the profiler, or number of snapshots
    "instances": pl.Int64,  # number of processes that were seen
    "spans": pl.Int64,  # number of requests: spans without a parent in the service
    "busy_ns": pl.Int64,  # sum of their durations
    "written_ns": pl.Int64,  # of several writings of a service, type and bucket only the latest counts
}

TABLES: Final[dict[str, Schema]] = {
    "spans": SPANS,
    "samples": SAMPLES,
    "stacks": STACKS,
    "frames": FRAMES,
    "series": SERIES,
    "profiles": PROFILES,
}
"""Tables of what is received."""

DERIVED: Final[dict[str, Schema]] = {"observations": OBSERVATIONS}
"""Tables of what is worked out from it."""
