"""Nested set, speedscope and REST columns."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from correlate.errors import Malformed
from correlate.flame import columns, nested_set
from correlate.flame.speedscope import SCHEMA_URL, speedscope
from tests.support.trees import grow, paths, rows_of, symbols

TREE = grow({"a;b;e": 1, "a;c": 2, "a;c;d": 1}, weighted=True)


def test_nested_set_rows_are_depth_first() -> None:
    """Level 0 is the one root; value is with callees, self without."""
    rows = nested_set.rows(TREE)
    assert rows[0] == {"level": 0, "value": 4, "self": 0, "label": "total"}
    assert [(row["level"], row["label"], row["value"], row["self"]) for row in rows[1:]] == [
        (1, "a", 4, 0),
        (2, "b", 1, 0),
        (3, "e", 1, 1),
        (2, "c", 3, 2),
        (3, "d", 1, 1),
    ]
    assert nested_set.columns(TREE)["label"] == [row["label"] for row in rows]


@pytest.mark.parametrize(("unit", "shown"), [("nanoseconds", "ns"), ("bytes", "bytes"), ("count", "short")])
def test_a_data_frame_tells_grafana_what_it_is(unit: str, shown: str) -> None:
    """Field names and types as the panel demands them, the unit on the value, and the preferred visualisation."""
    frame = json.loads(json.dumps(nested_set.data_frame(TREE, unit)))
    schema = frame["schema"]
    assert schema["meta"]["preferredVisualisationType"] == "flamegraph"
    assert [(field["name"], field["type"]) for field in schema["fields"]] == [
        ("level", "number"),
        ("value", "number"),
        ("self", "number"),
        ("label", "string"),
    ]
    assert schema["fields"][1]["config"]["unit"] == shown
    assert [len(values) for values in frame["data"]["values"]] == [6, 6, 6, 6]


def check_speedscope(file: dict[str, Any]) -> None:
    """What the file format schema demands of a file with one sampled profile."""
    assert file["$schema"] == SCHEMA_URL
    assert set(file) <= {"$schema", "shared", "profiles", "name", "activeProfileIndex", "exporter"}
    frames = file["shared"]["frames"]
    for frame in frames:
        assert set(frame) <= {"name", "file", "line", "col"}
        assert isinstance(frame["name"], str)
    assert len({json.dumps(frame, sort_keys=True) for frame in frames}) == len(frames)
    (profile,) = file["profiles"]
    assert set(profile) == {"type", "name", "unit", "startValue", "endValue", "samples", "weights"}
    assert profile["type"] == "sampled"
    assert profile["unit"] in {"bytes", "microseconds", "milliseconds", "nanoseconds", "none", "seconds"}
    assert len(profile["samples"]) == len(profile["weights"])
    assert all(0 <= frame < len(frames) for sample in profile["samples"] for frame in sample)
    assert all(weight > 0 for weight in profile["weights"])
    assert profile["endValue"] - profile["startValue"] == sum(profile["weights"])


def test_speedscope_holds_every_stack_root_first() -> None:
    """One sample per distinct stack with its sum, largest first; frames know their file and line."""
    found = symbols([["a", "b"], ["a"]], file=["a.py", ""], line=[3, 0])
    file = speedscope(found, np.array([1, 2, 1, 0, 77]), np.array([5, 20, 6, 1, 2]), "nanoseconds", "cpu of checkout")
    check_speedscope(json.loads(json.dumps(file)))
    frames = file["shared"]["frames"]
    profile = file["profiles"][0]
    stacks = [[frames[frame]["name"] for frame in sample] for sample in profile["samples"]]
    assert list(zip(stacks, profile["weights"], strict=True)) == [
        (["a"], 20),
        (["a", "b"], 11),
        (["[unknown]"], 2),
        (["[no stack]"], 1),
    ]
    assert {"name": "a", "file": "a.py", "line": 3} in frames
    assert profile["unit"] == "nanoseconds"


@given(paths)
def test_speedscope_files_are_valid_whatever_the_stacks(stacks: list[list[str]]) -> None:
    """Unknown units become none, sums below one are left out, and nothing at all is a valid file too."""
    ids = np.arange(len(stacks) + 1)
    file = speedscope(symbols(stacks), ids, ids - 2, "widgets", "x")
    check_speedscope(json.loads(json.dumps(file)))
    assert file["profiles"][0]["unit"] == "none"


@given(paths)
def test_columns_come_back_as_the_same_tree(stacks: list[list[str]]) -> None:
    """What the REST interface sends can be drawn by whoever receives it."""
    tree = grow([(path, row) for row, path in enumerate(stacks)], weighted=True)
    sent = json.loads(json.dumps(columns.columns(tree)))
    assert rows_of(columns.parse(sent)) == rows_of(tree)


def test_columns_without_samples() -> None:
    """Hits of the profiler are optional; the four columns of the contract are always there."""
    sent = columns.columns(grow({"a": 1}))
    assert sent == {"name": ["total", "a"], "parent": [-1, 0], "self": [0, 1], "total": [1, 1]}
    assert columns.parse(sent).samples is None


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"parent": []}, "different lengths"),
        ({"name": ["total"]}, "different lengths"),
        ({"parent": [-1, 1, 0]}, "parent"),
        ({"parent": [-1, -1, 0]}, "parent"),
        ({"parent": [0, 0, 1]}, "parent"),
        ({"self": [0, 1.5, 1]}, "self"),
        ({"total": [0, 2**70, 1]}, "total"),
        ({"total": None}, "total"),
        ({"total": [[1], [2, 3], 1]}, "total"),
        ({"parent": [-1, 0, 2**32]}, "parent"),
        ({"name": ["total", 1, "b"]}, "name"),
        ({"name": None}, "name"),
        ({"samples": ["x", "y", "z"]}, "samples"),
        ({"name": [], "parent": [], "self": [], "total": []}, "parent"),
    ],
)
def test_broken_columns_are_refused_with_a_reason(changes: dict[str, Any], complaint: str) -> None:
    """Whatever is wrong with them, one sentence says so."""
    good = {"name": ["total", "a", "b"], "parent": [-1, 0, 1], "self": [0, 1, 1], "total": [2, 2, 1]}
    with pytest.raises(Malformed, match=complaint):
        columns.parse(good | changes)


def test_columns_that_are_not_depth_first_are_refused() -> None:
    """Layouts rely on the order, so another order is an error and not a wrong picture."""
    data = {"name": list("tabc"), "parent": [-1, 0, 0, 1], "self": [0, 0, 1, 1], "total": [2, 1, 1, 1]}
    with pytest.raises(Malformed, match="depth-first"):
        columns.parse(data)
