"""The rules of the pipeline at work on tables."""

from collections.abc import Sequence

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from correlate.model.pipeline import Action, ActionKind, Condition, Matcher, Signal, Step
from correlate.tables import hashing
from correlate.tables.pipeline import Dropped, apply, pattern_problem
from correlate.tables.schema import ATTRIBUTES
from correlate.tables.series import series_of_resources
from correlate.tables.tables import Tables, check, concat
from tests.support.rows import CPU, profile, spans

KEYS = ("team", "env", "service.name", "host")
VALUES = ("a", "b", "checkout", "checkout-test")


def resource_spans(service: str, labels: dict[str, str], count: int = 2) -> Tables:
    """Spans of one resource."""
    rows = spans(*({"span": number + 1, "service": service} for number in range(count)))
    listed = pl.Series([[{"key": k, "value": v, "kind": 1} for k, v in labels.items()]] * count, dtype=ATTRIBUTES)
    ids, series = series_of_resources(rows["service"], listed)
    return Tables(spans=rows.with_columns(series=pl.Series(ids, dtype=pl.Int64)), series=series)


def a_profile(service: str, labels: dict[str, str], value: int = 10) -> Tables:
    """A profile of two stacks, one sample of it with a span."""
    return profile(
        [{"stack": "main;work", "value": value, "span": 5}, {"stack": "main;rest", "value": value + 1}],
        service=service,
        labels=labels,
        time_ns=1_795_000_000_000_000_000 + value,
    )


def step(**fields: object) -> Step:
    """A step with a name."""
    return Step(name="it", **fields)  # type: ignore[arg-type]  # a shorthand


def strictly(key: str, value: str) -> Matcher:
    """One attribute with one value."""
    return Matcher((Condition(key, value),))


def by_pattern(key: str, pattern: str) -> Matcher:
    """One attribute that a pattern is found in."""
    return Matcher((Condition(key, pattern),), regexp=True)


def same(left: Tables, right: Tables) -> bool:
    """Whether two tables hold the same rows, in any order."""
    names = ("spans", "samples", "stacks", "frames", "series", "profiles")
    return all(
        sorted(map(repr, left.frame(name).unique(maintain_order=True).rows()))
        == sorted(map(repr, right.frame(name).unique(maintain_order=True).rows()))
        for name in names
    )


def labels_of(tables: Tables) -> list[dict[str, str]]:
    """The label sets of the series."""
    return [{label["key"]: label["value"] for label in row} for row in tables.series["labels"].to_list()]


def consistent(tables: Tables) -> None:
    """Every row finds its series, its service and its symbols."""
    check(tables)
    series = tables.series
    assert set(tables.spans["series"]) | set(tables.samples["series"]) == set(series["series"])
    assert series["service_id"].to_list() == hashing.hash_text(series["service"]).tolist()
    at = tables.samples.join(series, on="series", suffix="_of_series")
    assert at["service"].to_list() == at["service_id"].to_list()
    assert at["type"].to_list() == at["type_id"].to_list()
    pairs = set(tables.samples.select("service", "stack").rows())
    assert pairs <= set(tables.stacks.select("service", "stack").rows())
    used = tables.stacks.explode("frames").select("service", "frames").rows()
    assert set(used) == set(tables.frames.select("service", "frame").rows())
    named = tables.spans.join(series, on="series", suffix="_of_series")
    assert named["service"].to_list() == named["service_of_series"].to_list()


sources = st.lists(
    st.tuples(
        st.booleans(), st.sampled_from(VALUES), st.dictionaries(st.sampled_from(KEYS[:2]), st.sampled_from(VALUES))
    ),
    min_size=1,
    max_size=5,
)


def build(chosen: Sequence[tuple[bool, str, dict[str, str]]]) -> Tables:
    """Tables of several resources, spans and profiles."""
    return concat(
        resource_spans(service, labels) if is_spans else a_profile(service, labels, 10 * number + 10)
        for number, (is_spans, service, labels) in enumerate(chosen)
    )


def test_no_steps_no_change() -> None:
    """Without a pipeline the tables are handed on as they are, not even copied."""
    tables = a_profile("checkout", {})
    assert apply(tables, ()) == (tables, ())
    assert apply(tables, (step(exclude=strictly("team", "x")),))[0] is tables


@settings(max_examples=30)
@given(sources, st.sampled_from(VALUES))
def test_a_filter_drops_what_matches_and_nothing_else(
    chosen: Sequence[tuple[bool, str, dict[str, str]]], value: str
) -> None:
    """Excluding a value of an attribute leaves what there would be had those resources never been sent."""
    left, dropped = apply(build(chosen), (step(exclude=strictly("team", value)),))
    unmatched = [
        a_profile(service, labels, 10 * number + 10) if not is_spans else resource_spans(service, labels)
        for number, (is_spans, service, labels) in enumerate(chosen)
        if labels.get("team") != value
    ]
    assert same(left, concat(unmatched))
    consistent(left)
    assert sum(each.count for each in dropped) == sum(
        2 if is_spans else 1 for is_spans, _, labels in chosen if labels.get("team") == value
    )
    assert all(reject.count == 0 for reject in left.rejects)


@settings(max_examples=30)
@given(sources, st.sampled_from(VALUES))
def test_including_is_the_opposite_of_excluding(chosen: Sequence[tuple[bool, str, dict[str, str]]], value: str) -> None:
    """What include keeps, exclude drops, by service as well as by any attribute."""
    tables = build(chosen)
    for key in ("service.name", "env"):
        inside, _ = apply(tables, (step(include=strictly(key, value)),))
        outside, _ = apply(tables, (step(exclude=strictly(key, value)),))
        assert len(inside.spans) + len(outside.spans) == len(tables.spans)
        assert len(inside.samples) + len(outside.samples) == len(tables.samples)
        assert len(inside.profiles) + len(outside.profiles) == len(tables.profiles)


@settings(max_examples=30)
@given(sources, st.sampled_from(KEYS[:2]))
def test_renaming_there_and_back_is_the_identity(chosen: Sequence[tuple[bool, str, dict[str, str]]], key: str) -> None:
    """An attribute renamed and renamed back gives the same rows with the same ids."""
    there = step(actions=(Action(ActionKind.RENAME, key, to="elsewhere"),))
    back = step(actions=(Action(ActionKind.RENAME, "elsewhere", to=key),))
    tables = build(chosen)
    moved, _ = apply(tables, (there,))
    consistent(moved)
    assert all(key not in labels for labels in labels_of(moved))
    assert same(apply(moved, (back,))[0], tables)
    assert same(apply(tables, (there, back))[0], tables)


@settings(max_examples=30)
@given(sources, st.sampled_from(VALUES))
def test_a_service_renamed_takes_everything_along(
    chosen: Sequence[tuple[bool, str, dict[str, str]]], service: str
) -> None:
    """Spans, samples, stacks, frames, series and profiles follow; renamed back, everything is as before."""
    there = step(where=strictly("service.name", service), actions=(Action(ActionKind.UPDATE, "service.name", "new"),))
    back = step(where=strictly("service.name", "new"), actions=(Action(ActionKind.UPDATE, "service_name", service),))
    tables = build(chosen)
    moved, dropped = apply(tables, (there,))
    consistent(moved)
    assert not dropped
    for name in ("spans", "series", "profiles"):
        assert service not in set(moved.frame(name)["service"])
    assert same(apply(moved, (back,))[0], tables)


def test_labels_that_repeat_the_service_follow() -> None:
    """A resource attribute service.name never says something else than the service."""
    tables = resource_spans("old", {"service.name": "old", "app": "shop"})
    moved, _ = apply(tables, (step(actions=(Action(ActionKind.RENAME, "app", to="service.name"),)),))
    assert labels_of(moved) == [{"service.name": "shop"}]
    assert set(moved.spans["service"]) == {"shop"}


def test_two_services_can_become_one() -> None:
    """Their symbols meet under one name."""
    tables = concat([a_profile("a", {}, 10), a_profile("b", {}, 20)])
    merged, _ = apply(tables, (step(actions=(Action(ActionKind.UPSERT, "service.name", "one"),)),))
    consistent(merged)
    assert set(merged.profiles["service"]) == {"one"}
    assert merged.profiles["profile"].to_list() == tables.profiles["profile"].to_list()


@pytest.mark.parametrize(
    ("action", "result"),
    [
        (Action(ActionKind.INSERT, "env", "x"), [{"env": "prod", "team": "a"}, {"env": "x"}]),
        (Action(ActionKind.UPDATE, "env", "x"), [{"env": "x", "team": "a"}, {}]),
        (Action(ActionKind.UPSERT, "env", "x"), [{"env": "x", "team": "a"}, {"env": "x"}]),
        (Action(ActionKind.DELETE, "env"), [{"team": "a"}, {}]),
        (Action(ActionKind.RENAME, "env", to="team"), [{"team": "prod"}, {}]),
        (Action(ActionKind.INSERT, "service.name", "x"), [{"env": "prod", "team": "a"}, {}]),
    ],
)
def test_the_actions_are_the_collector_s(action: Action, result: list[dict[str, str]]) -> None:
    """insert, update, upsert, delete and rename, on a resource that has the attribute and on one that has not."""
    tables = concat([resource_spans("checkout", {"env": "prod", "team": "a"}), resource_spans("cart", {})])
    changed, _ = apply(tables, (step(actions=(action,)),))
    consistent(changed)
    assert sorted(labels_of(changed), key=repr) == sorted(result, key=repr)


def test_insert_names_a_service_that_has_no_name() -> None:
    """What came without service.name gets one; what has one keeps it."""
    tables = concat([resource_spans("unknown_service:java", {}), resource_spans("cart", {})])
    named, _ = apply(tables, (step(actions=(Action(ActionKind.INSERT, "service.name", "x"),)),))
    assert set(named.spans["service"]) == {"x", "cart"}


def test_patterns_are_searched_for() -> None:
    """A regular expression matches anywhere in the value, as in the collector; a missing attribute never does."""
    tables = concat([resource_spans(name, {}) for name in ("cart-test", "cart", "test-cart")])
    left, _ = apply(tables, (step(exclude=by_pattern("service.name", ".*-test")),))
    assert set(left.spans["service"]) == {"cart", "test-cart"}
    none, _ = apply(tables, (step(include=by_pattern("team", ".*")),))
    assert none.spans.is_empty()


def test_a_step_may_be_about_one_signal_and_one_service() -> None:
    """Signals and where limit what a filter is about."""
    tables = concat([resource_spans("a", {}), a_profile("a", {}, 10), a_profile("b", {}, 20)])
    profiles_of_a = step(
        signals=frozenset({Signal.PROFILES}), where=strictly("service.name", "a"), include=strictly("team", "x")
    )
    left, dropped = apply(tables, (profiles_of_a,))
    assert len(left.spans) == 2
    assert left.profiles["service"].to_list() == ["b"]
    assert dropped == (Dropped("it", Signal.PROFILES, 1, 2),)


def test_a_profile_that_loses_samples_is_summed_again() -> None:
    """Labels of single samples can be filtered on; the profile keeps the rest, its id, and honest totals."""
    tables = a_profile("a", {})
    own, other = tables.samples["series"][0], 77
    labelled = tables.series.with_columns(
        series=pl.lit(other, pl.Int64),
        labels=pl.Series([[{"key": "task", "value": "gc", "kind": 1}]], dtype=ATTRIBUTES),
    )
    torn = Tables(
        samples=tables.samples.with_columns(series=pl.Series([own, other])),
        stacks=tables.stacks,
        frames=tables.frames,
        series=pl.concat([tables.series, labelled]),
        profiles=tables.profiles,
    )
    left, dropped = apply(torn, (step(exclude=strictly("task", "gc")),))
    check(left)
    row = left.profiles.row(0, named=True)
    kept = left.samples
    assert (row["sample_rows"], row["total"]) == (1, kept["value"].sum())
    assert row["labelled"] == int(np.sum(kept["value"].to_numpy() * (kept["span"].to_numpy() != 0)))
    assert row["profile"] == tables.profiles["profile"][0]
    assert dropped == (Dropped("it", Signal.PROFILES, 0, 1),)


def test_profiles_without_samples_follow_their_service() -> None:
    """An idle minute is data too: kept, renamed and dropped by service and type."""
    tables = Tables(profiles=a_profile("a", {}).profiles.with_columns(sample_rows=pl.lit(0, pl.Int64)))
    renamed, _ = apply(tables, (step(actions=(Action(ActionKind.UPDATE, "service.name", "b"),)),))
    assert renamed.profiles["service"].to_list() == ["b"]
    gone, dropped = apply(tables, (step(exclude=strictly("profile.type", CPU)),))
    assert gone.profiles.is_empty()
    assert dropped == (Dropped("it", Signal.PROFILES, 1),)


@pytest.mark.parametrize("pattern", ["(", "a{1000}{1000}", "x" * 1001, "(?=look)"])
def test_bad_patterns_are_told(pattern: str) -> None:
    """What cannot be compiled, or only to something huge, is refused with a sentence."""
    assert pattern_problem(pattern)
    assert pattern_problem("^checkout-.*$") is None
