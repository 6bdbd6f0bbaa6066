"""Threads by id, or by name where ids are of two kinds."""

import numpy as np
import polars as pl

from correlate.joins import threads
from correlate.tables.hashing import hash_one
from correlate.tables.schema import ATTRIBUTES, KIND_STRING
from tests.support.rows import spans


def named(key: str, value: str) -> list[dict[str, object]]:
    """One attribute as a list."""
    return [{"key": key, "value": value, "kind": KIND_STRING}]


def rows(process: list[int], thread: list[int]) -> pl.DataFrame:
    """Columns process and thread."""
    return pl.DataFrame({"process": process, "thread": thread}, schema={"process": pl.Int64, "thread": pl.Int64})


def hashes(*names: str) -> np.ndarray:
    """Hashes of names, 0 for the empty one."""
    return np.array([hash_one(name) for name in names], np.int64)


def test_names_are_found_among_attributes_and_labels() -> None:
    """Spans carry thread.name, series thread_name; without one the name is 0."""
    some = spans({"span": 1, "attributes": named("thread.name", "main")}, {"span": 2})
    assert threads.span_names(some).tolist() == [hash_one("main"), 0]
    labels = pl.Series("labels", [named("thread_name", "main"), named("pod", "main")], dtype=ATTRIBUTES)
    series = pl.DataFrame({"series": [9, 3], "labels": labels})
    samples = pl.DataFrame({"series": [3, 9, 5, 9]})
    assert threads.sample_names(samples, series).tolist() == [0, hash_one("main"), 0, hash_one("main")]
    assert threads.sample_names(samples, series.clear()).tolist() == [0, 0, 0, 0]


def test_ids_are_taken_where_they_meet() -> None:
    """Names are not needed then."""
    keys = threads.thread_keys(rows([0, 0], [7, 8]), rows([0, 0], [8, 9]), hashes("", ""), hashes("", ""))
    assert keys.spans.tolist() == [7, 8]
    assert keys.samples.tolist() == [8, 9]


def test_names_are_taken_where_ids_do_not_meet() -> None:
    """Python's thread identities are addresses, the profiler's are the system's."""
    keys = threads.thread_keys(rows([0], [1 << 40]), rows([0, 0], [8, 9]), hashes("main"), hashes("main", "gc"))
    assert keys.spans.tolist() == [hash_one("main")]
    assert keys.samples.tolist() == [hash_one("main"), hash_one("gc")]


def test_ids_that_meet_under_other_names_are_of_two_kinds() -> None:
    """Java's thread 23 is not the system's thread 23."""
    keys = threads.thread_keys(
        rows([0, 0], [23, 24]), rows([0, 0], [23, 99]), hashes("http-1", "http-2"), hashes("gc", "http-1")
    )
    assert keys.spans.tolist() == [hash_one("http-1"), hash_one("http-2")]
    assert keys.samples.tolist() == [hash_one("gc"), hash_one("http-1")]


def test_each_process_is_judged_by_itself() -> None:
    """One may have ids, the next names, the third nothing in common."""
    keys = threads.thread_keys(
        rows([0, 1, 2], [7, 1, 1]), rows([0, 1, 2], [7, 5, 5]), hashes("", "main", "a"), hashes("", "main", "b")
    )
    assert keys.spans.tolist() == [7, hash_one("main"), 0]
    assert keys.samples.tolist() == [7, hash_one("main"), 0]


def test_nothing_gives_nothing() -> None:
    """Empty sides are no error."""
    keys = threads.thread_keys(rows([], []), rows([0], [5]), hashes(), hashes(""))
    assert keys.spans.tolist() == []
    assert keys.samples.tolist() == [0]
