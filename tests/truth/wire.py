"""A small world as the bytes that clients send: OTLP trace exports, and OTLP profiles or Pyroscope pushes.

Worlds with timestamps speak OTLP profiles (only they have a place for the time of a sample), the others push pprof.
The messages are built with the classes of `opentelemetry-proto` and the plain generated ones, so they share nothing
with the readers. Loops run over samples: worlds should be small.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from opentelemetry.proto.collector.profiles.v1development.profiles_service_pb2 import ExportProfilesServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from correlate.demo.traffic import Recorded
from tests.support.pprof_bytes import cpu_profile
from tests.support.requests import push
from tests.truth.simulate import Scene, resource
from tests.truth.world import I64, World

SPANS_AN_EXPORT = 512
_U64 = (1 << 64) - 1

Row = dict[str, Any]
Ids = tuple[int, int, int]
"""Both halves of a trace id, and a span id, as signed integers."""


def requests(scene: Scene) -> list[Recorded]:
    """Everything that the clients of a world send: spans, then profiles, each in the order of time."""
    media = "application/x-protobuf"
    sent = [Recorded(0.0, "/v1/traces", {"content-type": media}, body) for body in traces(scene)]
    if scene.world.timestamps:
        path = "/v1development/profiles"
        return sent + [Recorded(0.0, path, {"content-type": media}, body) for body in otlp_profiles(scene)]
    path = "/push.v1.PusherService/Push"
    return sent + [Recorded(0.0, path, {"content-type": "application/proto"}, body) for body in pushes(scene)]


def traces(scene: Scene) -> Iterator[bytes]:
    """OTLP trace exports, one process in each."""
    for process in range(scene.world.processes):
        rows = np.flatnonzero(scene.spans["process"].to_numpy() == process)
        for first in range(0, len(rows), SPANS_AN_EXPORT):
            chosen = scene.spans[rows[first : first + SPANS_AN_EXPORT]]
            yield _export(scene.world, process, chosen.to_dicts())


def _export(world: World, process: int, rows: Iterable[Row]) -> bytes:
    request = ExportTraceServiceRequest()
    each = request.resource_spans.add()
    _describe(each.resource, world, process)
    spans = each.scope_spans.add().spans
    for row in rows:
        span = spans.add(
            trace_id=_bytes(row["trace_hi"], row["trace_lo"]),
            span_id=_bytes(row["span"]),
            parent_span_id=_bytes(row["parent"]) if row["parent"] else b"",
            name=row["name"],
            kind=2 if row["kind"] == 2 else 1,
            start_time_unix_nano=row["start_ns"],
            end_time_unix_nano=row["start_ns"] + row["duration_ns"],
        )
        if row["thread"]:
            span.attributes.add(key="thread.id").value.int_value = row["thread"]
    return bytes(request.SerializeToString())


def pushes(scene: Scene) -> Iterator[bytes]:
    """Pyroscope pushes, one profile in each; samples that are alike are one row."""
    for process, rows, head in _uploads(scene):
        counts: dict[tuple[int, int, Ids], int] = defaultdict(int)
        for row in _meant(scene, rows):
            counts[row["stack"], row["thread"], row["ids"]] += row["value"]
        samples = ((scene.truth.paths[s], value, _labels(t, ids)) for (s, t, ids), value in counts.items())
        world = scene.world
        body = cpu_profile(samples, head["time_ns"], duration_ns=head["duration_ns"], period=world.period_ns)
        labels = {pair["key"].replace(".", "_"): pair["value"] for pair in resource(world, process)}
        yield push(body, labels={"service_name": world.service, "__name__": "process_cpu"} | labels)


def otlp_profiles(scene: Scene) -> Iterator[bytes]:
    """OTLP profile exports, one profile in each; every sample row has the times at which it was taken."""
    for process, rows, head in _uploads(scene):
        times: dict[tuple[int, int, Ids], list[int]] = defaultdict(list)
        for row in _meant(scene, rows):
            times[row["stack"], row["thread"], row["ids"]].append(row["time_ns"])
        yield _Writer(scene, process, head).write(times)


class _Writer:
    """One export with one profile, and the dictionary it needs."""

    def __init__(self, scene: Scene, process: int, head: Row) -> None:
        self._scene, self._request = scene, ExportProfilesServiceRequest()
        self._dictionary: Any = self._request.dictionary
        self._known: dict[tuple[str, object], int] = {}
        each = self._request.resource_profiles.add()
        _describe(each.resource, scene.world, process)
        for table in ("mapping", "location", "function", "link", "attribute", "stack"):
            getattr(self._dictionary, f"{table}_table").add()
        self._text("")
        self._profile: Any = each.scope_profiles.add().profiles.add(
            time_unix_nano=head["time_ns"], duration_nano=head["duration_ns"], period=scene.world.period_ns
        )
        for kind, name, unit in (("sample_type", "samples", "count"), ("period_type", "cpu", "nanoseconds")):
            getattr(self._profile, kind).type_strindex = self._text(name)
            getattr(self._profile, kind).unit_strindex = self._text(unit)

    def write(self, times: Mapping[tuple[int, int, Ids], list[int]]) -> bytes:
        """The bytes, with a sample for each key."""
        for (stack, thread, ids), taken in times.items():
            sample = self._profile.samples.add(stack_index=self._stack(stack), timestamps_unix_nano=taken)
            if thread:
                sample.attribute_indices.append(self._thread(thread))
            if any(ids):
                sample.link_index = self._link(ids)
        return bytes(self._request.SerializeToString())

    def _add(self, table: str, key: object, **fields: object) -> int:
        """The row of an entry, which is added if it is new."""
        if (table, key) not in self._known:
            rows = getattr(self._dictionary, f"{table}_table")
            self._known[table, key] = len(rows)
            rows.add(**fields)
        return self._known[table, key]

    def _text(self, text: str) -> int:
        if ("string", text) not in self._known:
            self._known["string", text] = len(self._dictionary.string_table)
            self._dictionary.string_table.append(text)
        return self._known["string", text]

    def _stack(self, number: int) -> int:
        places = [self._location(name) for name in reversed(self._scene.truth.paths[number])]
        return self._add("stack", number, location_indices=places)

    def _location(self, name: str) -> int:
        function = self._add("function", name, name_strindex=self._text(name))
        return self._add("location", name, lines=[{"function_index": function}])

    def _thread(self, thread: int) -> int:
        return self._add("attribute", thread, key_strindex=self._text("thread.id"), value={"int_value": thread})

    def _link(self, ids: Ids) -> int:
        return self._add("link", ids, trace_id=_bytes(*ids[:2]), span_id=_bytes(ids[2]))


def _uploads(scene: Scene) -> Iterator[tuple[int, I64, Row]]:
    """Each profile: its process, the rows of its samples, and its PROFILES row."""
    profile = scene.samples["profile"].to_numpy()
    for head in scene.tables.profiles.sort("time_ns").to_dicts():
        rows = np.flatnonzero(profile == head["profile"])
        yield int(scene.sample_process[rows[0]]), rows, head


def _meant(scene: Scene, rows: I64) -> Iterator[Row]:
    """What the client knows of some samples."""
    columns = ("thread", "value", "time_ns", "trace_hi", "trace_lo", "span")
    chosen = scene.samples[rows].select(columns).to_dicts()
    for row, stack in zip(chosen, scene.truth.stack[rows].tolist(), strict=True):
        yield row | {"stack": stack, "ids": (row["trace_hi"], row["trace_lo"], row["span"])}


def _labels(thread: int, ids: Ids) -> dict[str, str]:
    labels = {"thread_id": str(thread)} if thread else {}
    return labels | ({"trace_id": _bytes(*ids[:2]).hex(), "span_id": _bytes(ids[2]).hex()} if any(ids) else {})


def _describe(message: Any, world: World, process: int) -> None:
    pairs = {"service.name": world.service} | {pair["key"]: pair["value"] for pair in resource(world, process)}
    for key, value in pairs.items():
        message.attributes.add(key=key).value.string_value = value


def _bytes(*halves: int) -> bytes:
    return b"".join((half & _U64).to_bytes(8, "big") for half in halves)
