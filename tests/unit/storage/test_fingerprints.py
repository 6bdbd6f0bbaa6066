"""Telling row groups with an id from those without."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from correlate.storage.fingerprints import Fingerprints
from correlate.storage.index import read_footer
from correlate.storage.layout import LAYOUTS
from correlate.storage.location import open_folder
from correlate.storage.parquet import write_file
from tests.support.store import many_spans


@pytest.mark.parametrize("max_bytes", [0, 1 << 20])
def test_no_row_group_with_the_id_is_left_out(tmp_path: Path, max_bytes: int) -> None:
    """Whatever is remembered or dropped; ids that are nowhere are found nowhere."""
    folder = open_folder(str(tmp_path))
    rows = [many_spans(50, seed) for seed in range(3)]
    footers = []
    for number, frame in enumerate(rows):
        write_file(folder, LAYOUTS["spans"], f"{number}.parquet", 0, frame)
        footers.append(read_footer(folder, f"{number}.parquet"))
    fingerprints = Fingerprints(folder, "trace_lo", max_bytes=max_bytes)
    for _ in range(2):
        for footer, frame in zip(footers, rows, strict=True):
            for trace in frame["trace_lo"].unique().to_list():
                assert fingerprints.holding(footer, [0], trace) == [0]
                assert fingerprints.holding(footer, [0], trace ^ 1) == []


def test_a_warm_answer_reads_nothing(tmp_path: Path) -> None:
    """The file may even be gone."""
    folder = open_folder(str(tmp_path))
    frame = many_spans(50, 1).with_columns(trace_lo=pl.Series(np.arange(50)))
    write_file(folder, LAYOUTS["spans"], "x.parquet", 0, frame)
    footer = read_footer(folder, "x.parquet")
    fingerprints = Fingerprints(folder, "trace_lo", max_bytes=1 << 20)
    fingerprints.holding(footer, [0], 7)
    (tmp_path / "x.parquet").unlink()
    assert fingerprints.holding(footer, [0], 8) == [0]
    assert fingerprints.holding(footer, [0], -1) == []
