"""OTLP profiles with every reference resolved: the `Linked` form that all profile formats end in."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from correlate.formats import otlp_faults as faults
from correlate.formats.arrow import integers
from correlate.formats.limits import MAX_LABEL_SETS
from correlate.formats.otlp_attributes import Attributes, service_names
from correlate.formats.otlp_dictionary import Dictionary
from correlate.formats.otlp_heads import Described, describe
from correlate.formats.otlp_request import Request
from correlate.formats.otlp_samples import Occurrences, Samples, check, occurrences
from correlate.formats.sample_labels import Resolved, resolve
from correlate.model.payload import RawPayload
from correlate.tables.build import HEADS, Linked
from correlate.tables.schema import EVIDENCE_LINK

I64 = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_INT32_MAX = (1 << 31) - 1
_INT64_MAX = (1 << 63) - 1


def link_profiles(request: Request, resources: Attributes, payload: RawPayload) -> tuple[Linked, faults.Faults]:
    """Link the profiles of a request that have samples or a type, and tell the fault of each profile."""
    samples, dictionary = request.samples, request.dictionary
    described = describe(request, resources)
    resolved = _resolve(samples, dictionary)
    own = np.maximum(check(samples, dictionary), _overflows(samples, described))
    problems = faults.highest(
        [
            described.faults,
            faults.spread(own, samples.profile, len(described.faults)),
            _too_many_labels(samples, resolved, len(described.faults)),
        ]
    )
    heads, head = _heads(request, resources, described, problems == 0, payload)
    rows = occurrences(samples, (problems == 0)[samples.profile])
    linked = Linked(
        heads=heads,
        samples=_rows(samples, rows, head, described, resolved),
        labelsets=resolved.labelsets,
        stack_offsets=dictionary.stack_offsets,
        stack_frames=dictionary.stack_frames,
        frames=dictionary.frames,
    )
    return linked, problems


def _resolve(samples: Samples, dictionary: Dictionary) -> Resolved:
    """Ids and labels of the samples: those of a link come before those of attributes."""
    table = dictionary.attributes
    skipped = table.rows["key"].is_in(["", "service.name"]).to_numpy()
    index = integers(samples.attributes.values)
    known = faults.beyond(index, len(table.rows), 1) == 0
    wanted = known & ~skipped[np.where(known, index, 0)]
    labels = resolve(len(samples.profile), table.rows, samples.attributes.owners()[wanted], index[wanted])
    links = dictionary.links
    ids = links[np.where(faults.beyond(samples.link, len(links), 1), 0, samples.link)]
    linked = (samples.link > 0) & (ids[:, 2] != 0) & ((ids[:, 0] != 0) | (ids[:, 1] != 0))
    return Resolved(
        span=np.where(linked, ids[:, 2], labels.span),
        trace_hi=np.where(linked, ids[:, 0], labels.trace_hi),
        trace_lo=np.where(linked, ids[:, 1], labels.trace_lo),
        thread=labels.thread,
        evidence=np.where(linked, EVIDENCE_LINK, labels.evidence).astype(np.int8),
        labelset=labels.labelset,
        labelsets=labels.labelsets,
    )


def _overflows(samples: Samples, described: Described) -> faults.Faults:
    """Samples with a value that the profile's factor would carry beyond 64 bits."""
    owner = samples.values.owners()
    value = integers(samples.values.values)
    limit = (_INT64_MAX // described.factor)[samples.profile[owner]]
    too_large = np.where((value > limit) | (value < -limit), faults.VALUE, 0).astype(np.int8)
    return faults.spread(too_large, owner, len(samples.profile))


def _too_many_labels(samples: Samples, resolved: Resolved, profile_count: int) -> faults.Faults:
    """Profiles whose samples have more distinct label sets than one may; each set becomes a series."""
    pairs = np.unique(samples.profile * (len(resolved.labelsets) + 1) + resolved.labelset + 1)
    sets = np.bincount(pairs // (len(resolved.labelsets) + 1), minlength=profile_count)
    return np.where(sets > MAX_LABEL_SETS, faults.LABELS, 0).astype(np.int8)


class _Naming(NamedTuple):
    """Of each sample, the attribute that names its service, and the one that names its executable; -1: none."""

    service: I64
    executable: I64


def _heads(
    request: Request, resources: Attributes, described: Described, good: Bools, payload: RawPayload
) -> tuple[pl.DataFrame, I64]:
    """One head for each good profile and service its samples name: HEADS rows, and the head of each sample."""
    samples = request.samples
    naming = _naming(request, resources)
    has_samples = np.bincount(samples.profile, minlength=len(good)) > 0
    bare = np.flatnonzero(good & ~has_samples & (described.rows["type"] != "").to_numpy())
    told = np.flatnonzero(good[samples.profile])
    keys = np.stack([samples.profile, naming.service, naming.executable])[:, told]
    keys = np.hstack([keys, np.stack([bare, np.full(len(bare), -1), np.full(len(bare), -1)])])
    distinct, index = np.unique(keys, axis=1, return_inverse=True)
    head = np.full(len(samples.profile), -1, np.int64)
    head[told] = index.ravel()[: len(told)]
    profile, service, executable = distinct
    table = request.dictionary.attributes
    named, executable_name = table.values(service), table.values(executable)
    fallback = service_names(resources)[request.resource[profile]]
    unknown = pl.select(pl.format("unknown_service:{}", executable_name)).to_series()
    fallback = fallback.zip_with(executable_name == "", unknown)
    heads = described.rows[profile].with_columns(
        service=named.zip_with(named != "", fallback),
        format=pl.lit(str(request.layout)),
        sender=pl.lit(payload.sender),
        received_ns=pl.lit(payload.received_ns, pl.Int64),
    )
    return heads.select(pl.col(name).cast(kind) for name, kind in HEADS.items()), head


def _naming(request: Request, resources: Attributes) -> _Naming:
    """Samples may name their own service (and older agents their executable, where the resource names neither)."""
    samples, table = request.samples, request.dictionary.attributes
    service = table.having(samples.attributes, "service.name")
    executable = table.having(samples.attributes, "process.executable.name")
    known = (resources.text("service.name") != "") | (resources.text("process.executable.name") != "")
    settled = known.to_numpy()[request.resource][samples.profile] | (service >= 0)
    return _Naming(service, np.where(settled, -1, executable))


def _rows(samples: Samples, rows: Occurrences, head: I64, described: Described, resolved: Resolved) -> pl.DataFrame:
    """The sample rows of `Linked`."""
    of = rows.sample
    profile = samples.profile[of]
    starts, durations = described.rows["time_ns"].to_numpy(), described.rows["duration_ns"].to_numpy()
    timed = rows.time_ns >= 0
    hit = described.hit[profile]
    weight = np.where(hit > 0, np.abs(rows.value) // np.maximum(hit, 1), 1)
    return pl.DataFrame(
        {
            "head": head[of],
            "stack": samples.stack[of],
            "labelset": resolved.labelset[of],
            "time_ns": np.where(timed, rows.time_ns, starts[profile]),
            "duration_ns": np.where(timed, 0, durations[profile]),
            "thread": resolved.thread[of],
            "trace_hi": resolved.trace_hi[of],
            "trace_lo": resolved.trace_lo[of],
            "span": resolved.span[of],
            "evidence": resolved.evidence[of],
            "value": rows.value * described.factor[profile],
            "weight": np.clip(weight, 1, _INT32_MAX),
        }
    )
