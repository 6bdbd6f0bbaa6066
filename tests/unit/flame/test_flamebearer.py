"""Flamebearer: the verified example, the walk it comes from, names and units."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from correlate.flame.flamebearer import flame_graph, flame_graph_json, flamebearer_profile, offsets, units_of
from correlate.flame.tree import build, truncate
from correlate.model.profile_type import ProfileType
from tests.support.trees import Node, grow, names, slow_tree, symbols

CPU = ProfileType.parse("process_cpu:cpu:nanoseconds:cpu:nanoseconds")
EXAMPLE = {"a;b;e": 1, "a;c": 2, "a;c;d": 1}


def walk(root: Node) -> tuple[list[str], list[list[int]]]:
    """Pyroscope's walk, node by node: a stack of work to do, so that the last child comes first."""
    numbers: dict[str, int] = {}
    levels: dict[int, list[tuple[int, int, int, int]]] = {}
    todo = [(0, 0, root)]
    while todo:
        x, level, node = todo.pop()
        number = numbers.setdefault("" if node is root else "=" + node.name, len(numbers))
        levels.setdefault(level, []).append((x, node.total, node.own, number))
        x += node.own
        for child in node.below():
            todo.append((x, level + 1, child))
            x += child.total
    rows = []
    for level in sorted(levels):
        end, row = 0, []
        for x, total, own, number in sorted(levels[level], key=lambda bar: bar[0]):
            row += [x - end, total, own, number]
            end = x + total
        rows.append(row)
    return [name[1:] or "total" for name in numbers], rows


def test_the_example_of_the_reference_implementation() -> None:
    """Names and levels of Pyroscope's own test, number for number."""
    assert flame_graph(grow(EXAMPLE)) == {
        "names": ["total", "a", "c", "d", "b", "e"],
        "levels": [
            {"values": [0, 4, 0, 0]},
            {"values": [0, 4, 0, 1]},
            {"values": [0, 1, 0, 4, 0, 3, 2, 2]},
            {"values": [0, 1, 1, 5, 2, 1, 1, 3]},
        ],
        "total": 4,
        "maxSelf": 2,
    }


@given(st.lists(st.tuples(st.lists(names, min_size=1, max_size=5), st.integers(1, 9)), min_size=1, max_size=12))
def test_every_tree_is_laid_out_as_the_walk_does(samples: list[tuple[list[str], int]]) -> None:
    """Sorting columns gives the same names, numbers and offsets as walking the nodes."""
    graph = flame_graph(grow(samples))
    expected_names, levels = walk(slow_tree(samples))
    assert graph["names"] == expected_names
    assert [level["values"] for level in graph["levels"]] == levels


def test_an_empty_tree_is_a_root_of_nothing() -> None:
    """Nothing found: one bar of length 0, and in protobuf's JSON no sums at all."""
    empty = build(symbols([]), np.zeros(0, np.int64), np.zeros(0, np.int64))
    assert flame_graph(empty) == {"names": ["total"], "levels": [{"values": [0, 0, 0, 0]}], "total": 0, "maxSelf": 0}
    assert flame_graph_json(empty) == {"names": ["total"], "levels": [{"values": ["0", "0", "0", "0"]}]}


def test_protobuf_json_quotes_long_integers() -> None:
    """64-bit integers are strings there."""
    graph = flame_graph_json(grow({"a": 2**60}))
    assert graph["levels"][1] == {"values": ["0", str(2**60), str(2**60), "1"]}
    assert (graph["total"], graph["maxSelf"]) == (str(2**60), str(2**60))


def test_a_function_called_total_is_not_the_root() -> None:
    """It has its own name and number."""
    graph = flame_graph(grow({"total;total": 1}))
    assert graph["names"] == ["total", "total"]
    assert [level["values"][3] for level in graph["levels"]] == [0, 1, 1]


def test_what_was_cut_off_is_the_last_of_its_siblings() -> None:
    """The leaf for the rest stands right of all others, whatever its name sorts like."""
    graph = flame_graph(truncate(grow({"a;x": 9, "z": 8, "m": 1, "n": 1}), 3))
    assert graph["names"] == ["total", "other", "z", "a", "x"]
    assert graph["levels"][1]["values"] == [0, 9, 0, 3, 0, 8, 8, 2, 0, 2, 2, 1]


def test_bars_start_after_their_parents_own_value() -> None:
    """Where each node starts on the value axis."""
    assert offsets(grow(EXAMPLE)).tolist() == [0, 0, 0, 0, 1, 3]


def test_the_older_answer_has_its_metadata() -> None:
    """Version, format, units and rate as the render endpoint says them; ready for JSON."""
    profile = flamebearer_profile(grow(EXAMPLE), CPU, spy_name="gospy", timeline={"startTime": 1})
    assert profile["version"] == 1
    assert profile["flamebearer"]["numTicks"] == 4
    assert profile["flamebearer"]["levels"][2] == [0, 1, 0, 4, 0, 3, 2, 2]
    assert profile["metadata"] == {
        "format": "single",
        "spyName": "gospy",
        "sampleRate": 1_000_000_000,
        "units": "samples",
        "name": "cpu",
    }
    assert json.loads(json.dumps(profile))["timeline"] == {"startTime": 1}


@pytest.mark.parametrize(
    ("profile_type", "expected"),
    [
        ("process_cpu:cpu:nanoseconds:cpu:nanoseconds", ("samples", 1_000_000_000)),
        ("memory:inuse_objects:count:space:bytes", ("objects", 100)),
        ("goroutine:goroutine:count:goroutine:count", ("objects", 100)),
        ("memory:inuse_space:bytes:space:bytes", ("bytes", 100)),
        ("mutex:delay:nanoseconds:contentions:count", ("nanoseconds", 100)),
    ],
)
def test_units_by_profile_type(profile_type: str, expected: tuple[str, int]) -> None:
    """CPU time counts as samples at 1 GHz, counts of things as objects, the rest keeps its unit."""
    assert units_of(ProfileType.parse(profile_type)) == expected
