"""Trees as Pyroscope writes them: the querier's FlameGraph and the older FlamebearerProfile.

Source: grafana/pyroscope, ``api/querier/v1/querier.proto``, ``pkg/model/flamegraph.go`` and
``pkg/og/structs/flamebearer/flamebearer.go``. A level is a flat list of ``offset, total, self, name`` per node, the
offset counted from the end of the node before it.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from correlate.flame.diff import DiffTree
from correlate.flame.tree import Tree, by_level
from correlate.model.profile_type import ProfileType

I64 = npt.NDArray[np.int64]

NANOSECOND_RATE: Final = 1_000_000_000
_OBJECTS: Final = frozenset({"inuse_objects", "alloc_objects", "goroutine", "samples"})


def flame_graph(tree: Tree) -> dict[str, Any]:
    """The message ``querier.v1.FlameGraph``, integers bare: names, levels of ``{"values": […]}``, total, maxSelf."""
    names, levels = _layout(tree)
    return {
        "names": names,
        "levels": [{"values": values} for values in levels],
        "total": int(tree.total[0]),
        "maxSelf": int(tree.self.max()),
    }


def flame_graph_json(tree: Tree) -> dict[str, Any]:
    """The same in protobuf's JSON mapping: 64-bit integers are strings, fields that are zero are left out."""
    graph = flame_graph(tree)
    levels = [{"values": [str(value) for value in level["values"]]} for level in graph["levels"]]
    sums = {key: str(graph[key]) for key in ("total", "maxSelf") if graph[key]}
    return {"names": graph["names"], "levels": levels, **sums}


def flamebearer_profile(
    tree: Tree, profile_type: ProfileType, spy_name: str = "", timeline: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The answer of ``/pyroscope/render``: version, flamebearer, metadata, and the timeline when there is one."""
    names, levels = _layout(tree)
    units, rate = units_of(profile_type)
    return {
        "version": 1,
        "flamebearer": {
            "names": names,
            "levels": levels,
            "numTicks": int(tree.total[0]),
            "maxSelf": int(tree.self.max()),
        },
        "metadata": {
            "format": "single",
            "spyName": spy_name,
            "sampleRate": rate,
            "units": units,
            "name": profile_type.sample_type,
        },
        "timeline": None if timeline is None else dict(timeline),
        "groups": None,
        "heatmap": None,
    }


def flame_graph_diff(diff: DiffTree) -> dict[str, Any]:
    """The message ``querier.v1.FlameGraphDiff``, integers bare; sides are not normalised, the reader does that.

    Nodes are ``offset, total, self`` of the left side, the same of the right side, and the name.
    """
    names, levels = _diff_layout(diff)
    return {
        "names": names,
        "levels": [{"values": values} for values in levels],
        **_diff_sums(diff),
    }


def flame_graph_diff_json(diff: DiffTree) -> dict[str, Any]:
    """The same in protobuf's JSON mapping, see `flame_graph_json`."""
    names, levels = _diff_layout(diff)
    sums = {key: str(value) for key, value in _diff_sums(diff).items() if value}
    return {"names": names, "levels": [{"values": [str(value) for value in values]} for values in levels], **sums}


def flamebearer_diff(diff: DiffTree, profile_type: ProfileType, spy_name: str = "") -> dict[str, Any]:
    """The answer of ``/pyroscope/render-diff``: a flamebearer profile of the format ``double``."""
    names, levels = _diff_layout(diff)
    sums = _diff_sums(diff)
    units, rate = units_of(profile_type)
    ticks = {"leftTicks": sums["leftTicks"], "rightTicks": sums["rightTicks"]}
    shown = {"numTicks": sums["total"], "maxSelf": sums["maxSelf"]}
    return {
        "version": 1,
        "flamebearer": {"names": names, "levels": levels, **shown},
        "metadata": {
            "format": "double",
            "spyName": spy_name,
            "sampleRate": rate,
            "units": units,
            "name": profile_type.sample_type,
        },
        "timeline": None,
        "groups": None,
        "heatmap": None,
        **ticks,
    }


def units_of(profile_type: ProfileType) -> tuple[str, int]:
    """What a flamebearer calls the unit, and its samples per second: nanoseconds of CPU are samples at 1 GHz."""
    if profile_type.sample_type == "cpu":
        return "samples", NANOSECOND_RATE
    if profile_type.sample_type in _OBJECTS:
        return "objects", 100
    return profile_type.sample_unit, 100


def offsets(tree: Tree) -> I64:
    """Where each node starts on the value axis, its parent's own value coming first.

    Depth first, everything before a node is either an ancestor, which contributes its own value, or lies in a subtree
    to the left, whose total is the sum of its own values: so the start is the sum of all own values before.
    """
    return np.cumsum(tree.self) - tree.self


def _layout(tree: Tree) -> tuple[list[str], list[list[int]]]:
    order, bounds = by_level(tree.depth)
    number, names = _number_names(tree)
    return names, _levels([*_side(tree, order, bounds), number[order]], bounds)


def _diff_layout(diff: DiffTree) -> tuple[list[str], list[list[int]]]:
    order, bounds = by_level(diff.left.depth)
    number, names = _number_names(diff.left)
    sides = [*_side(diff.left, order, bounds), *_side(diff.right, order, bounds)]
    return names, _levels([*sides, number[order]], bounds)


def _diff_sums(diff: DiffTree) -> dict[str, int]:
    left, right = int(diff.left.total[0]), int(diff.right.total[0])
    most = max(int(diff.left.self.max()), int(diff.right.self.max()))
    return {"total": left + right, "maxSelf": most, "leftTicks": left, "rightTicks": right}


def _side(tree: Tree, order: I64, bounds: I64) -> list[I64]:
    """Offset, total and self of each node, level by level."""
    start = offsets(tree)[order]
    total = tree.total[order]
    delta = start.copy()
    delta[1:] -= start[:-1] + total[:-1]
    delta[bounds[:-1]] = start[bounds[:-1]]
    return [delta, total, tree.self[order]]


def _levels(table: list[I64], bounds: I64) -> list[list[int]]:
    width, flat = len(table), np.column_stack(table).ravel()
    return [flat[width * a : width * b].tolist() for a, b in pairwise(bounds)]


def _number_names(tree: Tree) -> tuple[I64, list[str]]:
    """Number names as Pyroscope's walk meets them, which takes the last child first; the root is number 0.

    In that mirrored walk a node comes after its ancestors and after everything to the right of its own subtree.
    """
    visit = tree.depth + (len(tree) - tree.end)
    met = np.full(len(tree.names), len(tree) + 1, np.int64)
    np.minimum.at(met, tree.name_id[1:], visit[1:])
    used = np.flatnonzero(met <= len(tree))
    used = used[np.argsort(met[used])]
    number = np.zeros(len(tree.names), np.int64)
    number[used] = np.arange(1, len(used) + 1)
    numbers = number[tree.name_id]
    numbers[0] = 0
    return numbers, [tree.names[int(tree.name_id[0])], *tree.names.gather(used).to_list()]
