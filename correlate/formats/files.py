"""Profile files: pprof and collapsed stacks, with options where a door would know service and time."""

from dataclasses import replace

import polars as pl

from correlate.errors import BadQuery, Malformed
from correlate.formats import params
from correlate.formats.collapsed import CollapsedContext, read_collapsed
from correlate.formats.inflate import gunzip
from correlate.formats.labels import UNKNOWN_SERVICE
from correlate.formats.pprof import read_pprof
from correlate.formats.pprof_heads import PprofContext
from correlate.model.ids import parse_span_id, parse_trace_id
from correlate.model.payload import RawPayload
from correlate.model.profile_type import ProfileType
from correlate.tables.build import Linked, build
from correlate.tables.schema import EVIDENCE_LABEL
from correlate.tables.tables import Tables

_SAMPLES = ProfileType("process_cpu", "samples", "count", "cpu", "nanoseconds")


def read_pprof_file(payload: RawPayload) -> Tables:
    """Read a pprof file.

    Options: ``service``, ``name`` (first part of the type ids), ``from``, ``until``, labels as ``label.KEY``, and
    ``span_id`` and ``trace_id`` (hexadecimal) when all samples are of one span.

    Raises:
        Malformed: the file or an option is broken.
        UnknownFormat: the file is of another format.
        TooLarge: the file is larger than the limit.
    """
    context = PprofContext(
        service=payload.params.get("service", "") or UNKNOWN_SERVICE,
        received_ns=payload.received_ns,
        name=payload.params.get("name", ""),
        from_ns=params.time_ns(payload.params, "from"),
        until_ns=params.time_ns(payload.params, "until"),
        sender=payload.sender,
        labels=_labels(payload),
    )
    return build(_of_one_span(read_pprof([payload.body], [context]), payload))


def read_collapsed_file(payload: RawPayload) -> Tables:
    """Read a file of collapsed stacks.

    Options: ``service``, ``type`` (a full profile type id), ``from``, ``until``, labels as ``label.KEY``, and
    ``span_id`` and ``trace_id`` (hexadecimal) when all samples are of one span.

    Raises:
        Malformed: the file or an option is broken.
        TooLarge: the file is larger than the limit.
    """
    wanted = payload.params.get("type", "")
    try:
        profile_type = ProfileType.parse(wanted) if wanted else _SAMPLES
    except BadQuery as error:
        raise Malformed(f"type={wanted[:200]!r}: {error}") from error
    context = CollapsedContext(
        service=payload.params.get("service", "") or UNKNOWN_SERVICE,
        received_ns=payload.received_ns,
        profile_type=profile_type,
        labels=_labels(payload),
        from_ns=params.time_ns(payload.params, "from"),
        until_ns=params.time_ns(payload.params, "until"),
        sender=payload.sender,
    )
    return build(_of_one_span(read_collapsed(gunzip(payload.body), context), payload))


def _labels(payload: RawPayload) -> tuple[tuple[str, str], ...]:
    return tuple((key[6:], value) for key, value in payload.params.items() if key.startswith("label."))


def _of_one_span(linked: Linked, payload: RawPayload) -> Linked:
    """Profiles whose every sample names the span and the trace that the payload is said to be of."""
    ids = _ids(payload)
    if not ids:
        return linked
    values = ids | {"evidence": EVIDENCE_LABEL}
    kinds = linked.samples.schema
    return replace(
        linked,
        samples=linked.samples.with_columns(pl.lit(value, kinds[name]).alias(name) for name, value in values.items()),
    )


def _ids(payload: RawPayload) -> dict[str, int]:
    """Columns of samples and the ids that options give for them."""
    span, trace = payload.params.get("span_id", ""), payload.params.get("trace_id", "")
    try:
        ids = {"span": parse_span_id(span)} if span else {}
        return ids | (dict(zip(("trace_hi", "trace_lo"), parse_trace_id(trace), strict=True)) if trace else {})
    except BadQuery as error:
        raise Malformed(f"span_id={span[:40]!r}, trace_id={trace[:40]!r}: {error}") from error
