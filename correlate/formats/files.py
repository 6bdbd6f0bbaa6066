"""Profile files: pprof and collapsed stacks, with options where a door would know service and time."""

from correlate.errors import BadQuery, Malformed
from correlate.formats import params
from correlate.formats.collapsed import CollapsedContext, read_collapsed
from correlate.formats.inflate import gunzip
from correlate.formats.labels import UNKNOWN_SERVICE
from correlate.formats.pprof import read_pprof
from correlate.formats.pprof_heads import PprofContext
from correlate.model.payload import RawPayload
from correlate.model.profile_type import ProfileType
from correlate.tables.build import build
from correlate.tables.tables import Tables

_SAMPLES = ProfileType("process_cpu", "samples", "count", "cpu", "nanoseconds")


def read_pprof_file(payload: RawPayload) -> Tables:
    """Read a pprof file.

    Options: ``service``, ``name`` (first part of the type ids), ``from``, ``until``, and labels as ``label.KEY``.

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
        labels=tuple((key[6:], value) for key, value in payload.params.items() if key.startswith("label.")),
    )
    return build(read_pprof([payload.body], [context]))


def read_collapsed_file(payload: RawPayload) -> Tables:
    """Read a file of collapsed stacks. Options: ``service``, ``type`` (a full profile type id), ``from``, ``until``.

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
        from_ns=params.time_ns(payload.params, "from"),
        until_ns=params.time_ns(payload.params, "until"),
        sender=payload.sender,
    )
    return build(read_collapsed(gunzip(payload.body), context))
