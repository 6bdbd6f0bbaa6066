"""OTLP profiles for tests: an encoder for every layout that shares nothing with the product, and slow readings.

A `Batch` says what is meant; `encode` writes it in a layout, packed or not; `rows_of_batch` is what a reader must find
and `rows_of_tables` is what it found, both as multisets of plain tuples.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from correlate.tables.tables import Tables

Row = tuple[Any, ...]


@dataclass(frozen=True)
class Sample:
    """One sample: functions leaf first, attributes, link, values and times."""

    stack: tuple[str, ...]
    attributes: tuple[tuple[str, str | int], ...] = ()
    link: tuple[bytes, bytes] | None = None
    values: tuple[int, ...] = ()
    times: tuple[int, ...] = ()


@dataclass(frozen=True)
class Profile:
    """One profile."""

    samples: tuple[Sample, ...]
    sample_type: tuple[str, str] = ("off_cpu", "nanoseconds")
    period_type: tuple[str, str] = ("", "")
    period: int = 0
    time_ns: int = 1_700_000_000_000_000_000
    duration_ns: int = 5_000_000_000
    profile_id: bytes = b""


@dataclass(frozen=True)
class Batch:
    """What one request holds: profiles by service."""

    profiles: tuple[tuple[str, Profile], ...]


def varint(value: int) -> bytes:
    """A base-128 varint; negative numbers as protobuf writes them."""
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out) + bytes([value])


def number(field: int, value: int) -> bytes:
    """A varint field, left out when 0."""
    return varint(field << 3) + varint(value) if value else b""


def fixed(field: int, value: int) -> bytes:
    """A fixed64 field, left out when 0."""
    return varint(field << 3 | 1) + value.to_bytes(8, "little") if value else b""


def chunk(field: int, content: bytes) -> bytes:
    """A field of bytes, text or a message."""
    return varint(field << 3 | 2) + varint(len(content)) + content


def numbers(field: int, values: Sequence[int], packed: bool) -> bytes:
    """A repeated varint field."""
    if packed:
        return chunk(field, b"".join(map(varint, values))) if values else b""
    return b"".join(varint(field << 3) + varint(value) for value in values)


def fixeds(field: int, values: Sequence[int], packed: bool) -> bytes:
    """A repeated fixed64 field."""
    if packed:
        return chunk(field, b"".join(value.to_bytes(8, "little") for value in values)) if values else b""
    return b"".join(varint(field << 3 | 1) + value.to_bytes(8, "little") for value in values)


def any_value(value: str | int) -> bytes:
    """An AnyValue message."""
    return chunk(1, value.encode()) if isinstance(value, str) else varint(3 << 3) + varint(value)


class _Table:
    """Entries numbered as they are first used; entry 0 is the empty one."""

    def __init__(self, zero: bytes = b"") -> None:
        self.entries: dict[bytes, int] = {zero: 0}

    def add(self, entry: bytes) -> int:
        return self.entries.setdefault(entry, len(self.entries))


class _Writer:
    def __init__(self, layout: str, packed: bool) -> None:
        self.layout, self.packed = layout, packed
        self.strings, self.functions, self.locations = _Table(), _Table(), _Table()
        self.attributes, self.links, self.stacks = _Table(), _Table(), _Table()
        self.kind = self.attribute("profile.frame.type", "native")

    def text(self, text: str) -> int:
        return self.strings.add(text.encode())

    def attribute(self, key: str, value: str | int) -> int:
        return self.attributes.add(number(1, self.text(key)) + chunk(2, any_value(value)))

    def stack(self, functions: Iterable[str]) -> int:
        rows = []
        for name in functions:
            function = self.functions.add(number(1, self.text(name)))
            location = chunk(3, number(1, function)) + numbers(4, [self.kind], self.packed)
            rows.append(self.locations.add(location))
        return self.stacks.add(numbers(1, rows, self.packed))

    def sample(self, sample: Sample) -> bytes:
        attributes = [self.attribute(*pair) for pair in sample.attributes]
        link = self.links.add(chunk(1, sample.link[0]) + chunk(2, sample.link[1])) if sample.link else 0
        stack, times = number(1, self.stack(sample.stack)), fixeds(5, sample.times, self.packed)
        if self.layout == "otlp 1.10":
            middle = numbers(2, attributes, self.packed) + number(3, link) + numbers(4, sample.values, self.packed)
        else:
            middle = numbers(2, sample.values, self.packed) + numbers(3, attributes, self.packed) + number(4, link)
        return stack + middle + times

    def value_type(self, pair: tuple[str, str]) -> bytes:
        return number(1, self.text(pair[0])) + number(2, self.text(pair[1]))

    def profile(self, profile: Profile) -> bytes:
        return b"".join(
            (
                chunk(1, self.value_type(profile.sample_type)),
                *(chunk(2, self.sample(sample)) for sample in profile.samples),
                fixed(3, profile.time_ns),
                number(4, profile.duration_ns),
                chunk(5, self.value_type(profile.period_type)),
                number(6, profile.period),
                chunk(8 if self.layout == "otlp 1.8" else 7, profile.profile_id),
            )
        )

    def dictionary(self) -> bytes:
        tables = {
            1: _Table(),
            2: self.locations,
            3: self.functions,
            4: self.links,
            5: self.strings,
            6: self.attributes,
            7: self.stacks,
        }
        return b"".join(chunk(field, entry) for field, table in tables.items() for entry in table.entries)


def encode(batch: Batch, layout: str, packed: bool = True) -> bytes:
    """Write a batch as an ExportProfilesServiceRequest in the layout "otlp 1.8", "otlp 1.9" or "otlp 1.10"."""
    writer = _Writer(layout, packed)
    body = b""
    for service, profile in batch.profiles:
        resource = chunk(1, chunk(1, b"service.name") + chunk(2, any_value(service)))
        body += chunk(1, chunk(1, resource) + chunk(2, chunk(2, writer.profile(profile))))
    return body + chunk(2, writer.dictionary())


def rows_of_batch(batch: Batch) -> Counter[Row]:
    """What a reader must find: service, functions root first, value, time, length, span, thread, other labels."""
    rows: Counter[Row] = Counter()
    for service, profile in batch.profiles:
        is_cpu = profile.period > 0 and profile.sample_type == ("samples", "count")
        factor = profile.period if is_cpu and profile.period_type == ("cpu", "nanoseconds") else 1
        for sample in profile.samples:
            labels = dict(sample.attributes)
            thread = labels.pop("thread.id", 0)
            span = int.from_bytes(sample.link[1], "big", signed=True) if sample.link else 0
            texts = frozenset((key, str(value)) for key, value in labels.items()) | {("service.name", service)}
            values = sample.values or (1,) * len(sample.times)
            times = [(time, 0) for time in sample.times] or [(profile.time_ns, profile.duration_ns)]
            for value, when in zip(values, times, strict=True):
                if value:
                    rows[service, sample.stack[::-1], value * factor, *when, span, thread, texts] += 1
    return rows


def rows_of_tables(tables: Tables) -> Counter[Row]:
    """What a reader found, in the same form."""
    names = dict(zip(tables.frames["frame"], tables.frames["function"], strict=True))
    stacks = {0: ()} | {
        stack: tuple(names[frame] for frame in frames)
        for stack, frames in zip(tables.stacks["stack"], tables.stacks["frames"], strict=True)
    }
    series = {
        row["series"]: (row["service"], frozenset((label["key"], label["value"]) for label in row["labels"]))
        for row in tables.series.to_dicts()
    }
    return Counter(
        (
            series[row["series"]][0],
            stacks[row["stack"]],
            row["value"],
            row["time_ns"],
            row["duration_ns"],
            row["span"],
            row["thread"],
            series[row["series"]][1],
        )
        for row in tables.samples.to_dicts()
    )
