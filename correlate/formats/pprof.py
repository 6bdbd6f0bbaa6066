"""pprof profiles, many at a time: bytes in, linked columns out.

Three passes and three kinds of failure (google/pprof parses in the same steps): *decode* reads what the wire says,
*link* turns ids into row numbers, *check* looks at what must hold for the whole profile. A payload that fails one of
them is rejected; the others go on.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from correlate.errors import BadInput, Malformed, TooLarge, UnknownFormat
from correlate.formats import wire
from correlate.formats.arrow import Ragged, integers, ragged
from correlate.formats.faults import Faults, refuse
from correlate.formats.inflate import gunzip
from correlate.formats.legacy_pprof import name_of
from correlate.formats.limits import MAX_PROFILE_SAMPLES, MAX_RAW_BYTES
from correlate.formats.pprof_heads import PprofContext, Types, link_types
from correlate.formats.pprof_labels import link_labels
from correlate.formats.pprof_link import check_values, link_stacks, owners
from correlate.formats.pprof_strings import Strings
from correlate.formats.proto.pprof_pb2 import Profile
from correlate.formats.sample_labels import Resolved
from correlate.tables.build import Linked
from correlate.tables.tables import Reject

I64 = npt.NDArray[np.int64]

_INT32_MAX = (1 << 31) - 1


def read_pprof(payloads: Sequence[bytes], contexts: Sequence[PprofContext]) -> Linked:
    """Read pprof profiles, gzip or plain, and what is known of each besides.

    Broken profiles are told in ``rejects`` of the result as long as one is good. Samples of value 0 are left out.

    Raises:
        Malformed: no profile is good, and the first one is broken.
        UnknownFormat: no profile is good, and the first one is of another format, which is named if known.
        TooLarge: no profile is good, and the first one exceeds a limit, which is named.
    """
    raw, errors = _inflated(payloads)
    kept = [index for index in range(len(raw)) if index not in errors]
    decoded = wire.decode_each(Profile, [raw[index] for index in kept])
    errors |= {kept[index]: error for index, error in decoded.errors}
    rows = np.array(kept, np.int64)[decoded.payload]
    linked, faults = _link_good(decoded.batch, [contexts[row] for row in rows])
    errors |= {int(rows[row]): error for row, error in faults.items()}
    named = {index: explained(error, raw[index]) for index, error in sorted(errors.items())}
    if linked is None:
        raise next(iter(named.values()), Malformed("no profile at all"))
    return _with_rejects(linked, named)


def _inflated(payloads: Sequence[bytes]) -> tuple[list[bytes], dict[int, BadInput]]:
    """Undo gzip within one limit for all payloads together."""
    raw: list[bytes] = []
    errors: dict[int, BadInput] = {}
    left_bytes = MAX_RAW_BYTES
    for index, payload in enumerate(payloads):
        try:
            body = gunzip(payload, left_bytes)
            if not body:
                raise Malformed("the profile is empty: no bytes at all")
        except BadInput as error:
            errors[index] = error
            body = b""
        left_bytes -= len(body)
        raw.append(body)
    return raw, errors


def _link_good(batch: pa.RecordBatch, contexts: list[PprofContext]) -> tuple[Linked | None, dict[int, BadInput]]:
    """Link all rows; when some are broken, leave them out and link the rest again."""
    rows = np.arange(batch.num_rows)
    errors: dict[int, BadInput] = {}
    while len(rows):
        try:
            return _link(batch, [contexts[row] for row in rows]), errors
        except Faults as faults:
            errors |= {int(rows[row]): error for row, error in faults.by_row.items()}
            good = np.setdiff1d(np.arange(len(rows)), list(faults.by_row))
            rows, batch = rows[good], batch.take(pa.array(good))
    return None, errors


def _link(batch: pa.RecordBatch, contexts: list[PprofContext]) -> Linked:
    strings = Strings.build(batch.column("string_table"))
    types = link_types(batch, strings, contexts)
    sample = ragged(batch.column("sample"))
    _refuse_too_many(sample)
    values = ragged(sample.values.field("value"))
    stacks = link_stacks(batch, strings, sample)
    check_values(sample, values, np.diff(types.offsets))
    labels = link_labels(strings, sample)
    return Linked(
        heads=types.heads,
        samples=_samples(sample, values, types, labels, stacks.of_sample),
        labelsets=labels.labelsets,
        stack_offsets=stacks.offsets,
        stack_frames=stacks.frames_of_stacks,
        frames=stacks.frames,
        frame_ids=stacks.frame_ids,
    )


def _refuse_too_many(sample: Ragged) -> None:
    """Refuse the payloads with which the samples of the request become too many."""
    counts = sample.lengths
    refuse(
        np.cumsum(counts) > MAX_PROFILE_SAMPLES,
        np.arange(len(counts)),
        lambda row: TooLarge(
            f"{counts[row]:,} samples are too many: the profiles of a request may have {MAX_PROFILE_SAMPLES:,} "
            "together; send shorter profiles"
        ),
    )


class _Values(NamedTuple):
    """Values that are not 0: what they are, whose, and of which type."""

    value: I64
    sample: I64
    head: I64
    weight: I64


def _samples(sample: Ragged, values: Ragged, types: Types, labels: Resolved, stack: I64) -> pl.DataFrame:
    """One row per sample and sample type."""
    rows = _values(sample, values, types)
    of = rows.sample
    time_ns, duration_ns = types.heads["time_ns"].to_numpy(), types.heads["duration_ns"].to_numpy()
    return pl.DataFrame(
        {
            "head": rows.head,
            "stack": stack[of],
            "labelset": labels.labelset[of],
            "time_ns": time_ns[rows.head],
            "duration_ns": duration_ns[rows.head],
            "thread": labels.thread[of],
            "trace_hi": labels.trace_hi[of],
            "trace_lo": labels.trace_lo[of],
            "span": labels.span[of],
            "evidence": labels.evidence[of],
            "value": rows.value,
            "weight": rows.weight,
        }
    )


def _values(sample: Ragged, values: Ragged, types: Types) -> _Values:
    flat = integers(values.values)
    at = np.flatnonzero(flat)
    of = values.owners()[at]
    payload = owners(sample)
    payload = payload if payload.ndim == 0 else payload[of]
    start = values.offsets[of]
    head = types.offsets[payload] + at - start
    value = flat[at]
    return _Values(value, of, head, np.clip(_hits(flat, start, value, head, types, payload), 1, _INT32_MAX))


def _hits(flat: I64, start: I64, value: I64, head: I64, types: Types, payload: I64) -> I64:
    """How many hits of the profiler each value stands for: counted beside it, or told by the period, or else one."""
    counted = types.count_type[payload]
    if (types.count_type >= 0).all() and len(flat):
        beside: I64 = np.abs(flat[start + counted])
        return beside
    by_period = np.ones(len(value), np.int64)
    known = np.flatnonzero(types.divisor[head]) if types.divisor.any() else np.zeros(0, np.int64)
    by_period[known] = np.abs(value[known]) // types.divisor[head[known]]
    if (types.count_type < 0).all():
        return by_period
    by_count: I64 = np.abs(flat[np.where(counted < 0, 0, start + counted)])
    return np.where(counted < 0, by_period, by_count)


def explained(error: BadInput, raw: bytes) -> BadInput:
    """Say which format it is, where it is recognised as another one."""
    name = name_of(raw)
    return error if name is None else UnknownFormat(f"this is {name}; send pprof in its protobuf form")


def _with_rejects(linked: Linked, errors: dict[int, BadInput]) -> Linked:
    rejects = tuple(Reject("profiles", 1, f"profile {index + 1}: {error}") for index, error in errors.items())
    return replace(linked, rejects=rejects)


def check_profile(batch: pa.RecordBatch) -> None:
    """Check everything that must hold for decoded profiles, as reading them does.

    Raises:
        Malformed: the first fault of the first broken profile.
        UnknownFormat: it declares no sample types.
        TooLarge: it exceeds a limit.
    """
    _, errors = _link_good(batch, [PprofContext("", 0)] * batch.num_rows)
    if errors:
        raise errors[min(errors)]
