"""The simulator keeps the promises that scores rest on."""

import numpy as np
import polars as pl
import pytest

from correlate.joins.activity import self_intervals
from correlate.tables.schema import EVIDENCE_LABEL
from correlate.tables.tables import check
from tests.truth.load import NOBODY, play, requests
from tests.truth.simulate import NOT_STORED, Scene, simulate
from tests.truth.stacks import PLANTED
from tests.truth.world import I64, SECOND, T0, World

SMALL = World(duration_s=20.0, labels="every")
WORLDS = {
    "plain": SMALL,
    "busy": SMALL.but(duration_s=5.0, concurrency=64.0, span_ms=20.0, periodic=False),
    "hopping": SMALL.but(hop_ratio=0.5),
    "fanning": SMALL.but(fan_out=0.5, children=4.0, hop_ratio=0.2),
    "pooled": SMALL.but(pool=5),
    "several": SMALL.but(processes=3, hosts=2, trace_sampling=0.5),
    "long": SMALL.but(span_ms=5000.0),
    "short": SMALL.but(duration_s=2.0, span_ms=0.5),
}


@pytest.fixture(scope="module", params=WORLDS, ids=list(WORLDS))
def scene(request: pytest.FixtureRequest) -> Scene:
    """Worlds of all kinds."""
    return simulate(WORLDS[request.param])


def owned(scene: Scene) -> I64:
    """Rows of the samples whose owner is stored."""
    return np.flatnonzero(scene.truth.owner >= 0)


def test_a_sample_lies_within_its_owners_own_time(scene: Scene) -> None:
    """Its time is in its owner's interval, and in none of the intervals of that span's children."""
    rows = owned(scene)
    pieces = self_intervals(scene.spans)
    times = pl.DataFrame({"row": scene.truth.owner[rows].astype(np.uint32), "time_ns": scene.samples["time_ns"][rows]})
    found = (
        times.with_row_index("sample").join(pieces, on="row").filter(pl.col("time_ns").is_between("start_ns", "end_ns"))
    )
    assert found["sample"].n_unique() == len(rows) > 100


def test_nobody_shares_a_thread() -> None:
    """Bursts in one thread of a process never overlap, whatever hops."""
    for world in (WORLDS["hopping"], WORLDS["busy"], WORLDS["fanning"], WORLDS["pooled"]):
        _, bursts = play(world, requests(world))
        order = np.lexsort((bursts.start_ns, bursts.thread, bursts.process))
        same = (np.diff(bursts.thread[order]) == 0) & (np.diff(bursts.process[order]) == 0)
        assert (bursts.start_ns[order][1:] >= bursts.end_ns[order][:-1])[same].all()


def test_without_hops_a_sample_has_the_thread_of_its_span() -> None:
    """And with them many have another."""
    for hop_ratio, low, high in ((0.0, 1.0, 1.0), (0.5, 0.2, 0.9)):
        scene = simulate(SMALL.but(hop_ratio=hop_ratio))
        rows = owned(scene)
        same = scene.samples["thread"].to_numpy()[rows] == scene.spans["thread"].to_numpy()[scene.truth.owner[rows]]
        assert low <= same.mean() <= high


def test_samples_count_the_time_on_the_cpu(scene: Scene) -> None:
    """As many samples as periods in the CPU time, but for chance."""
    expected = scene.truth.cpu_ns.sum() / scene.world.period_ns
    assert abs(len(owned(scene)) - expected) < 6 * np.sqrt(expected)


def test_as_many_requests_are_in_flight_as_the_world_says() -> None:
    """In each process, on average."""
    scene = simulate(World(duration_s=300.0, concurrency=8.0, swing=0.0, processes=2))
    roots = scene.spans.filter(pl.col("parent") == 0)
    assert roots["duration_ns"].sum() / (300 * SECOND * 2) == pytest.approx(8.0, rel=0.15)


def test_a_pool_bounds_what_runs_at_once() -> None:
    """No process has more requests in flight than its pool has threads."""
    roots = simulate(WORLDS["pooled"]).spans.filter(pl.col("parent") == 0)
    starts, ends = np.sort(roots["start_ns"].to_numpy()), np.sort((roots["start_ns"] + roots["duration_ns"]).to_numpy())
    assert (np.arange(1, len(starts) + 1) - np.searchsorted(ends, starts)).max() == 5


def test_children_lie_within_their_parents(scene: Scene) -> None:
    """In the same trace and process."""
    ids = scene.spans.select(
        "trace_lo", "span", "process", begin="start_ns", end=pl.col("start_ns") + pl.col("duration_ns")
    )
    children = scene.spans.filter(pl.col("parent") != 0)
    both = children.join(ids, left_on=["trace_lo", "parent", "process"], right_on=["trace_lo", "span", "process"])
    assert len(both) == len(children) > 0
    inside = (both["start_ns"] >= both["begin"]) & (both["start_ns"] + both["duration_ns"] <= both["end"])
    assert inside.all()


def test_labels_name_the_owner_or_its_root() -> None:
    """As the world says, but for those that are lost; background has none."""
    for labels in ("every", "root"):
        scene = simulate(SMALL.but(labels=labels, label_loss=0.3))
        target = scene.truth.owner if labels == "every" else scene.truth.root
        named = scene.samples["evidence"].to_numpy() == EVIDENCE_LABEL
        assert 0.6 < named.mean() < 0.75
        assert (target[named] != NOBODY).all()
        assert (scene.samples["span"].to_numpy()[named] == scene.spans["span"].to_numpy()[target[named]]).all()


def test_without_labels_nothing_is_named() -> None:
    """No sample carries an id."""
    samples = simulate(SMALL.but(labels="none")).samples
    assert (
        not samples.select(pl.any_horizontal(pl.col("span", "trace_hi", "trace_lo", "evidence") != 0)).to_series().any()
    )


def test_whole_traces_are_left_out() -> None:
    """The samples of traces that did not reach the store stay, and are marked."""
    scene = simulate(SMALL.but(trace_sampling=0.5))
    assert 0.3 < (scene.truth.owner == NOT_STORED).mean() < 0.7
    assert (scene.truth.operation[scene.truth.owner == NOT_STORED] >= 0).all()
    assert ((scene.truth.owner == NOT_STORED) == (scene.truth.root == NOT_STORED)).all()


def test_uploads_hide_the_time_of_a_sample() -> None:
    """Without timestamps a sample has its upload's interval, which contains its true time."""
    exact, coarse = (simulate(SMALL.but(timestamps=given)) for given in (True, False))
    assert coarse.samples["time_ns"].n_unique() == len(coarse.tables.profiles)
    late = exact.samples["time_ns"] - coarse.samples["time_ns"]
    assert late.is_between(0, coarse.world.window_ns - 1).all()
    assert (exact.truth.owner == coarse.truth.owner).all()


def test_clocks_of_hosts_differ_as_told() -> None:
    """Every host's profiler is off by the skew, in one direction or the other."""
    world = SMALL.but(processes=2, hosts=2, window_s=1000.0)
    plain, skewed = simulate(world), simulate(world.but(skew_ms=300.0))
    assert set(np.abs(skewed.truth.offset_ns).tolist()) == {300_000_000}
    shift = np.sort(skewed.samples["time_ns"].to_numpy()) - np.sort(plain.samples["time_ns"].to_numpy())
    assert np.abs(shift).max() > 0
    by_host = [
        each.samples.group_by("process").agg(pl.col("time_ns").min()).sort("process") for each in (plain, skewed)
    ]
    assert (by_host[1]["time_ns"] - by_host[0]["time_ns"]).to_list() == skewed.truth.offset_ns.tolist()


def test_the_planted_change_takes_more_time_in_the_second_half() -> None:
    """Its share within the first operation grows by about its factor."""
    scene = simulate(
        World(duration_s=200.0, operations=1, children=0.0, concurrency=16.0, planted=2.0, shared_ratio=0.0)
    )
    planted = np.array([path[-1] == PLANTED for path in scene.truth.paths])[scene.truth.stack]
    late = scene.samples["time_ns"].to_numpy() >= T0 + 100 * SECOND
    mine = scene.truth.kind == 0
    before, after = planted[mine & ~late].mean(), planted[mine & late].mean()
    assert after / (1 - after) / (before / (1 - before)) == pytest.approx(2.0, rel=0.4)


def test_steady_worlds_have_equal_intervals_and_others_do_not() -> None:
    """The rate of an operation varies between intervals as much as it is told to."""

    def spread(swing: float) -> float:
        world = World(duration_s=600.0, swing=swing, span_ms=20.0, concurrency=16.0)
        roots = requests(world)
        counts = np.histogram2d(roots.kind, roots.start_ns, (6, 60))[0]
        return float((counts.std(axis=1) / counts.mean(axis=1)).mean())

    assert spread(0.0) < 0.12
    assert spread(0.6) > 0.4


def test_a_world_is_told_by_its_seed(scene: Scene) -> None:
    """The same world gives the same rows; another seed gives others; the store's schemas hold."""
    again = simulate(scene.world)
    assert again.samples.equals(scene.samples)
    assert again.spans.equals(scene.spans)
    assert not simulate(scene.world.but(seed=2)).samples.equals(scene.samples)
    assert check(scene.tables).samples.height == len(scene.truth.owner) == len(scene.truth.stack)


def test_stacks_are_found_as_often_as_they_are_likely() -> None:
    """Of many samples of one kind of span, each stack has its share."""
    scene = simulate(World(duration_s=200.0, concurrency=16.0, operations=2, children=0.0))
    for kind in (-1, 0, 1):
        counts = np.bincount(scene.truth.stack[scene.truth.kind == kind], minlength=len(scene.truth.paths))
        assert np.abs(counts / counts.sum() - scene.truth.likely[kind]).sum() / 2 < 0.05


def test_children_may_run_at_the_same_time() -> None:
    """Where the world fans out, some siblings have one interval and two threads; elsewhere none have."""
    for fan_out, low, high in ((0.0, 0.0, 0.0), (0.5, 0.1, 0.6)):
        spans = simulate(SMALL.but(fan_out=fan_out, children=4.0)).spans.filter(pl.col("parent") != 0)
        pairs = spans.group_by("trace_lo", "parent", "start_ns", "duration_ns").agg(
            pl.len(), pl.col("thread").n_unique()
        )
        together = pairs.filter(pl.col("len") > 1)
        assert low <= 2 * len(together) / len(spans) <= high
        assert (together["thread"] == 2).all()
