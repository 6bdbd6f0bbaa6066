"""OTLP profiles: an ``ExportProfilesServiceRequest``, protobuf or JSON, to tables.

Source: opentelemetry-proto ``profiles/v1development``, releases 1.8 to 1.11, and the specification's ``profiles/``. The
layout is told from the bytes (see `otlp_layout`) and kept with each profile. A profile that is broken is refused alone.
Profiles that have no samples of their own but carry a pprof original are read from that.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from correlate.errors import BadInput
from correlate.formats import otlp_json
from correlate.formats.arrow import integers
from correlate.formats.otlp_attributes import Attributes, attributes, service_names
from correlate.formats.otlp_faults import REASONS, Faults
from correlate.formats.otlp_layout import Layout, candidates
from correlate.formats.otlp_legacy import carried, carried_in_json, json_layout
from correlate.formats.otlp_link import link_profiles
from correlate.formats.otlp_request import Request, decode
from correlate.formats.pprof import read_pprof
from correlate.formats.pprof_heads import PprofContext
from correlate.formats.text import decode_lossy
from correlate.model.payload import Encoding, PayloadKind, RawPayload
from correlate.tables.build import build
from correlate.tables.tables import Reject, Tables, concat

I64 = npt.NDArray[np.int64]

_OLD: Final = (Layout.V1_3, Layout.V1_4, Layout.V1_6)
_MAX_REASONS: Final = 10


def read(payload: RawPayload) -> Tables:
    """Read the profiles of a request.

    Raises:
        Malformed: the body is not the message, or there are samples but no dictionary.
        UnknownFormat: the layout is older than 1.8, and nothing in it can be read; the message names the layout.
        TooLarge: there are more profiles or frames than one request may hold.
    """
    request, rejects = _read_json(payload) if payload.encoding == Encoding.JSON else _read_protobuf(payload)
    resources = attributes(request.resources.field("resource").field("attributes"), request.dictionary.strings)
    linked, problems = link_profiles(request, resources, payload)
    own = build(linked)
    originals = _read_originals(request, resources, payload)
    rejects = [*rejects, *_refused(problems, request), *originals.rejects]
    merged = concat([own, replace(originals, rejects=())]) if len(originals.profiles) else own
    return replace(merged, rejects=tuple(_few(rejects)))


def _read_protobuf(payload: RawPayload) -> tuple[Request, list[Reject]]:
    layouts = candidates(payload.body)
    if payload.kind == PayloadKind.OTLP_PROFILES_EXPERIMENTAL:
        layouts = (Layout.V1_3,)
    if layouts[0] not in _OLD:
        return decode(payload.body, layouts), []
    current = carried(payload.body, layouts[0])
    return decode(current.body, (Layout.V1_10,)), _not_carried(current.refused, layouts[0])


def _read_json(payload: RawPayload) -> tuple[Request, list[Reject]]:
    request = otlp_json.load(payload.body)
    experimental = payload.kind == PayloadKind.OTLP_PROFILES_EXPERIMENTAL
    layout = Layout.V1_3 if experimental else json_layout(request)
    refused = carried_in_json(request, layout) if layout in _OLD else 0
    decoded = decode(otlp_json.profiles_request(request), (Layout.V1_10,))
    return decoded._replace(layout=layout), _not_carried(refused, layout)


def _not_carried(count: int, layout: Layout) -> list[Reject]:
    reason = f"profiles in the layout of {layout} are only read where they carry an original payload in pprof"
    return [Reject("profiles", count, reason)] if count else []


def _refused(problems: Faults, request: Request) -> list[Reject]:
    """Rejects for broken profiles. One without samples has lost nothing by a fault and is passed over."""
    has_samples = np.bincount(request.samples.profile, minlength=len(problems)) > 0
    codes, counts = np.unique(problems[has_samples & (problems > 0)], return_counts=True)
    return [Reject("profiles", int(count), REASONS[code]) for code, count in zip(codes, counts, strict=True)]


def _read_originals(request: Request, resources: Attributes, payload: RawPayload) -> Tables:
    """Read the originals of profiles without samples. Loops over such profiles, which are large but few."""
    sizes = pc.binary_length(request.profiles.field("original_payload"))
    has_samples = np.bincount(request.samples.profile, minlength=len(request.profiles)) > 0
    rows = np.flatnonzero(~has_samples & (integers(sizes) > 0))
    if not len(rows):
        return Tables()
    payload_formats = [request.profiles.field("original_payload_format")[int(row)].as_py() for row in rows]
    other = Counter(name for name in payload_formats if name != b"pprof")
    rejects = [Reject("profiles", count, _unreadable(name)) for name, count in other.items()]
    pprof_rows = rows[[name == b"pprof" for name in payload_formats]]
    tables = _read_pprof(request, pprof_rows, resources, payload) if len(pprof_rows) else Tables()
    return replace(tables, rejects=(*tables.rejects, *rejects))


def _read_pprof(request: Request, rows: I64, resources: Attributes, payload: RawPayload) -> Tables:
    bodies = [request.profiles.field("original_payload")[int(row)].as_py() for row in rows]
    try:
        return build(read_pprof(bodies, _contexts(request, rows, resources, payload)))
    except BadInput as error:
        return Tables(rejects=(Reject("profiles", len(rows), f"its original payload is broken: {error}"),))


def _contexts(request: Request, rows: I64, resources: Attributes, payload: RawPayload) -> list[PprofContext]:
    service, labels = service_names(resources), resources.column()
    start = integers(request.profiles.field("time_unix_nano"))
    duration = integers(request.profiles.field("duration_nano"))
    return [
        PprofContext(
            service=service[int(request.resource[row])],
            received_ns=payload.received_ns,
            labels=tuple((label["key"], label["value"]) for label in labels[int(request.resource[row])]),
            from_ns=max(int(start[row]), 0),
            until_ns=max(int(start[row]), 0) + max(int(duration[row]), 0),
            sender=payload.sender,
        )
        for row in rows
    ]


def _unreadable(name: bytes) -> str:
    return f"its original payload is {decode_lossy(name[:40]) or 'of an unnamed format'}; only pprof is read"


def _few(rejects: Iterable[Reject]) -> list[Reject]:
    """Rejects with one entry for each reason, and with the rarest reasons put together when there are many."""
    counts: Counter[str] = Counter()
    for reject in rejects:
        counts[reject.reason] += reject.count
    common = counts.most_common(_MAX_REASONS - 1) if len(counts) > _MAX_REASONS else counts.most_common()
    others = counts.total() - sum(count for _, count in common)
    told = [Reject("profiles", count, reason) for reason, count in common]
    return [*told, Reject("profiles", others, "for various other reasons")] if others else told
