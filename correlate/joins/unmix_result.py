"""The solved system: profiles of operations, whose each sample is, and why some operations cannot be told apart."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from correlate.joins.given import F64, I64, Refused
from correlate.joins.steps import Codes
from correlate.joins.unmix_design import MOST_LUMPED, Activity, Design
from correlate.joins.unmix_draws import CAUTION, draw, reach
from correlate.joins.unmix_estimate import Estimate
from correlate.joins.unmix_owners import Owned
from correlate.joins.unmix_solve import Fit
from correlate.joins.unmix_stacks import Counts, added

LEAST_HITS: Final = 30.0
"""With fewer hits of its own an operation has no profile."""

MOST_ERROR: Final = 0.3
"""Above this error bound an answer would be a guess."""

MOST_FOLLOWED: Final = 0.9
"""Largest part of the variation of an operation's activity that may follow from that of the others."""

SATURATED: Final = 0.02
"""Where the time at work of all operations together varies by less than this part, a pool is always busy."""

FALL_BACK: Final = "sharing windows out by active time still works"

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Unmixed:
    """The solved system of one service and profile type.

    Every unit of value belongs to an operation or to the background: nothing is added and nothing is lost.

    Attributes:
        activity: when each operation was at work, in the windows of `counts`.
        design: what was solved for.
        counts: what was seen.
        fit: the solution of highest likelihood.
        owned: whose the stacks are, in view of it.
        seed: what bootstrap draws depend on.
        names: what people call the operations, by code.
    """

    activity: Activity
    design: Design
    counts: Counts
    fit: Fit
    owned: Owned
    seed: int = 0
    names: Mapping[int, str] = field(default_factory=dict)

    @property
    def operations(self) -> I64:
        """Codes of the operations that were at work, sorted."""
        return self.activity.operations

    @property
    def stacks(self) -> I64:
        """Stack ids, sorted; values of estimates are in this order."""
        return self.counts.stacks

    @cached_property
    def background(self) -> F64:
        """Value by stack of what goes on whatever the operations do."""
        part = np.zeros_like(self.design.columns)
        part[:, -1] = 1.0
        return self._value(self._share(part))

    def estimate(self, operations: I64) -> Estimate | Refused:
        """The profile of some operations taken together.

        Args:
            operations: codes; those that were not at work add nothing.
        """
        chosen = np.isin(self.operations, operations)
        if not chosen.any():
            return Refused("none of these spans was at work in a window of the profiler")
        part = self._part(chosen)
        share = self._share(part)
        value = self._value(share)
        hits = float((value * self.counts.hits_per_value).sum())
        if hits < LEAST_HITS:
            return Refused(f"about {hits:.0f} samples fall to {self._called(chosen)}, too few for a profile of its own")
        unclear = self._lumped(chosen) or self._shadowed(chosen)
        if unclear:
            return Refused(unclear)
        count = len(self.counts.windows)
        draws = self._drawn(part)
        bound = min(self._bound(draws, value) + self._pooled(share) / hits, 1.0)
        if bound > MOST_ERROR:
            return Refused(
                f"{count} windows with about {hits:,.0f} samples of {self._called(chosen)} are not enough: "
                f"{bound:.0%} of its profile may be in the wrong place; {FALL_BACK}"
            )
        return Estimate(
            operations=self.operations[chosen],
            value=value,
            hits=hits,
            error_bound=bound,
            windows=count,
            reason=f"unmixed from {count} windows in which the load varied: about {hits:,.0f} samples, "
            f"{bound:.0%} of the profile may be in the wrong place",
            draws=draws,
            atom=self.counts.atom[self.counts.column],
            reach=reach(*self.design.columns.shape),
        )

    def shares(self, operations: I64, window: I64, stack: I64) -> F64:
        """The part of the value of some stacks in some windows, 0 to 1, that belongs to some operations.

        Args:
            operations: codes.
            window: window codes.
            stack: stack ids, the same length; the share of what was never seen is 0.
        """
        share = self._share(self._part(np.isin(self.operations, operations)))
        row, at = Codes(self.counts.windows).code(window), Codes(self.counts.stacks).code(stack)
        return np.where((row >= 0) & (at >= 0), share[row, self.counts.column[at]], 0.0)

    def _part(self, chosen: Bools) -> F64:
        """The part of each column's activity that is the chosen operations', shape (windows, columns)."""
        columns = self.design.columns
        mine = added(self.activity.seconds[:, chosen], self.design.column_of[chosen])
        mine = np.hstack([mine, np.zeros((len(mine), columns.shape[1] - mine.shape[1]))])
        return _ratio(mine, columns)

    def _share(self, part: F64) -> F64:
        """The part of the hits of each cell that belongs to a part of each column, shape (windows, stack columns)."""
        columns, rate, weight = self.design.columns, self.fit.rate, self.owned.weight
        alone: F64 = part @ weight[:, :-2].T
        together = _ratio((columns * part) @ rate.sum(axis=1), columns @ rate.sum(axis=1))
        split = _ratio((columns * part) @ rate, columns @ rate)
        shared: F64 = alone + together[:, None] * weight[:, -2] + split * weight[:, -1]
        return shared

    def _value(self, share: F64) -> F64:
        """Value by stack, given the share of each cell."""
        counts = self.counts
        rest = counts.column == share.shape[1] - 1
        single = (counts.hits * share).sum(axis=0)[counts.column] / counts.hits_per_value
        pooled: F64 = counts.value.T @ share[:, -1]
        return np.where(rest, pooled, single)

    @cached_property
    def _draws(self) -> F64:
        """Hits by draw, column and atom."""
        scaled: F64 = self.design.columns * self.fit.scale[:, None]
        hits, rate = self.counts.coarse(), added(self.fit.rate, self.counts.atom)
        return draw(scaled, hits, rate, self.owned, self.seed)

    def _drawn(self, part: F64) -> F64:
        """Value by draw and atom of a part of each column."""
        spent = self.design.columns.sum(axis=0)
        chosen = _ratio((part * self.design.columns).sum(axis=0), spent)
        atom = self.counts.atom[self.counts.column]
        value = np.bincount(atom, np.asarray(self.counts.value.sum(axis=0)).ravel()).astype(np.float64)
        mine: F64 = np.einsum("c,dca->da", chosen, self._draws)
        return mine * _ratio(value, self.counts.coarse().sum(axis=0))

    def _bound(self, draws: F64, value: F64) -> float:
        """Expected error of a profile, as if what was not looked at stack by stack were as wrong as the rest."""
        share = np.bincount(self.counts.atom[self.counts.column], value, draws.shape[1]) / value.sum()
        drawn = draws / np.maximum(draws.sum(axis=1, keepdims=True), 1e-300)
        away = np.abs(drawn - share)[:, :-1].sum(axis=1).mean() / 2
        return float(CAUTION * away / max(1 - share[-1], 0.1))

    def _pooled(self, share: F64) -> float:
        """Hits of rare stacks, shared out by window, that are expected to be somebody else's."""
        last = share[:, -1]
        return float((self.counts.hits[:, -1] * last * (1 - last)).sum())

    def _lumped(self, chosen: Bools) -> str | None:
        """Why some operations were not told from the others, if they were too little at work for that."""
        spent = self.activity.seconds.sum(axis=0)
        apart = ~self.design.lumped[chosen]
        if spent[chosen][apart].sum() >= (1 - MOST_LUMPED) * spent[chosen].sum():
            return None
        return (
            f"{self._called(chosen)} was at work for {spent[chosen].sum() / spent.sum():.2%} of the time of all "
            f"operations, too little to be told from the others in {len(self.counts.windows)} windows; {FALL_BACK}"
        )

    def _shadowed(self, chosen: Bools) -> str | None:
        """Why some operations cannot be told from the others, if their activity follows from that of the others."""
        mine, others = self.activity.seconds[:, chosen].sum(axis=1), self.activity.seconds[:, ~chosen]
        columns = self._columns_without(chosen)
        follows = _added_up(mine, columns) if self._is_saturated else _followed(mine, columns)
        if follows <= MOST_FOLLOWED or not others.shape[1]:
            return None
        likeness = [_correlation(mine, other) for other in others.T]
        closest = int(np.argmax(likeness))
        return (
            f"{len(mine)} windows do not tell {self._called(chosen)} from the others: when it was at work follows from "
            f"when they were, most of all {self._name(int(self.operations[~chosen][closest]))} (correlation "
            f"{likeness[closest]:.2f}); {FALL_BACK}"
        )

    @property
    def _is_saturated(self) -> bool:
        """Whether all operations together are at work for the same time in every window: a pool that is always busy.

        Then each of them follows from the others, as what they leave. That confuses nothing: rates cannot be negative,
        so a stack cannot move from one operation to all others at once.
        """
        part = self.activity.seconds.sum(axis=1) / self.design.columns[:, -1]
        return float(part.std()) <= SATURATED * float(part.mean())

    def _columns_without(self, chosen: Bools) -> F64:
        """The columns, without what the chosen operations have in them."""
        return self.design.columns * (1 - self._part(chosen))

    def _called(self, chosen: Bools) -> str:
        codes = self.operations[chosen]
        return self._name(int(codes[0])) if len(codes) == 1 else f"these {len(codes)} operations"

    def _name(self, code: int) -> str:
        return repr(self.names[code]) if code in self.names else f"operation {code}"


def _ratio(mine: F64, whole: F64) -> F64:
    """A part of something, 0 where there is nothing."""
    return np.asarray(np.divide(mine, whole, out=np.zeros_like(mine), where=whole > 0))


def _followed(mine: F64, others: F64) -> float:
    """How much of the variation of an operation's activity follows from other columns: R squared, adjusted.

    1 where it does not vary.
    """
    away, basis = mine - mine.mean(), others - others.mean(axis=0)
    varied = float((away**2).sum())
    if varied <= (1e-9 * float(mine.sum())) ** 2:
        return 1.0
    rest = away - basis @ np.linalg.lstsq(basis, away, rcond=None)[0]
    free = max(len(mine) - 1 - int(np.linalg.matrix_rank(basis)), 1)
    return 1 - float((rest**2).sum()) / varied * (len(mine) - 1) / free


def _added_up(mine: F64, others: F64) -> float:
    """The same for what follows from other columns by adding them up, none of them less than nothing."""
    varied = float(((mine - mine.mean()) ** 2).sum())
    if varied <= (1e-9 * float(mine.sum())) ** 2:
        return 1.0
    return 1 - float(nnls(others, mine)[1]) ** 2 / varied


def _correlation(mine: F64, other: F64) -> float:
    away, apart = mine - mine.mean(), other - other.mean()
    size = float(np.sqrt((away**2).sum() * (apart**2).sum()))
    return float((away * apart).sum()) / size if size > 0 else 0.0
