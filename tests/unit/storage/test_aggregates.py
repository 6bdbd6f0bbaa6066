"""Sums per file, put together: what they say, and when they are worked out."""

from pathlib import Path

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from correlate.storage import aggregates
from correlate.storage.lake import LakeOptions, open_lake
from tests.support.rows import T0
from tests.support.store import FixedClock, payload

ROWS = st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 40), st.integers(1, 6)), max_size=12)


@given(ROWS)
def test_the_period_is_the_median_of_all_profiles_that_have_one(rows: list[tuple[str, int, int]]) -> None:
    """Each period counts as often as it has profiles, as if every profile were a row."""
    combined = aggregates.empty("profiles")
    given_rows = pl.DataFrame(rows, schema=["service", "period", "profile_count"], orient="row").with_columns(
        type=pl.lit("cpu")
    )
    combined = pl.concat(
        [combined, given_rows.cast({"period": pl.Int64, "profile_count": pl.Int64})], how="diagonal_relaxed"
    )
    found = aggregates.profile_types(combined)
    every = [(service, period) for service, period, count in rows for _ in range(count) if period]
    for service, period in found.select("service", "period").rows():
        mine = pl.Series([p for s, p in every if s == service], dtype=pl.Int64)
        assert period == int(mine.median() or 0)  # type: ignore[arg-type]


def test_answers_are_kept_until_files_change(tmp_path: Path) -> None:
    """Asked twice, the same frame; after a commit, a new one."""
    with open_lake(str(tmp_path), options=LakeOptions(linger_s=0.0), clock=FixedClock(T0)) as lake:
        lake.submit(payload(2)).result(30)
        types, operations = lake.profile_types(), lake.operations()
        assert lake.profile_types() is types
        assert lake.operations() is operations
        lake.submit(payload(4)).result(30)
        assert lake.profile_types()["profile_count"].sum() == types["profile_count"].sum() + 1
        assert lake.operations()["span_count"].sum() == operations["span_count"].sum() + 1
