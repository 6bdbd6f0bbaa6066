"""Pyroscope's older ``/ingest``: pprof raw or in a form, or folded stacks; what is known of them is in the query.

The order in which parameters and headers decide is the server's own: ``format`` first, then the content type, and
folded stacks when nothing is said.
"""

from typing import Any, Final

import orjson

from correlate.errors import Malformed, UnknownFormat
from correlate.formats import params
from correlate.formats.collapsed import CollapsedContext, read_collapsed
from correlate.formats.inflate import gunzip
from correlate.formats.labels import read_labels
from correlate.formats.multipart import parts
from correlate.formats.pprof import read_pprof
from correlate.formats.pprof_heads import PprofContext
from correlate.model.payload import RawPayload
from correlate.model.profile_type import ProfileType
from correlate.tables.build import Linked, build
from correlate.tables.tables import Tables

DEFAULT_SAMPLE_RATE_HZ: Final = 100

_FOLDED: Final = ("", "folded", "groups", "lines", "collapsed")
_REFUSED: Final = {
    "jfr": "Java Flight Recorder files (JFR, format=jfr)",
    "trie": "Pyroscope's trie format (format=trie)",
    "tree": "Pyroscope's tree format (format=tree)",
    "speedscope": "speedscope files (format=speedscope)",
}

_FOLDED_TYPES: Final = {
    "cpu": ProfileType("process_cpu", "cpu", "nanoseconds", "cpu", "nanoseconds"),
    "wall": ProfileType("wall", "wall", "nanoseconds", "wall", "nanoseconds"),
    "alloc_objects": ProfileType("memory", "alloc_objects", "count", "space", "bytes"),
    "alloc_space": ProfileType("memory", "alloc_space", "bytes", "space", "bytes"),
    "inuse_objects": ProfileType("memory", "inuse_objects", "count", "space", "bytes"),
    "inuse_space": ProfileType("memory", "inuse_space", "bytes", "space", "bytes"),
    "goroutines": ProfileType("goroutines", "goroutine", "count", "goroutine", "count"),
    "mutex_count": ProfileType("mutex", "contentions", "count", "contentions", "count"),
    "mutex_duration": ProfileType("mutex", "delay", "nanoseconds", "contentions", "count"),
    "block_count": ProfileType("block", "contentions", "count", "contentions", "count"),
    "block_duration": ProfileType("block", "delay", "nanoseconds", "contentions", "count"),
}
"""What the end of an application's name says of folded stacks; without one of these ends they are CPU samples."""


def read(payload: RawPayload) -> Tables:
    """Read an upload.

    Raises:
        Malformed: the parameters or the body are broken.
        UnknownFormat: a format that is not read; the message names it and what to send instead.
        TooLarge: larger than the limit.
    """
    chosen = _format(payload)
    if chosen in _REFUSED:
        raise UnknownFormat(f"{_REFUSED[chosen]} are not read; send pprof, for instance format=pprof")
    body = gunzip(payload.body)
    if chosen == "pprof":
        return build(_pprof(payload, body, ()))
    if payload.content_type.lower().startswith("multipart/form-data"):
        return build(_form(payload, body))
    if chosen not in _FOLDED:
        raise UnknownFormat(f"format={chosen[:40]!r} is not read; send pprof or folded stacks")
    return build(_folded(payload, body, each_line_once=chosen == "lines"))


def _format(payload: RawPayload) -> str:
    chosen = payload.params.get("format", "").lower()
    _, plus, by_type = payload.content_type.partition("octet-stream+")
    return by_type.strip() if plus and by_type.strip() in _REFUSED else chosen


def _form(payload: RawPayload, body: bytes) -> Linked:
    by_name = parts(body, payload.content_type)
    if "jfr" in by_name:
        raise UnknownFormat(f"{_REFUSED['jfr']} are not read; send pprof")
    if "profile" not in by_name:
        raise Malformed(f"the form has no part 'profile', only {', '.join(sorted(by_name))[:200] or 'none'}")
    if by_name.get("prev_profile"):
        raise Malformed("the form has a part 'prev_profile': differences of cumulative profiles are not computed here")
    return _pprof(payload, by_name["profile"], _display_names(by_name.get("sample_type_config", b"")))


def _display_names(config: bytes) -> tuple[tuple[str, str], ...]:
    """The telling names of sample types in a ``sample_type_config``."""
    if not config.strip():
        return ()
    try:
        types: dict[str, dict[str, Any]] = orjson.loads(config)
        return tuple((name, str(options.get("display-name", name))) for name, options in types.items())
    except (orjson.JSONDecodeError, AttributeError) as error:
        raise Malformed(f"sample_type_config is not JSON of the form {{type: {{…}}}}: {error}") from error


def _pprof(payload: RawPayload, profile: bytes, display_names: tuple[tuple[str, str], ...]) -> Linked:
    app, labels = _labels(payload)
    known = read_labels(labels.items())
    return read_pprof(
        [profile],
        [
            PprofContext(
                service=known.service if app or "service_name" in labels else "",
                received_ns=payload.received_ns,
                name=known.name,
                labels=known.labels,
                from_ns=params.time_ns(payload.params, "from"),
                until_ns=params.time_ns(payload.params, "until"),
                display_names=display_names,
                sender=payload.sender,
            )
        ],
    )


def _folded(payload: RawPayload, body: bytes, *, each_line_once: bool) -> Linked:
    app, labels = _labels(payload)
    stem, _, suffix = app.rpartition(".")
    kind = suffix if stem and suffix in _FOLDED_TYPES else "cpu"
    if labels["service_name"] == app:
        labels["service_name"] = stem if kind == suffix else app
    known = read_labels(labels.items())
    rate_hz = params.positive_number(payload.params, "sampleRate", DEFAULT_SAMPLE_RATE_HZ)
    return read_collapsed(
        body,
        CollapsedContext(
            service=known.service,
            received_ns=payload.received_ns,
            profile_type=_FOLDED_TYPES[kind],
            period_ns=1_000_000_000 // rate_hz if kind in ("cpu", "wall") else 0,
            labels=known.labels,
            from_ns=params.time_ns(payload.params, "from"),
            until_ns=params.time_ns(payload.params, "until"),
            each_line_once=each_line_once,
            sender=payload.sender,
        ),
    )


def _labels(payload: RawPayload) -> tuple[str, dict[str, str]]:
    """The application's name, and its labels as a push would carry them."""
    app, labels = params.application(payload.params.get("name", ""))
    if "service_name" in labels:
        labels.setdefault("app_name", app)
    else:
        labels["service_name"] = app
    spy = payload.params.get("spyName", "")
    if spy:
        labels.setdefault("pyroscope_spy", spy)
    return app, labels
