"""The identity of series."""

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from correlate.tables.schema import ATTRIBUTES, KIND_STRING
from correlate.tables.series import identify_merged, identify_series

Labels = dict[str, str]
labels = st.dictionaries(st.sampled_from("abä"), st.sampled_from(["", "1", "2"]))


def column(lists: list[Labels]) -> pl.Series:
    """Label lists in the order of the dictionaries."""
    rows = [[{"key": key, "value": value, "kind": KIND_STRING} for key, value in each.items()] for each in lists]
    return pl.Series("labels", rows, dtype=ATTRIBUTES)


def frame(lists: list[Labels]) -> pl.DataFrame:
    """Rows of one service and type."""
    named = pl.Series(["checkout"] * len(lists), dtype=pl.String)
    return pl.DataFrame([named.alias("service"), named.alias("type"), column(lists)])


@given(st.lists(labels), st.randoms())
def test_the_order_of_labels_does_not_matter(lists: list[Labels], random: object) -> None:
    """Equal label sets are one series, others are not; rows come once, labels sorted by key."""
    ids, rows = identify_series(frame(lists))
    shuffled = []
    for each in lists:
        items = list(each.items())
        random.shuffle(items)  # type: ignore[attr-defined]  # a random.Random
        shuffled.append(dict(items))
    assert identify_series(frame(shuffled))[0].tolist() == ids.tolist()
    by_id = dict(zip(rows["series"].to_list(), rows["labels"].to_list(), strict=True))
    assert [[(one["key"], one["value"]) for one in by_id[each]] for each in ids.tolist()] == [
        sorted(each.items()) for each in lists
    ]
    assert len(rows) == len({tuple(sorted(each.items())) for each in lists})


@given(st.lists(st.tuples(labels, labels), min_size=1))
def test_merging_labels_is_as_if_they_had_come_together(pairs: list[tuple[Labels, Labels]]) -> None:
    """And the first list's label wins."""
    every = np.arange(len(pairs))
    ids, _ = identify_merged(frame([one for one, _ in pairs]), column([other for _, other in pairs]), every, every)
    together, _ = identify_series(frame([other | one for one, other in pairs]))
    assert ids.tolist() == together.tolist()
