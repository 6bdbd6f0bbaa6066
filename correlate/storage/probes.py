"""Readiness checks of the lake; all are cheap, none touches a table."""

from typing import Final

from correlate.storage.committer import Committer
from correlate.storage.location import Folder
from correlate.storage.queueing import CommitQueue

_NEARLY_FULL: Final = 0.9


class CommitterProbe:
    """Whether the newest commit went well."""

    name = "lake"

    def __init__(self, committer: Committer) -> None:
        self._committer = committer

    def problem(self) -> str | None:
        """Why nothing can be committed, None when all is well."""
        if not self._committer.alive:
            return "the committer is not running"
        return self._committer.last_problem


class QueueProbe:
    """Whether there is room in the queue."""

    name = "queue"

    def __init__(self, queue: CommitQueue) -> None:
        self._queue = queue

    def problem(self) -> str | None:
        """How full the queue is when it is nearly full, None otherwise."""
        fullness = self._queue.fullness
        return f"the commit queue is {fullness:.0%} full" if fullness >= _NEARLY_FULL else None


class DiskProbe:
    """Whether there is room on the disk."""

    name = "disk"

    def __init__(self, folder: Folder, min_free_bytes: int) -> None:
        self._folder = folder
        self._min_free_bytes = min_free_bytes

    def problem(self) -> str | None:
        """How little room is left when it is too little, None otherwise."""
        try:
            free = self._folder.free_bytes()
        except OSError as error:
            return f"the lake's folder cannot be looked at: {error}"
        if free is None or free >= self._min_free_bytes:
            return None
        return f"only {free >> 20} MiB are free where the lake lives, {self._min_free_bytes >> 20} MiB are wanted"
