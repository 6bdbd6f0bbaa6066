"""Whose a stack is: most stacks belong to one operation alone, for their first frames are its handler.

Maximum likelihood knows nothing of that and gives a little of each stack to everybody. Here it is one candidate among
others: the stack belongs to one operation alone; it belongs to all as they share the processor; or it is split as
maximum likelihood has it, less a penalty for so many free numbers (Schwarz 1978). What kind of stacks a program has is
learned from all of them together (empirical Bayes, Robbins 1956), and each is given to the candidates in proportion.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from correlate.joins.given import F64

LEARNING_ROUNDS: Final = 50
"""How often the kinds of stacks are counted; by then they stand still."""

_FREE: Final = 0.02
"""A part of a stack that counts as a free number."""

_TINY: Final = 1e-12


class Owned(NamedTuple):
    """How much of each stack each candidate gets.

    Attributes:
        weight: shape (stacks, operations + 2): one operation alone, all as they share, split by likelihood.
        kinds: how frequent each candidate is among stacks, adds up to 1.
    """

    weight: F64
    kinds: F64


@dataclass(frozen=True)
class Candidates:
    """What each candidate says about where the hits of a stack fall.

    Attributes:
        alone: logarithm of the part that falls in each window, shape (operations + 1, windows).
        split: the same for the split by likelihood, shape (windows, stacks).
        parts: part of the hits that each operation gets, shape (operations + 1, operations).
        split_parts: the same for the split by likelihood, shape (stacks, operations).
    """

    alone: F64
    split: F64
    parts: F64
    split_parts: F64

    @classmethod
    def of(cls, scaled: F64, rate: F64, weights: F64) -> "Candidates":
        """Work out what each candidate expects.

        Args:
            scaled: seconds times the scale of the window, shape (windows, operations).
            rate: hits per second of highest likelihood, shape (operations, stacks).
            weights: how often each window counts, shape (windows,).
        """
        heard = weights @ scaled
        ways = np.vstack([np.eye(len(rate)), rate.sum(axis=1)])
        return cls(
            alone=_log_parts((ways @ scaled.T).T, weights).T,
            split=_log_parts(scaled @ rate, weights),
            parts=_parts(ways * heard),
            split_parts=_parts(rate.T * heard),
        )

    def weigh(self, hits: F64, kinds: F64 | None = None) -> Owned:
        """Judge the candidates by the hits, shape (windows, stacks); kinds are learned where they are not given."""
        total = hits.sum(axis=0)
        free = (self.split_parts > _FREE).sum(axis=1)
        split = (hits * self.split).sum(axis=0) - (free - 1) / 2 * np.log(np.maximum(total, np.e))
        fits = np.hstack([hits.T @ self.alone.T, split[:, None]])
        odds = np.exp(fits - fits.max(axis=1, keepdims=True))
        if kinds is None:
            kinds = np.full(odds.shape[1], 1 / odds.shape[1])
            for _ in range(LEARNING_ROUNDS):
                kinds = _parts(odds * kinds).mean(axis=0)
        return Owned(_parts(odds * kinds), kinds)

    def divide(self, total: F64, weight: F64) -> F64:
        """Hits by operation and stack, given the hits of each stack and how much each candidate gets."""
        parts: F64 = weight[:, :-1] @ self.parts + weight[:, -1:] * self.split_parts
        return (parts * total[:, None]).T


def _parts(amounts: F64) -> F64:
    """Make rows add up to 1."""
    return np.asarray(amounts / np.maximum(amounts.sum(axis=1, keepdims=True), 1e-300))


def _log_parts(expected: F64, weights: F64) -> F64:
    """Logarithm of the part of each column that falls in each row."""
    whole = np.maximum(weights @ expected, 1e-300)
    return np.asarray(np.log(np.maximum(expected / whole, _TINY)))
