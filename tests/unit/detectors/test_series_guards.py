"""Each guard has a harmless shape that it alone catches."""

from dataclasses import replace

import numpy as np
import pytest

from correlate.detectors.leak import PRODUCTION, MemorySeries, explain_total
from correlate.detectors.leak_options import HOUR_S
from correlate.model.verdicts import Tier
from tests.support.memory_series import HOURS, MB, START_NS, series

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
    "saw-tooth": series(np.where((T > 18) & (T < 19), BASE, BASE + 5 * MB * T)),
    "lasting": series(BASE + 20 * MB * np.minimum(T, 14)),
    "forecast": series(BASE + 1.2 * MB * T),
    "daily": series((BASE + 60 * MB * np.sin(2 * np.pi * (T - 10) / 24))[:900]),
    "load": series(BASE + 10 * MB * T, requests=100 + 5 * T),
}
"""By the guard that catches it."""


@pytest.mark.parametrize("guard", SHAPES)
def test_only_this_guard_catches_its_shape(guard: str) -> None:
    """Without the guard the shape would be reported; with it there is no page."""
    assert failing(SHAPES[guard]) == [guard]


SLOWING = {
    "a cache that fills": 150 * (1 - np.exp(-T / 7)),
    "fragmentation": 15 * np.sqrt(T),
    "distinct keys": 25 * np.log1p(5 * T),
    "a move of customers": 150 / (1 + np.exp((12 - T) / 1.5)),
    "features switched on": 40.0 * (T > 5) + 30 * (T > 11) + 40 * (T > 17),
    "a step": 80.0 * (T > 15),
}


@pytest.mark.parametrize("shape", SLOWING)
def test_growth_that_will_end_never_pages(shape: str) -> None:
    """At no time of the day, whatever it looked like until then, and also with a load to blame."""
    for requests in (None, np.full(T.size, 100.0) + 20 * np.sin(T)):
        memory = series(BASE + MB * SLOWING[shape], requests=requests)
        tiers = [explain_total(memory.until(START_NS + hours * 3600 * 10**9)).tier for hours in range(2, 25, 2)]
        assert Tier.PAGE not in tiers


@pytest.mark.parametrize("shape", SLOWING)
def test_a_leak_beneath_it_pages(shape: str) -> None:
    """10 MB/h more are told from any of them by the end of the day."""
    requests = np.full(T.size, 100.0) + 20 * np.sin(T)
    assert explain_total(series(BASE + MB * (SLOWING[shape] + 10 * T), requests=requests)).tier is Tier.PAGE


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
    """Growth with the root of time goes on, but too slowly for anybody to get up."""
    found = explain_total(series(BASE + 15 * MB * np.sqrt(T)))
    assert (found.tier, failing(series(BASE + 15 * MB * np.sqrt(T)))) == (Tier.WATCH, ["forecast"])
