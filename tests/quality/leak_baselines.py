"""What others do about leaks, on the same series: each takes a series and says whether to alert.

Constants are those of the rule's origin, not tuned here. Packages of the extra `quality` are used where installed.
"""

from collections.abc import Callable, Mapping
from importlib.util import find_spec

import numpy as np
import numpy.typing as npt

from correlate.detectors.leak import MemorySeries, judge_baseline
from correlate.detectors.leak_series import per_instance

F64 = npt.NDArray[np.float64]
Rule = Callable[[MemorySeries], bool]

LEAST_RISE_RATIO = 0.05


def always(series: MemorySeries) -> bool:
    """Alert whatever comes."""
    return series.time_ns.size > 0


def never(series: MemorySeries) -> bool:
    """Never alert."""
    return series.time_ns.size < 0


def three_sigma(series: MemorySeries) -> bool:
    """The last ten minutes lie more than three deviations above everything before."""
    value = _known(series)
    return value.size > 60 and float(value[-10:].mean()) > float(value[:-10].mean() + 3 * value[:-10].std())


def least_squares(series: MemorySeries) -> bool:
    """More than 10 % growth in the last hour, by a line through it: the rule of Coroot, as far as it is known."""
    value = _known(series)[-60:]
    if value.size < 48:
        return False
    slope, level = np.polyfit(np.arange(value.size), value, 1)
    return bool(slope * value.size > 0.10 * level)


def mann_kendall(series: MemorySeries) -> bool:
    """Mann-Kendall p < 5e-4 and Sen's slope of at least 5 % a day on means of ten minutes."""
    value = _ten_minutes(series)
    if value.size < 12:
        return False
    rows, columns = np.triu_indices(value.size, 1)
    rise = value[columns] - value[rows]
    n = value.size
    z = (np.sign(rise).sum() - 1) / np.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    per_day = float(np.median(rise / (columns - rows))) * 144
    return bool(z > 3.29 and per_day > LEAST_RISE_RATIO * np.median(value))


def hamed_rao(series: MemorySeries) -> bool:
    """The same with pymannkendall's correction for autocorrelation."""
    import pymannkendall

    value = _ten_minutes(series)
    if value.size < 12:
        return False
    result = pymannkendall.hamed_rao_modification_test(value)
    return bool(result.z > 3.29 and result.slope * 144 > LEAST_RISE_RATIO * np.median(value))


def otava(series: MemorySeries) -> bool:
    """Apache Otava finds a change (p <= 0.001) to a level at least 5 % higher."""
    from otava.analysis import compute_change_points

    value = _ten_minutes(series)
    if value.size < 12:
        return False
    # A list, not an array: with arrays 0.8 compares change points by their values and raises.
    points, _ = compute_change_points(value.tolist(), window_len=50, max_pvalue=0.001, min_magnitude=LEAST_RISE_RATIO)
    return any(_rises(value, 0, int(point.index)) for point in points)


def pelt(series: MemorySeries) -> bool:
    """PELT with penalty 3 ln n on standardised values finds a last level at least 5 % above the first."""
    import ruptures

    value = _ten_minutes(series)
    if value.size < 12:
        return False
    noise = max(float(np.median(np.abs(np.diff(value)))) / 0.9539, 1.0)
    cuts = ruptures.Pelt(model="l2").fit((value / noise)[:, None]).predict(pen=3 * np.log(value.size))
    return len(cuts) > 1 and float(value[cuts[-2] :].mean()) > (1 + LEAST_RISE_RATIO) * float(value[: cuts[0]].mean())


def half_above_start(series: MemorySeries) -> bool:
    """Memory is 50 % above its start."""
    return judge_baseline(series, 0.5) is not None


BASELINES: Mapping[str, tuple[Rule, str]] = {
    "always": (always, ""),
    "never": (never, ""),
    "3 sigma": (three_sigma, ""),
    "OLS 10 %/h (Coroot-like)": (least_squares, ""),
    "50 % above start": (half_above_start, ""),
    "Mann-Kendall + Sen": (mann_kendall, ""),
    "Hamed-Rao + Sen": (hamed_rao, "pymannkendall"),
    "Otava": (otava, "otava"),
    "PELT": (pelt, "ruptures"),
}
"""Rules by name, each with the package it needs."""


def installed(package: str) -> bool:
    """Whether a baseline can run here."""
    return not package or find_spec(package) is not None


def _known(series: MemorySeries) -> F64:
    value = per_instance(series)
    return value[np.isfinite(value)]


def _ten_minutes(series: MemorySeries) -> F64:
    """Means of ten points of a minute each."""
    value = _known(series)
    whole = value.size // 10 * 10
    result: F64 = value[value.size - whole :].reshape(-1, 10).mean(axis=1)
    return result


def _rises(value: F64, begin: int, cut: int) -> bool:
    return float(value[cut:].mean()) > (1 + LEAST_RISE_RATIO) * float(value[begin:cut].mean())
