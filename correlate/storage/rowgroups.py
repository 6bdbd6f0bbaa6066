"""Reading Parquet files: single row groups, when their footers are already in memory, or whole files in one scan."""

from collections.abc import Iterable, Sequence
from typing import Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from correlate.errors import StoreError
from correlate.storage.index import Footer, read_footer
from correlate.storage.location import Folder

Rows = pl.DataFrame | pl.LazyFrame

_MANY_GROUPS: Final = 32  # from here on reading with several threads pays


def read_columns(folder: Folder, paths: Iterable[str], columns: Sequence[str]) -> pl.DataFrame:
    """Some columns of whole files.

    Raises:
        StoreError: a file cannot be read.
    """
    frames = []
    for path in paths:
        footer = read_footer(folder, path)
        groups = list(range(footer.metadata.num_row_groups))
        frames.append(read_row_groups(folder, footer, groups, columns))
    return pl.concat(frames) if frames else pl.DataFrame(schema=dict.fromkeys(columns, pl.Int64))


def read_row_groups(folder: Folder, footer: Footer, groups: list[int], columns: Sequence[str]) -> pl.DataFrame:
    """Some columns of some row groups of a file.

    Raises:
        FileNotFoundError: the file is gone.
    """
    return to_frame(read_table(folder, footer, groups, columns)).select(columns)


def read_table(folder: Folder, footer: Footer, groups: list[int], columns: Sequence[str]) -> pa.Table:
    """Some columns of some row groups of a file, as they are in the file.

    Raises:
        FileNotFoundError: the file is gone.
    """
    many = len(groups) > _MANY_GROUPS
    with folder.open_input(footer.path) as source:
        file = pq.ParquetFile(source, metadata=footer.metadata)
        return file.read_row_groups(groups, columns=list(columns), use_threads=many)


def scan(folder: Folder, path: str) -> pl.LazyFrame:
    """The rows of a file on a local disk; what is asked of them is pushed down into reading."""
    return pl.scan_parquet(f"{folder.path}/{path}", glob=False, hive_partitioning=False, cache=False)


def collect(rows: Rows) -> pl.DataFrame:
    """What a scan finds, in bounded memory but for the answer; rows that were read already as they are.

    Raises:
        FileNotFoundError: the file is gone.
        StoreError: it is damaged.
    """
    if isinstance(rows, pl.DataFrame):
        return rows
    try:
        return rows.collect(engine="streaming")
    except pl.exceptions.ComputeError as error:
        raise StoreError(f"a file is damaged: {error}") from error


def to_frame(table: pa.Table) -> pl.DataFrame:
    """The same rows for Polars."""
    return pl.DataFrame(pl.from_arrow(table))
