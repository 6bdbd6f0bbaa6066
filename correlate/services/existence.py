"""Whether the spans that samples name still exist: in the lake, or in a system that holds traces."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from correlate.model.ids import TraceId
from correlate.model.queries import TimeRange
from correlate.ports import Lake

_KEY: Final = ["trace_hi", "trace_lo", "span"]
_MOST_RANKED: Final = 10_000
_MOST_ASKED: Final = 20
_MISSING, _ALIVE, _DEAD, _UNRESOLVED = range(4)

States = npt.NDArray[np.int8]


class Brings(Protocol):
    """What fetches traces: `services.on_demand.Fetching`."""

    def bring(self, trace: TraceId, wait_s: float) -> list[str] | None:
        """Take a trace into the lake from who has it; see `Fetching.bring`."""
        ...


@dataclass(frozen=True, slots=True)
class Checked:
    """What became of a ranking of spans, looked at from its top until enough were found.

    Attributes:
        rows: the rows of spans that exist, in order, with the trace they are in.
        checked: how many spans were looked at.
        dead: how many of them exist nowhere.
        unresolved: how many more could not be looked for, because who might have them did not answer.
        notes: what went wrong, one sentence each.
    """

    rows: pl.DataFrame
    checked: int
    dead: int
    unresolved: int
    notes: tuple[str, ...]

    @property
    def dead_share(self) -> float | None:
        """The share of links to these spans that would lead nowhere; None when none was looked at."""
        return self.dead / self.checked if self.checked else None


class Existence:
    """Tells spans that exist from names of spans that do not."""

    def __init__(
        self,
        lake: Lake,
        fetch: Brings,
        *,
        wait_s: float = 5.0,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Wire it up.

        Args:
            lake: where to look first.
            fetch: asks other systems.
            wait_s: longest time that all questions to other systems together take.
            monotonic_s: seconds since any moment, never going back.
        """
        self._lake = lake
        self._fetch = fetch
        self._wait_s = wait_s
        self._monotonic_s = monotonic_s

    def check(self, ranked: pl.DataFrame, window: TimeRange, limit: int) -> Checked:
        """Go down a ranking until `limit` spans were found, or other systems were asked often or long enough.

        Args:
            ranked: columns trace_hi, trace_lo (both 0: unknown), span, and others; no more than 10,000 rows are
                looked at.
            window: when the spans may have been at work.
            limit: how many to find.
        """
        top = ranked.head(_MOST_RANKED)
        stored = self._stored(top["span"].unique(), window)
        top = with_traces(top, stored)
        exists = top.select(_KEY).join(stored.with_columns(_stored=True), on=_KEY, how="left", maintain_order="left")
        states = np.where(exists["_stored"].fill_null(value=False).to_numpy(), _ALIVE, _MISSING).astype(np.int8)
        nameless = ((top["trace_hi"] == 0) & (top["trace_lo"] == 0)).to_numpy()
        states[nameless & (states == _MISSING)] = _DEAD  # nobody can be asked for a span without its trace
        notes = self._ask(top, states, window, limit)
        return _checked(top, states, limit, notes)

    def _stored(self, spans: pl.Series, window: TimeRange) -> pl.DataFrame:
        return self._lake.span_keys(spans, window).select(_KEY).unique().sort(_KEY)

    def _ask(self, top: pl.DataFrame, states: States, window: TimeRange, limit: int) -> list[str]:
        """Ask for what is missing above the `limit`-th span that exists; writes what it learns into `states`."""
        ends_s = self._monotonic_s() + self._wait_s
        notes: list[str] = []
        for at in np.flatnonzero(states == _MISSING)[:_MOST_ASKED].tolist():
            if int((states[:at] == _ALIVE).sum()) >= limit or self._monotonic_s() >= ends_s:
                break
            trace = TraceId(int(top["trace_hi"][at]), int(top["trace_lo"][at]))
            said = self._fetch.bring(trace, ends_s - self._monotonic_s())
            if said is None:
                states[states == _MISSING] = _DEAD
                break
            row = top[at].select(_KEY)
            found = len(row.join(self._stored(row["span"], window), on=_KEY, how="semi"))
            states[at] = _ALIVE if found else _UNRESOLVED if said else _DEAD
            notes += said
        return notes


def with_traces(rows: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Give spans that were named without their trace the trace that one of that id is known in.

    Args:
        rows: columns trace_hi, trace_lo, span, and others.
        known: columns trace_hi, trace_lo, span.
    """
    once = known.unique("span", keep="first", maintain_order=True).rename({"trace_hi": "_hi", "trace_lo": "_lo"})
    nameless = (pl.col("trace_hi") == 0) & (pl.col("trace_lo") == 0)
    joined = rows.join(once.select("span", "_hi", "_lo"), on="span", how="left", maintain_order="left")
    return joined.with_columns(
        trace_hi=pl.when(nameless).then(pl.col("_hi").fill_null(0)).otherwise(pl.col("trace_hi")),
        trace_lo=pl.when(nameless).then(pl.col("_lo").fill_null(0)).otherwise(pl.col("trace_lo")),
    ).drop("_hi", "_lo")


def _checked(top: pl.DataFrame, states: States, limit: int, notes: list[str]) -> Checked:
    missing, alive = np.flatnonzero(states == _MISSING), np.flatnonzero(states == _ALIVE)
    end = int(missing[0]) if len(missing) else len(states)
    alive = alive[alive < end][:limit]
    if len(alive) == limit:
        end = int(alive[-1]) + 1
    dead = int((states[:end] == _DEAD).sum())
    unresolved = int((states[:end] == _UNRESOLVED).sum())
    return Checked(top[alive], len(alive) + dead, dead, unresolved, tuple(dict.fromkeys(notes)))
