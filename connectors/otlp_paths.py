"""Which files a tail follows: those that patterns match, and those it knows that were renamed since."""

import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from glob import iglob
from pathlib import Path

Identity = tuple[int, int]
"""Device and inode: what a file keeps when it is renamed."""


@dataclass(frozen=True, slots=True)
class Found:
    """A file.

    Attributes:
        path: where it is.
        identity: which it is.
        count_bytes: how long it is.
        changed_ns: when it was written, renamed or moved here for the last time, nanoseconds since the Unix epoch.
        renamed: whether no pattern matches it, and it is here because it was followed under another name.
    """

    path: Path
    identity: Identity
    count_bytes: int
    changed_ns: int
    renamed: bool = False


def find(patterns: Sequence[str], known: Mapping[Identity, Path]) -> list[Found]:
    """All files, each once, those that were changed first come first. Other things than files are left out.

    Args:
        patterns: paths, in which ``*`` and ``?`` stand for parts of names and ``**`` for folders.
        known: files that are followed, and where they were.
    """
    matched = {each.identity: each for each in _looked_at(_names(patterns))}
    missing = {identity: path for identity, path in known.items() if identity not in matched}
    folders = {path.parent for path in missing.values()}
    moved = [each for folder in folders for each in _renamed(folder, missing)]
    return sorted([*matched.values(), *moved], key=lambda each: (each.changed_ns, each.path))


def identity_of(status: os.stat_result) -> Identity:
    """Which file it is."""
    return status.st_dev, status.st_ino


def _names(patterns: Sequence[str]) -> Iterator[str]:
    for pattern in patterns:
        yield from iglob(pattern, recursive=True)  # noqa: PTH207  pathlib's patterns cannot be absolute


def _renamed(folder: Path, missing: Mapping[Identity, Path]) -> list[Found]:
    inodes = {inode for _, inode in missing}
    try:
        with os.scandir(folder) as entries:
            paths = [entry.path for entry in entries if entry.inode() in inodes]
    except OSError:
        return []
    return [each for each in _looked_at(paths, renamed=True) if each.identity in missing]


def _looked_at(paths: Iterable[str], *, renamed: bool = False) -> Iterator[Found]:
    for path in paths:
        try:
            status = os.stat(path)  # noqa: PTH116  there may be thousands
        except OSError:
            continue  # it is gone since it was listed, or leads nowhere
        if stat.S_ISREG(status.st_mode):
            changed_ns = max(status.st_mtime_ns, status.st_ctime_ns)
            yield Found(Path(path), identity_of(status), status.st_size, changed_ns, renamed)
