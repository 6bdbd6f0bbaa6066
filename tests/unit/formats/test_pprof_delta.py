"""Differences of cumulative pprof profiles."""

import gzip
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from correlate.errors import BadInput, Malformed, UnknownFormat
from correlate.formats.pprof_delta import CUMULATIVE, Baselines, delta, gauges
from correlate.formats.proto.pprof_pb2 import Profile

GOLDEN = Path(__file__).parents[2] / "golden" / "go-checkout"
KINDS = ["allocs", "heap", "mutex", "block"]


def recorded(name: str) -> bytes:
    return (GOLDEN / f"{name}.pb.gz").read_bytes()


def read(body: bytes) -> Profile:
    profile: Profile = Profile.FromString(gzip.decompress(body))
    return profile


def totals(profile: Profile) -> dict[str, int]:
    names = [profile.string_table[kind.type].decode() for kind in profile.sample_type]
    return {name: sum(sample.value[at] for sample in profile.sample) for at, name in enumerate(names)}


def by_stack(profile: Profile) -> dict[object, list[int]]:
    """The slow twin's view: values by addresses, function names and labels, one sample after the other."""
    functions = {function.id: profile.string_table[function.name] for function in profile.function}
    places = {
        place.id: (place.address, tuple((functions[line.function_id], line.line) for line in place.line))
        for place in profile.location
    }
    found: dict[object, list[int]] = {}
    for sample in profile.sample:
        labels = tuple(
            (profile.string_table[label.key], profile.string_table[label.str], label.num) for label in sample.label
        )
        key = (tuple(places[place] for place in sample.location_id), labels)
        old = found.get(key, [0] * len(sample.value))
        found[key] = [one + other for one, other in zip(old, sample.value, strict=True)]
    return found


def slow_delta(previous: Profile, current: Profile) -> dict[object, list[int]]:
    """The difference, one stack after the other."""
    names = [current.string_table[kind.type].decode() for kind in current.sample_type]
    before = by_stack(previous)
    result = {}
    for key, values in by_stack(current).items():
        old = before.get(key, [0] * len(values))
        left = [
            max(new - was, 0) if name in CUMULATIVE else new for name, new, was in zip(names, values, old, strict=True)
        ]
        if any(left):
            result[key] = left
    return result


@pytest.mark.parametrize("kind", KINDS)
def test_the_difference_equals_that_of_a_loop(kind: str) -> None:
    """On recordings of a Go service the columns give what a loop over stacks gives; snapshots stay as they are."""
    previous, current = recorded(f"healthy-{kind}-0"), recorded(f"healthy-{kind}-1")
    body = delta(previous, current)
    assert body is not None
    result = read(body)
    assert by_stack(result) == slow_delta(read(previous), read(current))
    assert result.time_nanos == read(previous).time_nanos
    assert result.duration_nanos == read(current).time_nanos - read(previous).time_nanos
    before, after, added = totals(read(previous)), totals(read(current)), totals(result)
    counts = [name for name in added if name in ("alloc_objects", "contentions")]
    assert counts
    assert all(added[name] == after[name] - before[name] for name in counts)
    assert all(added[name] == after[name] for name in added if name.startswith("inuse"))


@pytest.mark.parametrize("kind", ["allocs", "mutex", "block"])
def test_after_a_restart_everything_is_new(kind: str) -> None:
    """The recordings of the restarted service count from zero: all they hold happened since."""
    current = recorded(f"restarted-{kind}-0")
    body = delta(recorded(f"healthy-{kind}-1"), current)
    assert body is not None
    assert totals(read(body)) == totals(read(current))


def test_a_profile_of_the_present_passes() -> None:
    """Goroutines are not counted over time."""
    body = delta(recorded("healthy-goroutine-0"), recorded("healthy-goroutine-1"))
    assert body is not None
    assert by_stack(read(body)) == by_stack(read(recorded("healthy-goroutine-1")))


def counters(values: dict[int, int], time_ns: int, *, address: bool = True) -> bytes:
    """A mutex profile of stacks of one location each, by number."""
    profile = Profile(string_table=[b"", b"contentions", b"count"], time_nanos=time_ns)
    profile.sample_type.add(type=1, unit=2)
    for at, (number, value) in enumerate(values.items(), start=1):
        profile.string_table.append(f"f{number}".encode())
        profile.function.add(id=at, name=len(profile.string_table) - 1)
        profile.location.add(id=at, address=4096 + number if address else 0).line.add(function_id=at, line=number)
        profile.sample.add(location_id=[at], value=[value])
    return gzip.compress(profile.SerializeToString())


def test_what_cannot_be_compared_is_not() -> None:
    """Other types, an older profile, or counters that shrank in part: no difference is made up."""
    now = counters({1: 100, 2: 100}, 20)
    assert delta(recorded("healthy-block-0"), now) is None
    assert delta(counters({1: 1}, 20), now) is None
    assert delta(counters({1: 150}, 10), now) is None
    assert delta(counters({1: 90}, 10), now) is not None


def test_a_rounding_error_is_no_restart() -> None:
    """A counter that lost a thousandth counts as unchanged."""
    body = delta(counters({1: 10_000, 2: 5}, 10), counters({1: 9_990, 2: 105}, 20))
    assert body is not None
    assert totals(read(body)) == {"contentions": 100}


def test_stacks_without_addresses_go_by_their_names() -> None:
    """The order and the ids of locations differ from profile to profile; names and lines do not."""
    body = delta(counters({1: 10, 2: 20}, 10, address=False), counters({3: 1, 2: 25, 1: 10}, 20, address=False))
    assert body is not None
    assert sorted(by_stack(read(body)).values()) == [[1], [5]]


@given(st.lists(st.dictionaries(st.integers(0, 6), st.integers(1, 50), max_size=5), min_size=1, max_size=5))
def test_differences_add_up(steps: list[dict[int, int]]) -> None:
    """The sum of the differences of growing counters is the last profile less the first one."""
    total: Counter[int] = Counter({9: 1})
    bodies = [counters(dict(total), 1)]
    for time_ns, step in enumerate(steps, start=2):
        total.update(step)
        bodies.append(counters(dict(total), time_ns))
    baselines = Baselines()
    added = [baselines.advance("shop", body) for body in bodies]
    assert added[0] is None
    assert sum(totals(read(body))["contentions"] for body in added if body) == sum(total.values()) - 1


def test_the_first_profile_tells_of_the_present_only() -> None:
    """Of a heap profile without one before it, what is in use is kept."""
    body = gauges(recorded("leaking-heap-5"))
    assert body is not None
    kept, original = totals(read(body)), totals(read(recorded("leaking-heap-5")))
    assert kept == {**original, "alloc_objects": 0, "alloc_space": 0}
    assert gauges(recorded("healthy-mutex-0")) is None


def test_baselines_are_by_target_and_bounded() -> None:
    """Two targets do not meet; the one not heard of for longest begins anew; broken bytes change nothing."""
    baselines = Baselines(limit_count=2)
    assert baselines.advance("a", counters({1: 10}, 10)) is None
    assert baselines.advance("b", counters({1: 500}, 10)) is None
    with pytest.raises(Malformed):
        baselines.advance("a", b"\x0a\xff")
    added = baselines.advance("a", counters({1: 11}, 20))
    assert added is not None
    assert totals(read(added)) == {"contentions": 1}
    assert baselines.advance("c", counters({1: 1}, 10)) is None
    assert baselines.advance("b", counters({1: 501}, 20)) is None


RAW = gzip.decompress(recorded("healthy-mutex-0"))


@given(st.lists(st.tuples(st.integers(0, len(RAW) - 1), st.integers(0, 255)), min_size=1, max_size=8))
def test_broken_bytes_are_refused_or_read(changes: list[tuple[int, int]]) -> None:
    """Whatever bytes come, the outcome is a difference, none, or an error about the input."""
    body = bytearray(RAW)
    for at, value in changes:
        body[at] = value
    with suppress(BadInput):
        delta(RAW, bytes(body))
    with suppress(BadInput):
        delta(bytes(body), recorded("healthy-mutex-1"))


def test_what_is_wrong_is_named() -> None:
    """No sample types, a value too many, a string that is not there."""
    with pytest.raises(UnknownFormat, match="no sample types"):
        gauges(Profile(time_nanos=1).SerializeToString())
    profile = Profile(string_table=[b"", b"contentions"])
    profile.sample_type.add(type=1)
    profile.sample.add(value=[1, 2])
    with pytest.raises(Malformed, match="one value for each of the 1 sample types"):
        gauges(profile.SerializeToString())
    profile.sample_type[0].type = 7
    with pytest.raises(Malformed, match="outside of the string table"):
        gauges(profile.SerializeToString())
    no_places = Profile(string_table=[b"", b"inuse_space"])
    no_places.sample_type.add(type=1)
    no_places.sample.add(value=[5], location_id=[9])
    body = gauges(no_places.SerializeToString())
    assert body is not None
    assert totals(read(body)) == {"inuse_space": 5}
