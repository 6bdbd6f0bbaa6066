"""Columns of whole files in memory."""

import polars as pl

from correlate.storage.file_cache import FileCache

FRAME = pl.DataFrame({"a": range(1000)})
SIZE = int(FRAME.estimated_size())


class Reads:
    """Counts how often each file is read."""

    def __init__(self) -> None:
        self.paths: list[str] = []

    def get(self, cache: FileCache, path: str, frame: pl.DataFrame = FRAME) -> pl.DataFrame:
        """Ask a cache for a file."""

        def read() -> pl.DataFrame:
            self.paths.append(path)
            return frame

        return cache.get(path, read)


def test_a_file_is_read_once_while_there_is_room() -> None:
    """And the frame used least recently makes room for a new one."""
    cache, reads = FileCache(2 * SIZE), Reads()
    for path in ("a", "b", "a", "c", "a", "b"):
        assert reads.get(cache, path).equals(FRAME)
    assert reads.paths == ["a", "b", "c", "b"]


def test_a_frame_beyond_the_limit_is_not_kept() -> None:
    """It would push everything else out."""
    cache, reads = FileCache(SIZE), Reads()
    large = pl.concat([FRAME, FRAME])
    for path in ("a", "large", "a", "large"):
        reads.get(cache, path, large if path == "large" else FRAME)
    assert reads.paths == ["a", "large", "large"]
