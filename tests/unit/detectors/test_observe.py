"""Observing: the few figures of a bucket are those that a slow loop finds."""

from collections import Counter, defaultdict

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from correlate.detectors import observe
from correlate.detectors.leak_cluster import Frame, cluster
from correlate.detectors.observe_roll import roll
from correlate.detectors.observe_rows import OTHER, Role, alias_of, role_of
from correlate.detectors.observe_spans import with_roots
from correlate.detectors.observe_stacks import sites, stack_names
from correlate.model.queries import TimeRange
from correlate.tables.schema import (
    OBSERVATIONS,
    OBSERVED_FUNCTION,
    OBSERVED_OPERATION,
    OBSERVED_SITE,
    OBSERVED_TOTAL,
)
from correlate.tables.tables import Tables, concat
from tests.support.observed import EVER, raw_of
from tests.support.rows import CPU, SECOND, T0, profile, spans, with_series

BUCKET = 300 * SECOND
START = T0 // BUCKET * BUCKET
HEAP = "memory:inuse_space:bytes:space:bytes"
ALLOC = "memory:alloc_space:bytes:space:bytes"

samples = st.lists(
    st.fixed_dictionaries(
        {
            "stack": st.lists(st.sampled_from("abcdef"), min_size=1, max_size=5).map(";".join),
            "value": st.integers(1, 10**9),
            "span": st.sampled_from([0, 1, 2, 3, 9]),
        }
    ),
    min_size=1,
    max_size=20,
)


def of_kind(rows: pl.DataFrame, kind: int, type_: str = CPU) -> pl.DataFrame:
    """Rows of the service as a whole."""
    return rows.filter((pl.col("kind") == kind) & (pl.col("type") == type_) & (pl.col("instance") == 0))


@given(samples, st.integers(0, 900))
def test_functions_and_totals_are_those_of_a_slow_loop(given_samples: list[dict[str, object]], later_s: int) -> None:
    """Own value at the leaf, value with what it calls once per stack however often it recurs."""
    at_ns = START + later_s * SECOND
    rows = observe.reduce(raw_of(profile(given_samples, time_ns=at_ns)), EVER, BUCKET, 7)
    own: Counter[str] = Counter()
    inclusive: Counter[str] = Counter()
    for sample in given_samples:
        names = str(sample["stack"]).split(";")
        own[names[-1]] += int(str(sample["value"]))
        for name in set(names):
            inclusive[name] += int(str(sample["value"]))
    functions = of_kind(rows, OBSERVED_FUNCTION)
    assert dict(functions.select("name", "value").rows()) == inclusive
    assert {name: value for name, value in functions.select("name", "self").rows() if value} == own
    (total,) = of_kind(rows, OBSERVED_TOTAL).rows(named=True)
    assert (total["value"], total["time_ns"], total["duration_ns"]) == (own.total(), at_ns // BUCKET * BUCKET, BUCKET)
    assert rows.schema == pl.Schema(OBSERVATIONS)


def traces() -> pl.DataFrame:
    """Two requests with children, one of them of another service."""
    return spans(
        {"span": 1, "name": "POST /checkout"},
        {"span": 2, "parent": 1, "name": "charge"},
        {"span": 3, "parent": 2, "name": "sign", "service": "vault"},
        {"span": 4, "parent": 3, "name": "hash", "service": "vault"},
        {"span": 5, "trace_lo": 12, "name": "GET /items", "start_ns": T0 + 2 * SECOND},
        {"span": 6, "trace_lo": 12, "parent": 77, "name": "orphan"},
        {"span": 7, "trace_lo": 13, "parent": 7, "name": "itself"},
    )


def test_every_span_belongs_to_where_its_service_was_entered() -> None:
    """An absent parent, one of another service and the span itself are no parents."""
    found = with_roots(traces())
    assert dict(found.select("name", "operation").rows()) == {
        "POST /checkout": "POST /checkout",
        "charge": "POST /checkout",
        "sign": "sign",
        "hash": "sign",
        "GET /items": "GET /items",
        "orphan": "orphan",
        "itself": "itself",
    }
    assert with_roots(traces().clear()).columns[-2:] == ["is_root", "operation"]


def test_samples_count_for_the_operation_whose_request_they_name() -> None:
    """Also when they name a child; samples without a name, or of a span that never came, count for none."""
    given_samples = [
        {"stack": "main", "value": 5, "span": 1},
        {"stack": "main", "value": 7, "span": 2},
        {"stack": "main", "value": 100, "span": 99},
        {"stack": "main", "value": 1000},
    ]
    rows = observe.reduce(raw_of(concat([profile(given_samples), with_series(traces())])), EVER, BUCKET, 7)
    assert of_kind(rows, OBSERVED_OPERATION).select("name", "value").rows() == [("POST /checkout", 12)]
    asked = of_kind(rows, OBSERVED_OPERATION, "").filter(pl.col("service") == "checkout").sort("name")
    assert asked.select("name", "spans", "busy_ns").rows()[:2] == [
        ("GET /items", 1, SECOND),
        ("POST /checkout", 1, SECOND),
    ]
    whole = of_kind(rows, OBSERVED_TOTAL, "").sort("service")
    assert whole.select("service", "spans").rows() == [("checkout", 4), ("vault", 1)]


def held(at_s: float, amounts: dict[str, int], instance: str = "a") -> Tables:
    """A profile of what is held at a time."""
    rows = [{"stack": stack, "value": value} for stack, value in amounts.items()]
    at_ns = START + int(at_s * SECOND)
    return profile(rows, profile_type=HEAP, time_ns=at_ns, labels={"service_instance_id": instance, "at": str(at_s)})


def test_snapshots_become_means_and_floors_of_all_processes() -> None:
    """A site that a snapshot does not have held nothing then; processes are added up."""
    parts = [
        held(0, {"main;keep": 100, "main;once": 50}),
        held(10, {"main;keep": 300}),
        held(0, {"main;keep": 1000}, "b"),
    ]
    rows = observe.reduce(raw_of(concat(parts)), EVER, BUCKET, 7)
    kept = of_kind(rows, OBSERVED_SITE, HEAP).sort("value", descending=True)
    assert kept.select("name", "value", "floor").rows() == [("keep", 1200, 1100), ("once", 25, 0)]
    (total,) = of_kind(rows, OBSERVED_TOTAL, HEAP).rows(named=True)
    assert (total["value"], total["floor"], total["weight"], total["instances"]) == (1225, 1150, 3, 2)
    each = rows.filter((pl.col("instance") != 0) & (pl.col("type") == HEAP)).sort("name")
    assert each.select("name", "value", "floor", "weight").rows() == [("a", 225, 150, 2), ("b", 1000, 1000, 1)]


def test_single_profiles_are_buckets_of_their_own() -> None:
    """Length 1 keeps every time as it is."""
    parts = [held(0, {"main": 1}), held(10, {"main": 2}), held(400, {"main": 3})]
    rows = observe.reduce(raw_of(concat(parts)), TimeRange(START, START + BUCKET), 1, 7)
    assert of_kind(rows, OBSERVED_TOTAL, HEAP).sort("time_ns").select("time_ns", "value").rows() == [
        (START, 1),
        (START + 10 * SECOND, 2),
    ]


def test_what_is_too_much_is_put_together_and_totals_stay_right() -> None:
    """A bucket of a service never has more than so many rows."""
    many = [{"stack": f"main;work_{i}", "value": i + 1} for i in range(300)]
    calls = spans(*({"span": i + 1, "trace_lo": i, "name": f"op {i}"} for i in range(90)))
    heap = held(0, {f"main;keep_{i}": i + 1 for i in range(100)})
    parts = [profile(many), profile(many, profile_type=ALLOC), heap, with_series(calls)]
    rows = observe.reduce(raw_of(concat(parts)), EVER, BUCKET, 7)
    for kind, type_, most, column, total in (
        (OBSERVED_FUNCTION, CPU, observe.MOST_FUNCTIONS, "self", 300 * 301 // 2),
        (OBSERVED_FUNCTION, ALLOC, observe.MOST_FUNCTIONS_BESIDE, "self", 300 * 301 // 2),
        (OBSERVED_SITE, HEAP, observe.MOST_SITES, "value", 100 * 101 // 2),
        (OBSERVED_OPERATION, "", observe.MOST_OPERATIONS, "spans", 90),
    ):
        found = of_kind(rows, kind, type_)
        assert (len(found), found[column].sum()) == (most + 1, total)
        assert found.filter(pl.col("key") == 0)["name"].to_list() == [OTHER]


def test_siblings_are_told_apart_by_the_largest_functions() -> None:
    """From four instances on; fewer have no median."""
    for count, expected in ((3, 0), (5, 5)):
        parts = [
            profile([{"stack": "main;a", "value": 10 + i}, {"stack": "b", "value": 1}], labels={"instance": str(i)})
            for i in range(count)
        ]
        rows = observe.reduce(raw_of(concat(parts)), EVER, BUCKET, 7)
        own = rows.filter((pl.col("kind") == OBSERVED_FUNCTION) & (pl.col("instance") != 0) & (pl.col("name") == "a"))
        assert sorted(own["self"].to_list()) == list(range(10, 10 + expected))


def test_versions_are_told_where_one_runs() -> None:
    """Of two at a time the service as a whole has none."""
    for others, expected in (("1", "1"), ("2", "")):
        parts = [
            profile([{"value": 1}], labels={"service_instance_id": "a", "service_version": "1"}),
            profile([{"value": 1}], labels={"service_instance_id": "b", "service_version": others}),
        ]
        rows = observe.reduce(raw_of(concat(parts)), EVER, BUCKET, 7)
        assert of_kind(rows, OBSERVED_TOTAL)["version"].to_list() == [expected]
        assert sorted(rows.filter(pl.col("instance") != 0)["version"].unique()) == sorted({"1", others})


def test_nothing_makes_nothing() -> None:
    """Of an empty bucket there are no rows, but their columns."""
    rows = observe.reduce(raw_of(Tables()), EVER, BUCKET, 7)
    assert (len(rows), rows.schema) == (0, pl.Schema(OBSERVATIONS))


@pytest.mark.parametrize(
    ("type_", "role"),
    [
        (CPU, Role.FLOW),
        ("mutex:delay:nanoseconds:contentions:count", Role.FLOW),
        (ALLOC, Role.FLOW),
        (HEAP, Role.HELD),
        ("goroutine:goroutine:count:goroutine:count", Role.HELD),
        ("goroutineleak:goroutineleak:count::", Role.HELD),
        ("memory:inuse_objects:count:space:bytes", Role.NONE),
        ("metric:cpu", Role.NONE),
        ("", Role.NONE),
    ],
)
def test_roles_of_profile_types(type_: str, role: Role) -> None:
    """Flows add up, what is held is measured; the rest is not observed."""
    assert role_of(type_) is role
    assert alias_of("no type") == "no type"


def test_sites_are_those_of_the_slow_twin() -> None:
    """The nearest caller that is not library code, together with the leaf."""
    stacks = ["main;handle;json.loads", "main;handle;keep", "main;keep", "java.lang.Thread.run;java.util.Map.put"]
    raw = raw_of(profile([{"stack": stack, "value": 1} for stack in stacks], profile_type=HEAP))
    ids = raw.symbols.stacks
    found = sites(raw.symbols, ids)
    named = stack_names(raw.symbols, ids)
    slow, _ = cluster([[Frame(name) for name in named[stack]] for stack in ids.tolist()], np.ones((len(ids), 1)))
    assert sorted(found.names["name"]) == sorted(site.function for site in slow)
    groups = defaultdict(set)
    for stack, key in found.own.rows():
        groups[key].add(named[stack])
    assert {frozenset(group) for group in groups.values()} == {
        frozenset({("main", "handle", "json.loads")}),
        frozenset({("main", "handle", "keep"), ("main", "keep")}),
        frozenset({("java.lang.Thread.run", "java.util.Map.put")}),
    }


@given(st.lists(st.tuples(st.integers(0, 1799), samples), min_size=1, max_size=5))
def test_long_buckets_are_those_that_would_have_been_observed(parts: list[tuple[int, list[dict[str, object]]]]) -> None:
    """Rolling short buckets up is the same as reducing to long ones, for what is not cut off."""
    tables = concat(
        part
        for at_s, each in parts
        for part in (
            profile(each, time_ns=START + at_s * SECOND, labels={"n": str(at_s)}),
            held(at_s, {str(sample["stack"]): int(str(sample["value"])) for sample in each}),
        )
    )
    raw, step = raw_of(tables), 6 * BUCKET
    ignored = ["stack", "floor", "written_ns"]
    keys = ["service", "type", "kind", "instance", "key", "time_ns"]
    short = observe.reduce(raw, EVER, BUCKET, 7)
    rolled = roll(short, step, 9).drop(ignored).sort(keys)
    direct = observe.reduce(raw, EVER, step, 7).drop(ignored).sort(keys)
    exact = [name for name in direct.columns if name != "value"]
    assert rolled.select(exact).equals(direct.select(exact))
    assert np.allclose(rolled["value"], direct["value"], rtol=0, atol=3)  # means are rounded twice
    assert len(roll(short.clear(), step, 9)) == 0
