"""Deleting files that no table version needs any more, a while after they stopped being needed."""

from typing import Final

from correlate.storage.delta_log import DeltaLog

_KEPT: Final = "_delta_log/"


class Vacuum:
    """Watches one table's folder for files that are not part of the table.

    A file is deleted when it was last written, and first seen to be unneeded, longer ago than the grace period: so
    readers in flight finish, and a file whose commit is still to come stays. Files a crash left behind go the same way.
    """

    def __init__(self, log: DeltaLog, grace_ns: int) -> None:
        self._log = log
        self._grace_ns = grace_ns
        self._unneeded_since_ns: dict[str, int] = {}

    def run(self, now_ns: int) -> int:
        """Look once, and delete what is due. Returns how many files were deleted."""
        found = [file for file in self._log.folder.files() if not file.path.startswith(_KEPT)]
        # Listed first, then looked up: a file that is committed in between is known to the newest version.
        active = self._log.snapshot(newest=True).files
        unneeded = {file.path: file for file in found if file.path not in active}
        since = {path: self._unneeded_since_ns.get(path, now_ns) for path in unneeded}
        due = [path for path, file in unneeded.items() if now_ns - max(since[path], file.modified_ns) >= self._grace_ns]
        self._unneeded_since_ns = {path: seen for path, seen in since.items() if path not in set(due)}
        return self._log.folder.delete(due)
