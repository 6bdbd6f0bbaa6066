"""Small cohorts of spans for tests."""

import polars as pl

from correlate.flame.spent import Spent, by_function
from tests.support.trees import symbols

SCHEMA = {"stack": pl.Int64, "value": pl.Int64, "weight": pl.Int64, "cluster": pl.Int64}

STACKS = ["main;handle;read", "main;handle;rank;until;sort", "main;handle;write;until"]
NORMAL = [{1: 4 + n % 3, 3: 2 + n % 2} for n in range(60)]
SLOW = [{1: 4 + n % 3, 2: 30 + n % 7, 3: 2 + n % 2} for n in range(20)]
"""Spans as values by stack number; slow ones rank, and `until` is a helper that both kinds call."""


def rows(spans: list[dict[int, int]]) -> pl.DataFrame:
    """The samples of some spans: one row per span and stack."""
    samples = [(stack, value, value, span) for span, spent in enumerate(spans) for stack, value in spent.items()]
    return pl.DataFrame(samples, schema=SCHEMA, orient="row")


def cohort(stacks: list[str], spans: list[dict[int, int]]) -> Spent:
    """Spans that spent ``{stack number: value}`` in stacks like ``main;work``, numbered from 1."""
    return by_function(rows(spans), len(spans), symbols([stack.split(";") for stack in stacks]))
