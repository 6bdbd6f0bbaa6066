"""Each guard has a harmless shape that it alone catches."""

from dataclasses import replace

import numpy as np
import pytest

from correlate.detectors.leak import PRODUCTION, MemorySeries, explain_total
from correlate.detectors.leak_options import HOUR_S
from correlate.model.verdicts import Tier
from tests.support.memory_series import HOURS, MB, series

BASE = np.full(HOURS.size, 200 * MB)
T = HOURS


def failing(memory: MemorySeries) -> list[str]:
    """Names of the guards that did not let a page through."""
    return [guard.name for guard in explain_total(memory).guards if not guard.passed]


def wander() -> np.ndarray:
    """Seven hours of levels that jump every half an hour, and by chance lie higher at the end."""
    levels = np.random.default_rng(45).normal(0, 1, 14)
    return BASE[:420] + 4 * MB * T[:420] + 8 * MB * np.repeat(levels, 30)


SHAPES = {
    "observed": series((BASE + 10 * MB * T)[:330]),
    "coverage": series(np.where(T % 6 < 3.8, np.nan, BASE + 5 * MB * T)),
    "significance": series(wander()),
    "size": series(BASE + 0.3 * MB * T),
    "plateau": series(BASE + 20 * MB * np.minimum(T, 14)),
    "step": series(BASE + 80 * MB * (T > 15) + 2 * MB * T),
    "saw-tooth": series(np.where((T > 18) & (T < 19), BASE, BASE + 5 * MB * T)),
    "load": series(BASE + 10 * MB * T, requests=100 + 5 * T),
    "pace": series(BASE + 1.2 * MB * T),
    "daily": series((BASE + 60 * MB * np.sin(2 * np.pi * (T - 10) / 24))[:900]),
}
"""By the guard that catches it."""


@pytest.mark.parametrize("guard", SHAPES)
def test_only_this_guard_catches_its_shape(guard: str) -> None:
    """Without the guard the shape would be reported; with it there is no page."""
    assert failing(SHAPES[guard]) == [guard]


def test_a_page_must_have_been_due_before() -> None:
    """What pages now and would not have paged `confirm_s` ago is a watch."""
    leak = series(BASE + 10 * MB * np.maximum(T - 10, 0))
    assert explain_total(leak).tier is Tier.PAGE
    found = explain_total(leak, replace(PRODUCTION, confirm_s=12 * HOUR_S))
    assert found.tier is Tier.WATCH
    assert [guard.name for guard in found.guards if not guard.passed] == ["confirmed"]


def test_a_plain_leak_passes_all() -> None:
    """Steady growth at steady load pages with every guard consulted."""
    found = explain_total(series(BASE + 5 * MB * T, requests=np.full(T.size, 100.0)), PRODUCTION)
    assert found.tier is Tier.PAGE
    assert {guard.name for guard in found.guards} >= set(SHAPES) | {"confirmed"}


def test_creep_is_a_watch() -> None:
    """Growth with the root of time bends: held back from paging by its bend alone."""
    assert failing(series(BASE + 45 * MB * np.sqrt(T))) == ["bend"]
