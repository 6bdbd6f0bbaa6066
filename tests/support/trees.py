"""Small symbols and trees for tests, and the slow twin that grows a tree node by node."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from hypothesis import strategies as st

from correlate.flame.tree import Tree, build
from correlate.tables.schema import FRAMES, STACKS
from correlate.tables.symbols import Symbols

HOSTILE = [
    "</script><img src=x onerror=alert(1)>",
    "<b>bold</b>",
    "\"quoted\" 'single' `tick`",
    "&lt;amp&amp;",
    "esc\x1b[31mred\x07",
    "right\u202eleft",
    "[red]markup[/red]",
    "%{x} ${y} $title",
    "line\nbreak",
]

names = st.sampled_from(
    ["a", "b", "é", "main", "other", "total", "[unknown]", "Z", "aa", "\x00", "\U0001d538", "\uff46"]
)
paths = st.lists(st.lists(names, max_size=6), max_size=12)


def symbols(stacks: Sequence[Sequence[str]], **columns: Sequence[Any]) -> Symbols:
    """Symbols of some stacks of names, root first; stack ids count from 1. Columns are per distinct name, sorted."""
    table = sorted({name for stack in stacks for name in stack})
    blank: dict[Any, Any] = {pl.String: "", pl.Boolean: False, pl.Int64: 0}
    data: dict[str, Any] = {name: [blank[kind]] * len(table) for name, kind in FRAMES.items()}
    data |= {"frame": [100 + row for row in range(len(table))], "function": table, **columns}
    rows = [[100 + table.index(name) for name in stack] for stack in stacks]
    ids = list(range(1, len(stacks) + 1))
    described = pl.DataFrame({"service": [0] * len(ids), "stack": ids, "frames": rows}, schema=STACKS)
    return Symbols.build(described, pl.DataFrame(data, schema=FRAMES))


def grow(samples: dict[str, int] | Sequence[tuple[Sequence[str], int]], *, weighted: bool = False) -> Tree:
    """A tree of ``{"main;work": value}``, or of pairs of a path and a value; with weights, each row weighs 1."""
    pairs = [(key.split(";"), value) for key, value in samples.items()] if isinstance(samples, dict) else samples
    ids = np.arange(1, len(pairs) + 1, dtype=np.int64)
    values = np.array([value for _, value in pairs], np.int64)
    return build(symbols([path for path, _ in pairs]), ids, values, np.ones_like(ids) if weighted else None)


@dataclass
class Node:
    """A node of the slow twin."""

    name: str
    own: int = 0
    weight: int = 0
    children: dict[str, "Node"] = field(default_factory=dict)

    @property
    def total(self) -> int:
        return self.own + sum(child.total for child in self.children.values())

    @property
    def total_weight(self) -> int:
        return self.weight + sum(child.total_weight for child in self.children.values())

    def below(self) -> list["Node"]:
        """The children by name, bytewise."""
        return [self.children[name] for name in sorted(self.children, key=str.encode)]


def slow_tree(samples: Iterable[tuple[Sequence[str] | None, int]]) -> Node:
    """Grow a tree one sample at a time; a path of None is a stack that is not known."""
    root = Node("total")
    for path, value in samples:
        node = root
        for name in ["[unknown]"] if path is None else path or ["[no stack]"]:
            node = node.children.setdefault(name, Node(name))
        node.own += value
        node.weight += 1
    return root


def slow_rows(root: Node) -> list[tuple[str, int, int, int, int, int]]:
    """The rows of a twin as `Tree` has them: name, parent, depth, self, total, samples."""
    rows: list[tuple[str, int, int, int, int, int]] = []

    def visit(node: Node, parent: int, depth: int) -> None:
        row = len(rows)
        rows.append((node.name, parent, depth, node.own, node.total, node.total_weight))
        for child in node.below():
            visit(child, row, depth + 1)

    visit(root, -1, 0)
    return rows


def rows_of(tree: Tree) -> list[tuple[str, int, int, int, int, int]]:
    """The rows of a tree as tuples: name, parent, depth, self, total, samples (0 when not known)."""
    samples = np.zeros(len(tree), np.int64) if tree.samples is None else tree.samples
    columns = [tree.parent, tree.depth, tree.self, tree.total, samples]
    return list(zip(tree.name.to_list(), *(column.tolist() for column in columns), strict=True))
