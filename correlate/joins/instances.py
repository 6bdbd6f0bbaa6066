"""Which process a series comes from, by a name that stays the same over time, and which release it runs."""

from functools import reduce
from typing import Final

import polars as pl

from correlate.joins.process import IDENTITIES
from correlate.tables.hashing import hash_text

_VERSION: Final = ("service.version", "service_version", "version")


def instances(series: pl.DataFrame) -> pl.DataFrame:
    """Name the process of each series by the strongest of `IDENTITIES` that its labels have.

    Other than `process.identify` this asks one side only, so that the answer of today fits that of yesterday: spans and
    samples of a process meet where both say the same of it.

    Args:
        series: SERIES rows, each series once.

    Returns:
        Columns series, instance (a hash, never 0; that of the service where the labels tell nothing), instance_name
        and version ("" where not known).
    """
    keys = [alias for _, parts in IDENTITIES for aliases in parts for alias in aliases]
    wide = _wide(series, dict.fromkeys((*keys, *_VERSION)))
    whole = [pl.concat_str([pl.coalesce(aliases) for aliases in parts], separator="/") for _, parts in IDENTITIES]
    named = wide.select(
        "series",
        instance_name=pl.coalesce(whole).fill_null(""),
        version=pl.coalesce(_VERSION).fill_null(""),
        text=pl.concat_str("service", pl.coalesce(whole).str.to_lowercase().fill_null(""), separator="\n"),
    )
    return named.select(
        "series", "instance_name", "version", instance=pl.Series(hash_text(named["text"])) | pl.lit(1, pl.Int64)
    )


def _wide(series: pl.DataFrame, keys: dict[str, None]) -> pl.DataFrame:
    """One column for each key, null where a series does not have it."""
    labels = series.select("series", "labels").explode("labels").drop_nulls("labels").unnest("labels")
    known = labels.filter(pl.col("value") != "")
    columns = (
        known.filter(pl.col("key") == key).unique("series").select("series", pl.col("value").alias(key)) for key in keys
    )
    return reduce(lambda found, column: found.join(column, on="series", how="left"), columns, series)
