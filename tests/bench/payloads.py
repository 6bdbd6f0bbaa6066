"""Payloads as agents send them, made once and then varied by overwriting bytes, which costs a client little."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from correlate.formats.proto import otlp_messages_pb2 as otlp
from correlate.formats.proto.pprof_pb2 import Profile

I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]

CPU_SAMPLES = 20_000
PUSH_SAMPLES = 15_000  # about 1 MB
HEAP_SAMPLES = 12_000
SAMPLES_A_SPAN = 5
SPANS_A_TRACE = 8

_FUNCTIONS, _STACKS = 3000, 1500
_TIME_BYTES = 9  # nanoseconds since 1970 as a variable-length integer, for centuries
_HEX = np.frombuffer(b"0123456789abcdef", np.uint8)


@dataclass(frozen=True)
class Template:
    """A payload with places that are different in each copy.

    Attributes:
        body: the bytes.
        hex_at: where 16 hexadecimal digits are to be random, one row each.
        time_at: where a variable-length time in nanoseconds is, -1: nowhere.
        id_at: for each id of 8 bytes in the payload, where it is.
        id_of: and which of the random ids belongs there.
        span_count: spans in it.
        sample_count: samples in it.
    """

    body: bytes
    hex_at: I64
    time_at: int
    id_at: I64
    id_of: I64
    span_count: int = 0
    sample_count: int = 0

    def varied(self, rng: np.random.Generator, time_ns: int) -> bytes:
        """A copy with other ids and another time."""
        body = np.frombuffer(self.body, np.uint8).copy()
        if len(self.hex_at):
            body[self.hex_at[:, None] + np.arange(16)] = _HEX[rng.integers(0, 16, (len(self.hex_at), 16))]
        if len(self.id_at):
            ids = rng.integers(1, 256, (int(self.id_of.max()) + 1, 8), np.uint8)
            body[self.id_at[:, None] + np.arange(8)] = ids[self.id_of]
        if self.time_at >= 0:
            body[self.time_at : self.time_at + _TIME_BYTES] = _varint(time_ns)
        return body.tobytes()


def cpu_profile(samples: int, time_ns: int, seed: int = 1) -> Template:
    """A Go CPU profile whose samples carry the id and name of their span, about five samples a span."""
    rng = np.random.default_rng(seed)
    profile, texts = _symbols(rng, (("samples", "count"), ("cpu", "nanoseconds")), ("cpu", "nanoseconds"), time_ns)
    profile.period = 10_000_000
    id_key, name_key = texts.add("span_id"), texts.add("span_name")
    names = [texts.add(f"GET /api/v1/resource{i}") for i in range(20)]
    spans = -(-samples // SAMPLES_A_SPAN)
    first = texts.add(f"{0:016x}")
    for i in range(1, spans):
        texts.add(f"{i:016x}")
    stacks = _stacks(rng)
    for i, stack in enumerate((rng.beta(1, 4, samples) * _STACKS).astype(int).tolist()):
        hits = int(rng.geometric(0.8))
        sample = profile.sample.add(location_id=stacks[stack], value=(hits, hits * 10_000_000))
        span = i // SAMPLES_A_SPAN
        sample.label.add(key=id_key, str=first + span)
        sample.label.add(key=name_key, str=names[span % len(names)])
    profile.string_table.extend(texts.texts)
    body = profile.SerializeToString()
    at = body.index(b"\x32\x10" + b"0" * 16) + 2
    return Template(body, at + 18 * np.arange(spans), _time_at(body, time_ns), _NONE, _NONE, sample_count=samples)


def heap_profile(samples: int, time_ns: int, seed: int = 2) -> Template:
    """A Go heap profile: four sample types, and the size of the objects as a label."""
    rng = np.random.default_rng(seed)
    kinds = (("alloc_objects", "count"), ("alloc_space", "bytes"), ("inuse_objects", "count"), ("inuse_space", "bytes"))
    profile, texts = _symbols(rng, kinds, ("space", "bytes"), time_ns)
    profile.period = 524_288
    size_key = texts.add("bytes")
    stacks = _stacks(rng)
    for stack, size, count in zip(
        (rng.random(samples) * _STACKS).astype(int).tolist(),
        (2 ** rng.integers(3, 15, samples)).tolist(),
        rng.geometric(0.001, samples).tolist(),
        strict=True,
    ):
        live = count // 3
        sample = profile.sample.add(location_id=stacks[stack], value=(count, count * size, live, live * size))
        sample.label.add(key=size_key, num=size)
    profile.string_table.extend(texts.texts)
    body = profile.SerializeToString()
    return Template(body, _NONE, _time_at(body, time_ns), _NONE, _NONE, sample_count=samples)


def span_export(spans: int, time_ns: int, seed: int = 3) -> Template:
    """An OTLP export of one service: traces of eight spans, eight attributes a span."""
    rng = np.random.default_rng(seed)
    request = otlp.TraceRequest()
    resource = request.resource_spans.add()
    _attribute(resource.resource.attributes, "service.name", "checkout")
    _attribute(resource.resource.attributes, "service.instance.id", "checkout-5d8f7c9b6-x2x7k")
    _attribute(resource.resource.attributes, "telemetry.sdk.language", "go")
    scope = resource.scope_spans.add()
    scope.scope.name = "go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
    ids = rng.integers(1, 256, (spans * 3, 8), np.uint8)  # of each span: its own, and of each trace two halves more
    order: list[int] = []
    for i in range(spans):
        root = i // SPANS_A_TRACE * SPANS_A_TRACE
        order += _add_span(scope.spans.add(), rng, ids, i, root, time_ns)
    body = request.SerializeToString()
    places = []
    at = 0
    for number in order:
        at = body.index(ids[number].tobytes(), at)
        places.append(at)
        at += 8
    return Template(body, _NONE, -1, np.array(places), np.array(order), span_count=spans)


_NONE = np.zeros(0, np.int64)


class _Texts:
    def __init__(self) -> None:
        self.texts = [b""]

    def add(self, text: str) -> int:
        self.texts.append(text.encode())
        return len(self.texts) - 1


def _symbols(
    rng: np.random.Generator, kinds: tuple[tuple[str, str], ...], period: tuple[str, str], time_ns: int
) -> tuple[Profile, _Texts]:
    """A profile with types, functions and locations, and without samples."""
    profile, texts = Profile(time_nanos=time_ns, duration_nanos=10_000_000_000), _Texts()
    for name, unit in kinds:
        profile.sample_type.add(type=texts.add(name), unit=texts.add(unit))
    profile.period_type.type, profile.period_type.unit = texts.add(period[0]), texts.add(period[1])
    profile.mapping.add(id=1, memory_start=0x400000, memory_limit=0x2000000, filename=texts.add("/app/checkout"))
    files = [texts.add(f"/src/github.com/shop/checkout/pkg{i}/handler_{i}.go") for i in range(300)]
    for i in range(1, _FUNCTIONS + 1):
        text = texts.add(f"github.com/shop/checkout/pkg{i % 300}.(*Type{i % 331}).method{i}")
        profile.function.add(id=i, name=text, system_name=text, filename=files[i % 300], start_line=i)
        location = profile.location.add(id=i, mapping_id=1, address=0x400000 + 64 * i)
        location.line.add(function_id=i, line=int(rng.integers(1, 2000)))
    return profile, texts


def _stacks(rng: np.random.Generator) -> list[list[int]]:
    """Location ids, leaf first, 10 to 40 of them, with common roots."""
    lengths = rng.integers(10, 40, _STACKS).tolist()
    return [(1 + (rng.beta(1, 6, length) * (_FUNCTIONS - 1)).astype(int)).tolist() for length in lengths]


def _time_at(body: bytes, time_ns: int) -> int:
    return body.rindex(b"\x48" + _varint(time_ns).tobytes()) + 1


def _varint(value: int) -> U8:
    groups = [(value >> 7 * i) & 0x7F | 0x80 for i in range(_TIME_BYTES)]
    groups[-1] &= 0x7F
    return np.array(groups, np.uint8)


def _add_span(
    span: otlp.Span, rng: np.random.Generator, ids: npt.NDArray[np.uint8], i: int, root: int, time_ns: int
) -> list[int]:
    """Fill a span; returns which ids it has, in the order of the wire."""
    count = len(ids) // 3
    numbers = [count + root, 2 * count + root, i]
    span.trace_id = ids[numbers[0]].tobytes() + ids[numbers[1]].tobytes()
    span.span_id = ids[i].tobytes()
    if i != root:
        span.parent_span_id = ids[root].tobytes()
        numbers.append(root)
    span.name = f"GET /api/v1/resource{root // SPANS_A_TRACE % 20}"
    span.kind = otlp.SPAN_KIND_SERVER if i == root else otlp.SPAN_KIND_CLIENT
    span.start_time_unix_nano = time_ns + int(rng.integers(0, 10**9))
    span.end_time_unix_nano = span.start_time_unix_nano + int(rng.integers(10**6, 10**8))
    for key, value in (
        ("http.request.method", "GET"),
        ("url.path", f"/api/v1/resource{i % 20}/{i}"),
        ("http.response.status_code", 200),
        ("server.address", "checkout.shop.svc.cluster.local"),
        ("server.port", 8080),
        ("user_agent.original", "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101"),
        ("network.peer.address", f"10.0.{i % 250}.{i % 251}"),
        ("thread.id", 100 + i % 32),
    ):
        _attribute(span.attributes, key, value)
    return numbers


def _attribute(attributes: object, key: str, value: str | int) -> None:
    item = attributes.add(key=key)  # type: ignore[attr-defined]  # a repeated field of the generated classes
    if isinstance(value, str):
        item.value.string_value = value
    else:
        item.value.int_value = value
