"""Trees as Grafana's flame graph panel wants them: depth-first rows of level, label, value and self.

Source: grafana/grafana, ``packages/grafana-flamegraph/src/FlameGraph/dataTransform.ts``. The order of the rows carries
the structure, so nothing downstream may sort them.
"""

from typing import Any, Final

from correlate.flame.tree import Tree

_GRAFANA_UNITS: Final = {"nanoseconds": "ns", "bytes": "bytes"}


def columns(tree: Tree, right: Tree | None = None) -> dict[str, list[Any]]:
    """The four columns: level (0 for the root), value (with callees), self (without), label.

    Args:
        tree: the tree, or the left side of a `flame.diff.DiffTree`.
        right: the right side of it; gives the columns valueRight and selfRight, and then the panel shows a difference.
    """
    sides = {} if right is None else {"valueRight": right.total.tolist(), "selfRight": right.self.tolist()}
    return {
        "level": tree.depth.tolist(),
        "value": tree.total.tolist(),
        "self": tree.self.tolist(),
        **sides,
        "label": tree.name.to_list(),
    }


def rows(tree: Tree, right: Tree | None = None) -> list[dict[str, Any]]:
    """The same as a plain array of row objects, which is what the Infinity datasource reads."""
    table = columns(tree, right)
    return [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]


def data_frame(
    tree: Tree, unit: str, name: str = "flamegraph", ref_id: str = "A", right: Tree | None = None
) -> dict[str, Any]:
    """The same as a Grafana data frame in JSON; `unit` is the profile's: nanoseconds, bytes, or a count."""
    table = columns(tree, right)
    shown = {"unit": _GRAFANA_UNITS.get(unit, "short")}
    return {
        "schema": {
            "refId": ref_id,
            "name": name,
            "meta": {"preferredVisualisationType": "flamegraph"},
            "fields": [
                _field("label", "string", "string", {})
                if key == "label"
                else _field(key, "number", "int64", {} if key == "level" else shown)
                for key in table
            ],
        },
        "data": {"values": list(table.values())},
    }


def _field(name: str, kind: str, stored: str, config: dict[str, str]) -> dict[str, Any]:
    return {"name": name, "type": kind, "typeInfo": {"frame": stored}, "config": config}
