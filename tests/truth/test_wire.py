"""A world on the wire is the world in tables, and a server that got it answers with the truth."""

from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import polars as pl
import pytest

from correlate.demo.replay import replay
from correlate.demo.traffic import Recorded
from correlate.formats import registry
from correlate.model.ids import TraceId, format_span_id
from correlate.model.payload import PayloadKind, RawPayload
from correlate.tables.tables import Tables, concat
from tests.support.server import served
from tests.truth.simulate import Scene, simulate
from tests.truth.wire import requests
from tests.truth.world import World

SMALL = World(
    duration_s=3.0, span_ms=200.0, processes=2, labels="every", label_loss=0.2, window_s=5.0, trace_sampling=0.9
)
SOME = 5
KINDS = {
    "/v1/traces": PayloadKind.OTLP_TRACES,
    "/v1development/profiles": PayloadKind.OTLP_PROFILES,
    "/push.v1.PusherService/Push": PayloadKind.PYROSCOPE_PUSH,
}


@pytest.fixture(scope="module", params=[True, False], ids=["otlp", "pprof"])
def scene(request: pytest.FixtureRequest) -> Scene:
    """The same world with and without timestamps."""
    return simulate(SMALL.but(timestamps=request.param))


def decoded(sent: list[Recorded]) -> Tables:
    """What the readers make of it."""
    return concat(registry.read(RawPayload(KINDS[each.path], each.body, received_ns=0)) for each in sent)


def sums(tables: Tables) -> Counter[Any]:
    """CPU time of all samples that look alike, with their stacks as names."""
    names = dict(zip(tables.frames["frame"], tables.frames["function"], strict=True))
    stacks = {
        key: tuple(names[frame] for frame in path) for key, path in tables.stacks.select("stack", "frames").rows()
    }
    columns = ("time_ns", "duration_ns", "thread", "trace_hi", "trace_lo", "span", "evidence")
    found: Counter[Any] = Counter()
    for row in tables.samples.select("stack", "value", *columns).iter_rows():
        found[stacks[row[0]], row[2:8], row[8] != 0] += row[1]
    return found


def test_readers_find_on_the_wire_what_the_world_holds(scene: Scene) -> None:
    """Samples with their times, threads, ids and stacks; spans with all that a store keeps; as many processes."""
    read = decoded(requests(scene))
    assert sums(read) == sums(scene.tables)
    columns = ["trace_hi", "trace_lo", "span", "parent", "service", "name", "kind", "start_ns", "duration_ns", "thread"]
    assert read.spans.select(columns).sort("span").equals(scene.tables.spans.select(columns).sort("span"))
    assert read.spans["series"].n_unique() == 2


def test_a_server_answers_with_the_truth(scene: Scene, tmp_path: Path) -> None:
    """A span has the CPU time of the labelled samples it owns, to the nanosecond, or none if it owns none."""
    kept = (scene.truth.owner >= 0) & (scene.samples["span"].to_numpy() != 0)
    true_ns = np.bincount(scene.truth.owner[kept], minlength=len(scene.spans)) * scene.world.period_ns
    ids = scene.spans.select("trace_hi", "trace_lo", "span").rows()[::SOME]
    method = "link" if scene.world.timestamps else "label"
    with served(tmp_path / "lake", retention_days="36500", commit_linger_s="0.02") as server:
        assert replay(requests(scene), server.url, order="shuffled", repeat_share=0.2, seed=3).rejected == 0
        with httpx.Client(base_url=server.url, timeout=30) as client:
            answered = [total_ns(client, method, TraceId(*row[:2]), row[2]) for row in ids]
    assert sum(answered) > 0
    assert answered == true_ns[::SOME].tolist()


def total_ns(client: httpx.Client, method: str, trace: TraceId, span: int) -> int:
    """The answer of an exact join for one span, 0 when it has none."""
    params = {"scope": "span", "method": method}
    answer = client.get(f"/api/v1/spans/{trace}/{format_span_id(span)}/profile", params=params)
    assert answer.status_code in {200, 404}, answer.text
    return int(answer.json()["total"]) if answer.is_success else 0


def test_worlds_without_labels_or_threads_say_less() -> None:
    """What the world hides is not on the wire either."""
    scene = simulate(SMALL.but(labels="none", threads=False, processes=1))
    samples = decoded(requests(scene)).samples
    assert samples.select(pl.sum_horizontal(pl.col("thread", "span", "trace_lo").abs().sum())).item() == 0
