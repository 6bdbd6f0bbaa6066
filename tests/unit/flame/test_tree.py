"""Trees: against the slow twin, exact sums, depth, merging, truncation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from correlate.flame.stacks import gather
from correlate.flame.tree import Tree, build, parents, sum_up, truncate
from tests.support.trees import Node, grow, names, paths, rows_of, slow_rows, slow_tree, symbols

values = st.integers(-(2**40), 2**40)


def is_sound(tree: Tree) -> bool:
    """Parents come first, depths count from them, and totals are own values plus the children's totals."""
    rows = np.arange(len(tree))
    below = np.zeros(len(tree), np.int64)
    np.add.at(below, tree.parent[1:], tree.total[1:])
    return bool(
        tree.parent[0] == -1
        and (tree.parent[1:] < rows[1:]).all()
        and (tree.depth[1:] == tree.depth[tree.parent[1:]] + 1).all()
        and (tree.total == tree.self + below).all()
    )


@given(paths, st.data())
def test_the_columns_equal_a_tree_grown_node_by_node(stacks: list[list[str]], data: st.DataObject) -> None:
    """Any stacks, in any order and number, known or not, with any values: the same rows as from the dictionary twin."""
    rows = data.draw(st.lists(st.tuples(st.integers(0, len(stacks) + 1), values), max_size=30))
    known: dict[int, list[str] | None] = {0: [], **dict(enumerate(stacks, 1))}
    ids = np.array([row for row, _ in rows], np.int64)
    amounts = np.array([amount for _, amount in rows], np.int64)
    tree = build(symbols(stacks), ids, amounts, np.ones(len(rows), np.int32))
    assert rows_of(tree) == slow_rows(slow_tree((known.get(row), amount) for row, amount in rows))
    assert is_sound(tree)
    assert tree.total[0] == amounts.sum()


def test_sums_are_exact_where_floating_point_is_not() -> None:
    """Values near 2**62 keep their last digit."""
    tree = grow({"a;b": 2**61 + 1, "a;c": 2**61 + 2, "a": -3})
    assert tree.total.tolist() == [2**62, 2**62, 2**61 + 1, 2**61 + 2]


def test_no_samples_give_a_root_alone() -> None:
    """An empty answer is a tree too."""
    empty = np.zeros(0, np.int64)
    tree = build(symbols([]), empty, empty)
    assert rows_of(tree) == [("total", -1, 0, 0, 0, 0)]
    assert tree.samples is None


def test_ten_thousand_frames_deep() -> None:
    """Recursion without end in the profiled program is no problem here."""
    tree = grow([(["f", "g"] * 5000, 7), (["f", "g"] * 4999, 5)])
    assert len(tree) == 10_001
    assert tree.depth[-1] == 10_000
    assert tree.total[[0, 9_998, 9_999, 10_000]].tolist() == [12, 12, 7, 7]
    assert tree.end[0] == 10_001


def test_what_is_not_known_is_counted_under_its_own_name() -> None:
    """Samples without a stack, with an unknown stack, or with an empty one: nothing of the total is lost."""
    tree = build(symbols([["a"], []]), np.array([0, 1, 2, 99, 98]), np.array([1, 10, 100, 1000, 10000]))
    assert dict(zip(tree.name, tree.total.tolist(), strict=True)) == {
        "total": 11111,
        "[no stack]": 101,
        "[unknown]": 11000,
        "a": 10,
    }


def test_frames_merge_by_function_or_stay_apart_by_line() -> None:
    """One function at two lines is one node by default and two nodes on request; the place tells which."""
    found = symbols(
        [["m", "x"], ["m", "y"]],
        function=["main", "work", "work"],
        file=["m.py", "w.py", "w.py"],
        line=[3, 7, 9],
        start_line=[1, 5, 5],
    )
    ids, amounts = np.array([1, 2]), np.array([10, 20])
    merged = build(found, ids, amounts)
    assert list(zip(merged.name, merged.place, merged.total.tolist(), strict=True)) == [
        ("total", "", 30),
        ("main", "m.py:1", 30),
        ("work", "w.py:5", 30),
    ]
    apart = build(found, ids, amounts, merge="line")
    assert list(zip(apart.name, apart.total.tolist(), strict=True)) == [
        ("total", 30),
        ("main m.py:3", 30),
        ("work w.py:7", 10),
        ("work w.py:9", 20),
    ]


def test_gather_adds_rows_up_by_stack() -> None:
    """However many rows a stack has, it comes out once, with its frames root first."""
    found = gather(symbols([["a", "b"], ["c"]]), np.array([2, 1, 2, 1]), np.array([1, 2, 3, 4]), np.array([1, 1, 1, 5]))
    labels = found.frames["label"].gather(found.items).to_list()
    assert {
        tuple(labels[a:b]): int(v) for a, b, v in zip(found.offsets[:-1], found.offsets[1:], found.values, strict=True)
    } == {
        ("a", "b"): 6,
        ("c",): 4,
    }
    assert found.weights is not None
    assert sorted(found.weights.tolist()) == [2, 6]


@given(paths)
def test_parents_follow_from_depths(stacks: list[list[str]]) -> None:
    """Depth-first depths say everything about parents."""
    tree = grow([(path, 1) for path in stacks])
    assert parents(tree.depth).tolist() == tree.parent.tolist()


def test_sums_go_up_beyond_sixteen_bits_of_depth() -> None:
    """A chain longer than the fast sort's range sums up all the same."""
    depth = np.arange(40_000, dtype=np.int32)
    assert sum_up(parents(depth), depth, np.ones(40_000, np.int64)).tolist() == list(range(40_000, 0, -1))


@given(
    st.lists(st.tuples(st.lists(names, min_size=1, max_size=5), st.integers(0, 20)), max_size=15), st.integers(1, 20)
)
def test_truncation_keeps_the_largest_and_every_total(samples: list[tuple[list[str], int]], most: int) -> None:
    """The root's total stays, so do those of kept nodes; what is gone is in leaves, last of their siblings."""
    tree = grow(samples, weighted=True)
    cut = truncate(tree, most, ties=False)
    assert is_sound(cut)
    assert cut.total[0] == tree.total[0]
    assert cut.samples is not None
    if len(tree) - 1 <= most:
        assert cut is tree
        return
    kept = [row for row in rows_of(cut) if row[0] != "other"]
    assert len(kept) - 1 <= most
    assert {row[0::4] for row in kept} <= {row[0::4] for row in rows_of(tree)}
    for row in np.flatnonzero((cut.name == "other").to_numpy()):
        assert cut.end[row] == row + 1
        assert cut.end[row] == cut.end[cut.parent[row]]
    assert (cut.parent[cut.parent >= 0] < np.flatnonzero(cut.parent >= 0)).all()


def slow_truncate(node: Node, least: int) -> Node:
    """Pyroscope's rule, node by node: children below the least, and any called other, go into one leaf."""
    cut = Node(node.name, node.own, node.weight)
    rest = Node("other")
    for child in node.below():
        if child.total >= least and child.name != "other":
            cut.children[child.name] = slow_truncate(child, least)
        else:
            rest.own += child.total
            rest.weight += child.total_weight
    if rest.own:
        cut.children["\U0010ffff"] = rest  # sorts last
    return cut


@given(
    st.lists(st.tuples(st.lists(names, min_size=1, max_size=5), st.integers(1, 20)), max_size=15), st.integers(1, 20)
)
def test_truncation_follows_the_reference_rule(samples: list[tuple[list[str], int]], most: int) -> None:
    """The same rows as from truncating the slow twin."""
    tree = grow(samples, weighted=True)
    if len(tree) - 1 > most:
        least = sorted(tree.total[1:].tolist(), reverse=True)[most - 1]
        assert rows_of(truncate(tree, most)) == slow_rows(slow_truncate(slow_tree(samples), least))


def test_ties_stay_as_in_pyroscope_or_go_on_request() -> None:
    """The n-th largest total is the smallest that stays: all that equal it, or as many as asked for."""
    tree = grow({"a;x": 5, "b": 5, "c": 5, "d": 1})
    assert truncate(tree, 2).name.to_list() == ["total", "a", "x", "b", "c", "other"]
    assert truncate(tree, 2, ties=False).name.to_list() == ["total", "a", "other", "b", "other"]
    assert truncate(tree, 0) is tree


def test_a_chain_of_equals_is_cut_at_its_far_end() -> None:
    """Of a deep recursion in which everything is equally large, the part near the root stays."""
    cut = truncate(grow([(["f"] * 50, 3)], weighted=True), 10, ties=False)
    assert cut.name.to_list() == ["total", *["f"] * 10, "other"]
    assert cut.total.tolist() == [3] * 12
    assert cut.samples is not None
    assert cut.samples.tolist() == [1] * 12


@pytest.mark.parametrize("sign", [1, -1])
def test_a_difference_is_truncated_by_absolute_size(sign: int) -> None:
    """A large decrease is as interesting as a large increase."""
    cut = truncate(grow({"a": -100 * sign, "b": 2 * sign, "c": 1 * sign}), 1)
    assert list(zip(cut.name, cut.total.tolist(), strict=True)) == [
        ("total", -97 * sign),
        ("a", -100 * sign),
        ("other", 3 * sign),
    ]
