"""Keeping the lake in shape from many machines: one at a time does it."""

from collections.abc import Callable
from typing import Final, Protocol

from correlate.ports import Leases
from correlate.services.pulling import HeldLease, LostLease

_LEASE_S: Final = 60.0
_NAME: Final = "maintenance"


class Maintained(Protocol):
    """What can be kept in shape."""

    def compact(self) -> object:
        """Merge small files."""
        ...

    def expire(self) -> object:
        """Drop what is too old."""
        ...


class Upkeep:
    """Runs maintenance under a lease, so that of many workers one does it."""

    def __init__(self, maintained: Maintained, leases: Leases, holder: str) -> None:
        self._maintained = maintained
        self._leases = leases
        self._holder = holder

    def compact(self) -> bool:
        """Merge small files; False when another process is at it.

        Raises:
            StoreError: a table or the state database failed.
        """
        return self._alone(self._maintained.compact)

    def expire(self) -> bool:
        """Drop what is too old; False when another process is at it.

        Raises:
            StoreError: a table or the state database failed.
        """
        return self._alone(self._maintained.expire)

    def _alone(self, work: Callable[[], object]) -> bool:
        lease = self._leases.acquire(_NAME, self._holder, _LEASE_S)
        if lease is None:
            return False
        held = HeldLease(self._leases, lease, _LEASE_S)
        try:
            with held.renewed():
                work()
                held.check()
        except LostLease:
            return False
        finally:
            self._leases.release(lease)
        return True
