"""What Pyroscope's query API sends and wants as bytes: a little protobuf, trees, flame graphs. No I/O.

Field numbers: ``api/querier/v1/querier.proto`` and ``api/google/v1/profile.proto`` of grafana/pyroscope (Apache-2.0).
"""

import base64
import binascii
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final

from connectors.collapsed_text import frame_name
from correlate.errors import SourceMalformed

_PPROF_TIME, _PPROF_DURATION, _PPROF_PERIOD = 9, 10, 12
_RESPONSE_PPROF, _PPROF_PROFILE = 5, 1
_SAMPLE_TYPE_TAG: Final = b"\x0a"
_SAMPLE_FIELD: Final = 2


@dataclass(frozen=True, slots=True)
class MergeQuery:
    """A question for profiles merged into one.

    Attributes:
        profile_type: full profile type id.
        selector: label matchers, ``{service_name="checkout"}``.
        start_ms: profiles with a timestamp from here, milliseconds since the Unix epoch.
        end_ms: to here, inclusive.
        spans: only samples of these spans, 16 hex digits each; empty: all samples.
        traces: only samples of these traces, 32 hex digits each; empty: all samples.
        max_nodes: nodes of the tree that are kept, the largest ones; 0: the server's default.
    """

    profile_type: str
    selector: str
    start_ms: int
    end_ms: int
    spans: tuple[str, ...] = ()
    traces: tuple[str, ...] = ()
    max_nodes: int = 0

    def as_json(self, **further: object) -> dict[str, object]:
        """The question as protojson, names as all servers since Phlare read them."""
        query: dict[str, object] = {
            "profileTypeID": self.profile_type,
            "labelSelector": self.selector,
            "start": self.start_ms,
            "end": self.end_ms,
        }
        optional = {"spanSelector": list(self.spans), "traceIdSelector": list(self.traces), "maxNodes": self.max_nodes}
        return query | {name: value for name, value in optional.items() if value} | further

    def as_merge_profile(self) -> bytes:
        """The question as ``SelectMergeProfileRequest``."""
        return self._head() + (_number(5, self.max_nodes) if self.max_nodes else b"")

    def as_merge_pprof(self) -> bytes:
        """The question as ``SelectMergeStacktracesRequest`` that wants pprof (format 4)."""
        nodes = _number(5, self.max_nodes) if self.max_nodes else b""
        traces = b"".join(_text(10, trace) for trace in self.traces)
        spans = b"".join(_text(11, span) for span in self.spans)
        return self._head() + nodes + _number(6, 4) + traces + spans

    def _head(self) -> bytes:
        words = _text(1, self.profile_type) + _text(2, self.selector)
        return words + _number(3, self.start_ms) + _number(4, self.end_ms)


def timed_pprof(body: bytes, start_ns: int, duration_ns: int) -> bytes:
    """A merged profile with the time it is about.

    Servers write the end of the query as its time, no duration, and a period that is no profiler's. In protobuf the
    last value of a field counts, so what is appended here wins.
    """
    return body + _number(_PPROF_TIME, start_ns) + _number(_PPROF_DURATION, duration_ns) + _number(_PPROF_PERIOD, 0)


def has_samples(pprof: bytes) -> bool:
    """Whether a merged profile, uncompressed, holds any sample; an empty merge has sample types at most."""
    return pprof.startswith(_SAMPLE_TYPE_TAG) and any(field == _SAMPLE_FIELD for field, _ in _head_fields(pprof))


def pprof_of(response: bytes) -> bytes | None:
    """The pprof in a ``SelectMergeStacktracesResponse``; None when the server answered in another format.

    Raises:
        SourceMalformed: the response is not protobuf.
    """
    wrapped = next((value for field, value in _fields(response) if field == _RESPONSE_PPROF), None)
    if wrapped is None:
        return None
    return next((value for field, value in _fields(wrapped) if field == _PPROF_PROFILE), b"")


def collapsed_of(answer: Mapping[str, Any]) -> bytes:
    """Collapsed stacks of an answer that holds a tree or a flame graph; empty when it holds no samples.

    Loops over the nodes, whose number the question limits.

    Raises:
        SourceMalformed: neither tree nor flame graph can be read.
    """
    try:
        if answer.get("tree"):
            lines = _tree_lines(base64.b64decode(answer["tree"], validate=True))
        else:
            lines = _flame_lines(answer.get("flamegraph") or {})
        return "".join(f"{';'.join(stack)} {value}\n" for stack, value in lines).encode()
    except (IndexError, ValueError, TypeError, KeyError, binascii.Error) as exc:
        raise SourceMalformed(f"the answer's tree or flame graph is broken: {exc}") from exc


def _tree_lines(tree: bytes) -> Iterator[tuple[list[str], int]]:
    """Stacks of Pyroscope's tree format, root first: name, own value, number of children; the first node is no frame.

    Children follow their parents, those of the last child first (``pkg/model/tree.go``).
    """
    at = 0
    waiting: list[list[str] | None] = [None]
    while waiting:
        above = waiting.pop()
        length, at = _varint(tree, at)
        name, at = tree[at : at + length].decode("utf-8", "replace"), at + length
        own, at = _varint(tree, at)
        children, at = _varint(tree, at)
        if children > len(tree) - at:
            raise ValueError("more children than bytes")
        stack = [] if above is None else [*above, frame_name(name)]
        if own and stack:
            yield stack, own
        waiting += [stack] * children


def _flame_lines(graph: Mapping[str, Any]) -> Iterator[tuple[list[str], int]]:
    """Stacks of a flame graph: levels of (distance to the left neighbour, total, own value, name), 4 numbers a node."""
    names = [frame_name(str(name)) for name in graph.get("names") or []]
    above: list[tuple[int, int, list[str]]] = []
    for depth, level in enumerate(graph.get("levels") or []):
        here = []
        for start, total, own, name in _places([int(number) for number in level["values"]]):
            if total <= 0:
                continue
            stack = [*_parent_at(above, start), names[name]] if depth else []
            here.append((start, start + total, stack))
            if own and stack:
                yield stack, own
        above = here


def _parent_at(above: Sequence[tuple[int, int, list[str]]], start: int) -> list[str]:
    """The stack of the node of the level above that a place is under."""
    index = bisect_right(above, start, key=itemgetter(0)) - 1
    if index < 0 or start >= above[index][1]:
        raise ValueError("a node has no parent")
    return above[index][2]


def _places(numbers: Sequence[int]) -> Iterator[tuple[int, int, int, int]]:
    end = 0
    for distance, total, own, name in zip(*[iter(numbers)] * 4, strict=True):
        start = end + distance
        end = start + total
        yield start, total, own, name


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Length-delimited fields of a message: number and bytes. For messages of a few fields."""
    at = 0
    while at < len(message):
        field, value, at = _field(message, at)
        if value is not None:
            yield field, value


def _head_fields(message: bytes, limit_count: int = 8) -> Iterator[tuple[int, bytes | None]]:
    """The first fields of a message: a profile's samples come after its few sample types."""
    at = 0
    for _ in range(limit_count):
        if at >= len(message):
            return
        field, value, at = _field(message, at)
        yield field, value


def _field(message: bytes, at: int) -> tuple[int, bytes | None, int]:
    try:
        tag, at = _varint(message, at)
        number, at = _varint(message, at)
    except IndexError as exc:
        raise SourceMalformed("the answer ends in the middle of a protobuf field") from exc
    if tag & 7 == 0:
        return tag >> 3, None, at
    if tag & 7 != 2 or at + number > len(message):
        raise SourceMalformed("the answer is not the protobuf message it claims to be")
    return tag >> 3, message[at : at + number], at + number


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise SourceMalformed("the answer holds a number of more than 64 bits")


def _text(field: int, text: str) -> bytes:
    raw = text.encode()
    return _encoded(field << 3 | 2) + _encoded(len(raw)) + raw


def _number(field: int, value: int) -> bytes:
    return _encoded(field << 3) + _encoded(value)


def _encoded(value: int) -> bytes:
    pieces = bytearray()
    while value > 0x7F:
        pieces.append(value & 0x7F | 0x80)
        value >>= 7
    pieces.append(value)
    return bytes(pieces)
