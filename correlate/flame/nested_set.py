"""Trees as Grafana's flame graph panel wants them: depth-first rows of level, label, value and self.

Source: grafana/grafana, ``packages/grafana-flamegraph/src/FlameGraph/dataTransform.ts``. The order of the rows carries
the structure, so nothing downstream may sort them.
"""

from typing import Any, Final

from correlate.flame.tree import Tree

_GRAFANA_UNITS: Final = {"nanoseconds": "ns", "bytes": "bytes"}


def columns(tree: Tree) -> dict[str, list[Any]]:
    """The four columns: level (0 for the root), value (with callees), self (without), label."""
    return {
        "level": tree.depth.tolist(),
        "value": tree.total.tolist(),
        "self": tree.self.tolist(),
        "label": tree.name.to_list(),
    }


def rows(tree: Tree) -> list[dict[str, Any]]:
    """The same as a plain array of row objects, which is what the Infinity datasource reads."""
    return [
        {"level": level, "value": value, "self": own, "label": label}
        for level, value, own, label in zip(*columns(tree).values(), strict=True)
    ]


def data_frame(tree: Tree, unit: str, name: str = "flamegraph", ref_id: str = "A") -> dict[str, Any]:
    """The same as a Grafana data frame in JSON; `unit` is the profile's: nanoseconds, bytes, or a count."""
    table = columns(tree)
    shown = {"unit": _GRAFANA_UNITS.get(unit, "short")}
    return {
        "schema": {
            "refId": ref_id,
            "name": name,
            "meta": {"preferredVisualisationType": "flamegraph"},
            "fields": [
                _field("level", "number", "int64", {}),
                _field("value", "number", "int64", shown),
                _field("self", "number", "int64", shown),
                _field("label", "string", "string", {}),
            ],
        },
        "data": {"values": list(table.values())},
    }


def _field(name: str, kind: str, stored: str, config: dict[str, str]) -> dict[str, Any]:
    return {"name": name, "type": kind, "typeInfo": {"frame": stored}, "config": config}
