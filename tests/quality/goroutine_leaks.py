"""The goroutine-leak detector on labelled counts: false pages, recall by rate, the blocked stack."""

from collections.abc import Iterable, Sequence

from correlate.detectors.goroutine import judge_counts
from correlate.model.verdicts import Tier, Verdict
from tests.quality.report import Row, at_most
from tests.truth.goroutines import POOLS, LabelledCounts, counts_until, labelled_counts

RATES = (30.0, 100.0, 1000.0)
LOOKS_HOURS = (4.0, 8.0, 12.0, 16.0, 20.0, 24.0)
RECALL_BUDGET = 0.85


def score(seeds: Sequence[int]) -> Iterable[Row]:
    """False pages per instance-day and, for each rate, recall with the true stack first; the limits as baseline."""
    harmless = [labelled_counts(shape, seed) for seed in seeds for shape in POOLS]
    false = sum(page(truth) is not None for truth in harmless)
    yield at_most("goroutine leak: false pages per instance-day", ", ".join(POOLS), false / len(harmless), 0.05)
    for rate in RATES:
        leaks = [labelled_counts(shape, seed, rate) for seed in seeds for shape in POOLS]
        named = [(truth, page(truth)) for truth in leaks]
        hit = sum(found is not None and found.sites[0].function == truth.leaking_site for truth, found in named)
        limits = sum(float(truth.series.counts.sum(axis=0).max()) >= 10_000 for truth in leaks)
        yield Row(
            "goroutine leak: paged with the true stack first",
            f"{rate:g} an hour for a day",
            f"{hit / len(leaks):.3f} (a limit of 10,000 finds {limits / len(leaks):.3f})",
            f"≥ {RECALL_BUDGET:g}",
            hit / len(leaks) >= RECALL_BUDGET,
        )


def page(truth: LabelledCounts) -> Verdict | None:
    """The last page of a day, if there was one."""
    verdicts = [judge_counts(counts_until(truth.series, hours)) for hours in LOOKS_HOURS]
    paged = [verdict for verdict in verdicts if verdict is not None and verdict.tier is Tier.PAGE]
    return paged[-1] if paged else None
