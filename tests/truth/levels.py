"""Single series of a cost per request whose truth is known: real-looking noise, with or without a lasting rise.

The recipe of Hunter (DataStax, ICPE 2023): a shift by a known factor is injected into series that already do everything
that production series do.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from correlate.detectors.trend import F64
from tests.truth.functions import ar1

POINTS = 432
NOISES = ("white", "AR(1) 0.8", "AR(1) 0.95", "daily", "deploys", "spikes")
HARMLESS = (*NOISES, "variance changes", "went away", "one outlier", "drop")
FACTORS = (1.02, 1.05, 1.1, 1.2, 1.5, 2.0)


@dataclass(frozen=True)
class Labelled:
    """A series with its truth.

    Attributes:
        shape: its noise.
        values: costs per request, five minutes each.
        factor: by which the level rose for good; 1 when it did not.
        onset: when.
        end: when the rise was over again; the number of points where it never was.
    """

    shape: str
    values: F64
    factor: float
    onset: int
    end: int = POINTS


def labelled(shape: str, seed: int, factor: float = 1.0) -> Labelled:
    """A day and a half of one series; the same seed gives the same series."""
    rng = np.random.default_rng([seed, sum(shape.encode()), round(factor * 100)])
    onset = int(rng.uniform(0.45, 0.8) * POINTS)
    values = _noise(shape, rng)
    if shape == "variance changes":
        values[onset:] = 1 + 5 * (values[onset:] - 1)
    elif shape == "went away":
        values[onset : onset + 15] *= 1.3
    elif shape == "one outlier":
        values[onset] *= 2
    elif shape == "drop":
        values[onset:] *= 0.7
    values[onset:] *= factor
    return Labelled(shape, 10e6 * np.maximum(values, 0.05), factor, onset)


def _noise(shape: str, rng: np.random.Generator) -> F64:
    white = 1 + rng.normal(0, 0.03, POINTS)
    if shape.startswith("AR(1)"):
        return np.exp(ar1(rng, POINTS, 1, float(shape.split()[1]), 0.05)[:, 0])
    if shape == "daily":
        return white * (1 + 0.15 * np.sin(2 * np.pi * (np.arange(POINTS) / 288 + rng.random())))
    if shape == "deploys":
        for at in rng.integers(0, POINTS, 5):
            after = np.arange(POINTS - at)
            white[at:] *= 1 + rng.uniform(0.2, 0.8) * np.exp(-after / 3)
    if shape == "spikes":
        white *= np.where(rng.random(POINTS) < 0.02, rng.uniform(1.5, 6, POINTS), 1)
    return white


def from_otava(shape: str, seed: int) -> Labelled:
    """A series of the package `otava-test-data`: 200 points about 100, with a deviation of 5 where it has noise."""
    import otava_test_data as source

    onset = int(np.random.default_rng([seed, sum(shape.encode())]).integers(80, 130))
    generator, told = OTAVA[shape]
    given = {name: onset if value == "onset" else value for name, value in told.items()}
    if shape == "two steps":
        given["change_indices"] = [onset // 2, onset]
    values = np.asarray(getattr(source, generator)(length=200, seed=seed, **given).data, dtype=np.float64)
    factor = {"step": 1.15, "two steps": 115 / 90, "fixed": 1.2}.get(shape, 1.0)
    return Labelled(shape, values, factor, onset, onset + 45 if shape == "fixed" else 200)


OTAVA: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "constant": ("constant", {}),
    "normal": ("noise_normal", {}),
    "uniform": ("noise_uniform", {}),
    "outlier": ("outlier", {"outlier_index": "onset", "sigma": 5.0}),
    "variance": ("variance_change", {"change_index": "onset"}),
    "phase": ("phase_change", {"change_index": "onset", "sigma": 5.0}),
    "banding": ("banding", {"sigma": 2.0}),
    "step": ("step_function", {"value_after": 115.0, "change_index": "onset", "sigma": 5.0}),
    "two steps": ("multiple_changes", {"values": [100.0, 90.0, 115.0], "sigma": 5.0}),
    "fixed": (
        "regression_fix",
        {"value_regression": 120.0, "regression_start": "onset", "regression_duration": 45, "sigma": 5.0},
    ),
}
"""Generators of the package by shape, with their arguments."""
