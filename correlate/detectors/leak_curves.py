"""Curves of growth that slows down: what caches, allocators and moves of customers look like while they go on."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from correlate.detectors.trend import F64

_Curve = Callable[[F64], F64]

_TAUS: Final = (0.06, 0.1, 0.17, 0.28, 0.45, 0.75, 1.2)
_OFFSETS: Final = (0.003, 0.02, 0.1, 0.4)
_POWERS: Final = ((0.3, 0.01), (0.3, 0.2), (0.5, 0.01), (0.5, 0.2), (0.7, 0.01), (0.7, 0.2))
_MIDDLES: Final = (0.3, 0.45, 0.6, 0.75, 0.9, 1.0)
_WIDTHS: Final = (0.04, 0.08, 0.14)
_KINKS: Final = (0.2, 0.35, 0.5, 0.6, 0.7, 0.8)


@dataclass(frozen=True, slots=True)
class Curves:
    """A dictionary of curves, one per column.

    Attributes:
        names: k kinds: ``saturation``, ``logarithm``, ``power``, ``sigmoid``, ``kink``.
        values: n x k, each rising.
        ahead: k rises within the horizon after the last point.
        rising: k flags: the curve only makes sense with a positive factor; a kink may also be one upwards.
    """

    names: tuple[str, ...]
    values: F64
    ahead: F64
    rising: npt.NDArray[np.bool_]


def curves(age: F64, horizon: float) -> Curves:
    """The dictionary for points of some age; constants are parts of the age's span, so that any clock will do.

    Args:
        age: n ages since the start of the stratum, in any unit.
        horizon: how far ahead to look, in the same unit.
    """
    span = max(float(age.max(initial=0.0)), 1e-9)
    x, last = age / span, float(age[-1]) / span
    after = np.array([last, last + horizon / span])
    told = list(_dictionary())
    ahead = np.array([float(np.diff(curve(after))[0]) for _, curve in told])
    names = tuple(name for name, _ in told)
    rising = np.array([name != "kink" for name in names])
    return Curves(names, np.column_stack([curve(x) for _, curve in told]), ahead, rising)


def _dictionary() -> Iterator[tuple[str, _Curve]]:
    yield from (("saturation", _saturation(tau)) for tau in _TAUS)
    yield from (("logarithm", _logarithm(offset)) for offset in _OFFSETS)
    yield from (("power", _power(power, offset)) for power, offset in _POWERS)
    yield from (("sigmoid", _sigmoid(middle, width)) for middle in _MIDDLES for width in _WIDTHS)
    yield from (("kink", _kink(end)) for end in _KINKS)


def _saturation(tau: float) -> _Curve:
    return lambda x: -np.exp(-x / tau)


def _logarithm(offset: float) -> _Curve:
    return lambda x: np.log(offset + x)


def _power(power: float, offset: float) -> _Curve:
    return lambda x: (offset + x) ** power


def _sigmoid(middle: float, width: float) -> _Curve:
    return lambda x: 1 / (1 + np.exp((middle - x) / width))


def _kink(end: float) -> _Curve:
    return lambda x: np.minimum(x, end)
