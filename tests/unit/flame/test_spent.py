"""What spans spent by function and by node: against dictionaries, recursion once, spans without samples, alignment."""

from collections import defaultdict

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from correlate.errors import BadInput
from correlate.flame.spent import OWN, aligned, by_function, by_node
from correlate.flame.tree import build
from tests.support.trees import paths, symbols

SCHEMA = {"stack": pl.Int64, "value": pl.Int64, "weight": pl.Int64, "cluster": pl.Int64}
Sample = tuple[int, int, int, int]


def rows(samples: list[Sample]) -> pl.DataFrame:
    """Samples as columns: stack, value, weight, cluster."""
    return pl.DataFrame(samples, schema=SCHEMA, orient="row")


def named(stacks: list[list[str]], stack: int) -> list[str]:
    """The frames of a stack id as the tables name them."""
    if stack > len(stacks):
        return ["[unknown]"]
    return (stacks[stack - 1] if stack else []) or ["[no stack]"]


samples_of = st.lists(st.tuples(st.integers(0, 14), st.integers(0, 1000), st.integers(1, 3), st.integers(0, 3)))


@given(paths, samples_of)
def test_sums_by_function_equal_those_of_dictionaries(stacks: list[list[str]], samples: list[Sample]) -> None:
    """Inclusive, own, samples and calls, whatever the stacks: repeated, recursive, unknown, empty."""
    spent = by_function(rows(samples), 4, symbols(stacks))
    inclusive: dict[tuple[int, str], int] = defaultdict(int)
    own: dict[tuple[int, str], int] = defaultdict(int)
    hits: dict[str, int] = defaultdict(int)
    calls: dict[tuple[str, str | None], int] = defaultdict(int)
    for stack, value, weight, cluster in samples:
        names = named(stacks, stack)
        own[cluster, names[-1]] += value
        for name in set(names):
            inclusive[cluster, name] += value
            hits[name] += weight
            after = names[len(names) - names[::-1].index(name) :]
            calls[name, after[0] if after else None] += value
    names = spent.names.to_list()
    for matrix, expected in ((spent.inclusive.toarray(), inclusive), (spent.own.toarray(), own)):
        assert all(
            matrix[span, column] == expected[span, name] for span in range(4) for column, name in enumerate(names)
        )
    assert [hits[name] for name in names] == spent.samples.tolist()
    assert sum(weight for _, _, weight, _ in samples) == spent.sample_count
    assert {
        (names[caller], None if callee == OWN else names[callee]): value
        for caller, callee, value in zip(spent.caller, spent.callee, spent.calls, strict=True)
    } == dict(calls)


@given(paths, samples_of)
def test_nodes_add_up_to_the_tree(stacks: list[list[str]], samples: list[Sample]) -> None:
    """The columns of nodes, summed over spans, are the totals and own values of the same tree."""
    table = rows(samples)
    tree, spent = by_node(table, 4, symbols(stacks))
    whole = build(symbols(stacks), *(table[name].to_numpy() for name in ("stack", "value", "weight")))
    assert tree.name.to_list() == whole.name.to_list()
    assert spent.inclusive.sum(axis=0).tolist() == whole.total.tolist()
    assert spent.own.sum(axis=0).tolist() == whole.self.tolist()
    assert whole.samples is not None
    assert spent.samples.tolist() == whole.samples.tolist()


def test_a_span_without_samples_is_a_row_of_zeros() -> None:
    """It counts as evidence of having spent nothing."""
    spent = by_function(rows([(1, 5, 1, 2)]), 4, symbols([["a"]]))
    assert len(spent) == 4
    assert spent.total.tolist() == [0, 0, 5, 0]


def test_no_samples_at_all() -> None:
    """Spans of which the profiler saw nothing are a table without columns."""
    spent = by_function(rows([]), 3, symbols([["a"]]))
    assert (len(spent), len(spent.names), spent.sample_count) == (3, 0, 0)


@pytest.mark.parametrize("cluster", [-1, 4])
def test_samples_of_other_spans_are_refused(cluster: int) -> None:
    """A number that is no span's would add its samples to nothing."""
    with pytest.raises(BadInput, match="not among the 4"):
        by_function(rows([(1, 5, 1, cluster)]), 4, symbols([["a"]]))


def test_aligned_tables_have_the_same_columns() -> None:
    """Functions of either side, sorted; what a side does not have is zero there."""
    left = by_function(rows([(1, 5, 1, 0)]), 1, symbols([["b", "d"]]))
    right = by_function(rows([(1, 7, 1, 1)]), 2, symbols([["a", "b"]]))
    left, right = aligned(left, right)
    assert left.names.to_list() == right.names.to_list() == ["a", "b", "d"]
    assert left.inclusive.toarray().tolist() == [[0, 5, 5]]
    assert right.inclusive.toarray().tolist() == [[0, 0, 0], [7, 7, 0]]
    assert (right.by_stack @ right.touched).toarray().tolist() == right.inclusive.toarray().tolist()
    assert sorted(zip(left.caller.tolist(), left.callee.tolist(), strict=True)) == [(1, 2), (2, OWN)]
    assert np.array_equal(right.samples, [1, 1, 0])
