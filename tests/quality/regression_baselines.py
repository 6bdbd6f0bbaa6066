"""What others do about series that rise, on the same series: each takes values and says whether the level is up now.

Constants are those of the rule's origin, not tuned here. Packages of the extra `quality` are used where installed.
"""

from collections.abc import Callable, Mapping

import numpy as np

from correlate.detectors.trend import F64

Rule = Callable[[F64], bool]

LEAST_RISE_RATIO = 0.05


def always(values: F64) -> bool:
    """Alert whatever comes."""
    return values.size > 0


def never(values: F64) -> bool:
    """Never alert."""
    return values.size < 0


def three_sigma(values: F64) -> bool:
    """The last point lies more than three deviations above the 30 before it."""
    before = values[-31:-1]
    return bool(values[-1] > before.mean() + 3 * before.std())


def sentry(values: F64) -> bool:
    """Sentry's function regressions: exponential means (2/21, 2/41) of hourly points 20 % apart, then Welch's test."""
    from scipy.stats import ttest_ind

    whole = values.size // 12 * 12
    hourly = values[values.size - whole :].reshape(-1, 12).mean(axis=1)
    if hourly.size < 6:
        return False
    fast, slow = _exponential(hourly, 2 / 21), _exponential(hourly, 2 / 41)
    if (fast - slow) / slow < 0.2:
        return False
    cut = hourly.size - max(hourly.size // 3, 3)
    p = ttest_ind(hourly[:cut], hourly[cut:], equal_var=False).pvalue
    return bool(p < 0.01 and hourly[cut:].mean() > 1.1 * hourly[:cut].mean())


def pelt(values: F64) -> bool:
    """PELT with penalty 3 ln n on standardised values finds a last level at least 5 % above the one before."""
    import ruptures

    noise = max(float(np.median(np.abs(np.diff(values)))) / 0.9539, 1e-9 * float(np.abs(values).max()))
    cuts = ruptures.Pelt(model="l2").fit((values / noise)[:, None]).predict(pen=3 * np.log(values.size))
    return _last_is_higher(values, [int(cut) for cut in cuts[:-1]])


def otava(values: F64) -> bool:
    """Apache Otava finds a last change (p <= 0.001) to a level at least 5 % higher."""
    from otava.analysis import compute_change_points

    # One window over all: where windows overlap, 0.8 finds the same change twice and raises ValueError.
    found, _ = compute_change_points(values, 2 * values.size, max_pvalue=0.001, min_magnitude=LEAST_RISE_RATIO)
    return _last_is_higher(values, [int(point.index) for point in found])


BASELINES: Mapping[str, tuple[Rule, str]] = {
    "always": (always, ""),
    "never": (never, ""),
    "3 sigma": (three_sigma, ""),
    "Sentry's constants": (sentry, ""),
    "PELT": (pelt, "ruptures"),
    "Otava": (otava, "otava"),
}
"""Rules by name, each with the package it needs."""


def _exponential(values: F64, part: float) -> float:
    level = float(values[0])
    for value in values[1:].tolist():
        level += part * (value - level)
    return level


def _last_is_higher(values: F64, cuts: list[int]) -> bool:
    if not cuts:
        return False
    begin = cuts[-2] if len(cuts) > 1 else 0
    return float(values[cuts[-1] :].mean()) > (1 + LEAST_RISE_RATIO) * float(values[begin : cuts[-1]].mean())
