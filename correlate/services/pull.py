"""Pulling a source: fetch, read, store, and only then move the watermark."""

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from correlate.errors import CorrelateError
from correlate.services.deltas import Deltas
from correlate.services.follow import Follower
from correlate.services.pull_run import Means, PullRun
from correlate.services.pulling import HeldLease, Outcome, Plan, PullEnded, PullReport, after, after_failure

_LOG: Final = logging.getLogger(__name__)
_LEASE_S: Final = 30.0
_LAST_STORE_S: Final = 10.0


class Pull:
    """Pulls sources, one window after the other. Safe to use from many threads and processes over the same books.

    A crash anywhere leaves the watermark where everything before it is stored. What is fetched again after it is
    recognised: spans by their identity, profiles by their content.
    """

    def __init__(
        self, means: Means, *, holder: str, lease_s: float = _LEASE_S, luck: Callable[[], float] = random.random
    ) -> None:
        """Wire it up.

        Args:
            means: what a pull works with.
            holder: names this process among all that share the books.
            lease_s: how long a source stays with a process that died.
            luck: a random number in [0, 1), for pauses after failures.
        """
        self.holder = holder
        self._means = means
        self._books = means.books
        self._lease_s = lease_s
        self._luck = luck
        self._stopping = threading.Event()
        self._followers: dict[str, Follower] = {}

    def stop(self) -> None:
        """End pulls under way after the payload at hand, and begin none; what was not stored comes again."""
        self._stopping.set()
        for follower in self._followers.copy().values():
            follower.stop()

    def close(self) -> None:
        """Stop, and wait until what arrived is stored."""
        self.stop()
        for follower in self._followers.copy().values():
            follower.join(_LAST_STORE_S)

    def once(self, plan: Plan) -> PullReport:
        """Pull what is due of a source, for about a minute. What goes wrong is in the report and in the status.

        A source that delivers by itself is followed from then on, if nobody does so yet.

        Raises:
            StoreError: the state database cannot be asked.
        """
        follower = self._followers.get(plan.name)
        if follower is not None and follower.alive:
            return PullReport()
        if self._stopping.is_set() or self._means.clock.now_ns() < self._books.statuses.get(plan.name).retry_at_ns:
            return PullReport(Outcome.WAITING)
        name = f"pull {plan.name}"
        lease = self._books.leases.acquire(name, self.holder, self._lease_s)
        if lease is None:
            return PullReport(Outcome.HELD, held_by=self._books.leases.holder(name))
        held = HeldLease(self._books.leases, lease, self._lease_s)
        if plan.follow is not None:
            self._followers[plan.name] = Follower(self._means, plan, held)
            self._followers[plan.name].start()
            return PullReport()
        try:
            with held.renewed():
                return self._pulled(plan, held)
        finally:
            self._books.leases.release(lease)

    def _pulled(self, plan: Plan, held: HeldLease) -> PullReport:
        run = PullRun(self._means, plan, held, Deltas(), self._stopping)
        status = self._books.statuses.get(plan.name)
        started_s = time.monotonic()
        try:
            run.run()
        except PullEnded as exc:
            return replace(run.report, outcome=exc.outcome, error=str(exc))
        except Exception as exc:  # noqa: BLE001  a defect in a connector must show in its status like any other failure
            report = replace(run.report, outcome=Outcome.FAILED, error=_words(plan, exc))
            pause_s = plan.every_s * (0.5 + self._luck())
            status = after_failure(status, report, exc, self._means.clock.now_ns(), pause_s)
        else:
            report = run.report
            status = after(status, report, self._means.clock.now_ns(), plan.parts())
        self._books.statuses.put(replace(status, last_pull_seconds=time.monotonic() - started_s))
        return report


def _words(plan: Plan, exc: Exception) -> str:
    if isinstance(exc, CorrelateError):
        _LOG.warning("pulling %s failed: %s", plan.name, exc)
        return str(exc)
    _LOG.error("pulling %s failed", plan.name, exc_info=exc)
    return f"a defect, see the log: {type(exc).__name__}: {exc}"
