"""The regression detector against baselines, on labelled services and series: precision, recall, false pages, delay.

An alert is a page. Constants were chosen on seeds of `TUNED`. A regression is *powered* when it reaches the least
effect of the options and each side holds twice the profiler samples that a binomial test needs for it (one-sided
1e-5, power 80 %); twice, because samples of neighbouring buckets depend on each other.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from correlate.detectors.regression import judge
from correlate.detectors.regression_options import PRODUCTION, RegressionOptions
from correlate.detectors.shares import FunctionSeries
from correlate.detectors.trend import F64
from correlate.model.verdicts import Site, Tier, Verdict
from tests.quality.leak_baselines import installed
from tests.quality.regression_baselines import BASELINES, LEAST_RISE_RATIO
from tests.quality.report import Row
from tests.truth import functions, levels

FACTORS = (1.2, 1.5, 2.0)
LOOKS = 24
FALSE_BUDGET = 0.05
F1_BUDGET = 0.9
CRITICAL = 4.26 + 0.84  # one-sided 1e-5, power 80 %
DESIGN = 2.0
SERIES_STEP = 36
SETTLED = 36
SERIES = replace(PRODUCTION, least_growth_ratio=LEAST_RISE_RATIO)
"""One series has the least rise that the baselines have."""

RUNS = replace(SERIES, day_s=0.0)
"""The same where points are runs and not times of day, as in the data of Otava."""

Judged = list[tuple[int, tuple[Verdict, ...]]]


@dataclass
class Score:
    """What a rule did on labelled series.

    Attributes:
        true: rises that alerted while they lasted.
        missed: rises that did not.
        false: alerts that began where nothing had risen.
        quiet: series without a rise; quiet_false: those of them with an alert.
        delays: buckets from the rise to its alert.
    """

    true: int = 0
    missed: int = 0
    false: int = 0
    quiet: int = 0
    quiet_false: int = 0
    delays: list[float] = field(default_factory=list)

    @property
    def recall(self) -> float:
        """Rises that alerted, of all."""
        return self.true / max(self.true + self.missed, 1)

    @property
    def precision(self) -> float:
        """Alerts that were right, of all; 1 when there was none."""
        return self.true / max(self.true + self.false, 1) if self.true + self.false else 1.0

    @property
    def f1(self) -> float:
        """The harmonic mean of both."""
        return 2 * self.true / max(2 * self.true + self.false + self.missed, 1)


def score(seeds: Sequence[int]) -> Iterator[Row]:
    """Every row."""
    yield from _services(seeds, traces=True)
    yield from _services(seeds[: max(len(seeds) // 2, 1)], traces=False)
    yield from _series_rows("series with injected rises", list(_injected(seeds)), SERIES)
    if installed("otava_test_data"):
        yield from _series_rows("otava-test-data", list(_from_otava(seeds)), RUNS)
    else:
        yield Row("regression: public data", "otava-test-data", "not installed: pip install 'correlate[quality]'")


def pages_of(truth: functions.Labelled, *, traces: bool = True) -> Judged:
    """What the detector says every two hours, from half a day of data on."""
    buckets = range(144, truth.series.time_ns.size + 1, LOOKS)
    seen = ((at, truth.until(at)) for at in buckets)
    return [(at, judge(series, operations if traces else None)) for at, (series, operations) in seen]


def powered(truth: functions.Labelled) -> bool:
    """Whether so much could be seen at all, at the end of the series."""
    whole = float(truth.series.hits[: truth.onset].mean())
    share = truth.hits / whole
    moved = share * truth.growth_ratio
    if moved < PRODUCTION.least_share_ratio or truth.growth_ratio < PRODUCTION.least_growth_ratio:
        return False
    needed = CRITICAL**2 * 2 * share * (1 - share) / moved**2
    after = truth.series.time_ns.size - truth.onset
    return bool(whole * min(after, truth.onset) >= DESIGN * needed)


def _services(seeds: Sequence[int], *, traces: bool) -> Iterator[Row]:
    condition = "services of 100 functions" + ("" if traces else ", no traces")
    harmless = [(shape, seed, 1.5) for seed in seeds for shape in (*functions.HARMLESS, *functions.SHIFTS)]
    yield from _quiet(harmless, condition, traces=traces)
    worse = [(shape, seed, factor) for seed in seeds for shape in functions.REGRESSIONS for factor in FACTORS]
    yield from _worse(worse, condition, traces=traces)


def _made(plan: tuple[str, int, float], *, traces: bool) -> functions.Labelled:
    truth = functions.labelled(*plan)
    return truth if traces else functions.without_traces(truth)


def _quiet(plans: Iterable[tuple[str, int, float]], condition: str, *, traces: bool) -> Iterator[Row]:
    days, pages, watches, false_looks, looks = 0.0, 0, 0, 0, 0
    by_shape: dict[str, int] = {}
    moved = dict.fromkeys(functions.SHIFTS, 0)
    for plan in plans:
        truth = _made(plan, traces=traces)
        judged = pages_of(truth, traces=traces)
        paged = {verdict.subject for _, found in judged for verdict in found if verdict.tier is Tier.PAGE}
        watched = {verdict.subject for _, found in judged for verdict in found} - paged
        false_looks += sum(any(verdict.tier is Tier.PAGE for verdict in found) for _, found in judged)
        looks += len(judged)
        days += truth.series.time_ns.size / 288
        pages, watches = pages + len(paged), watches + len(watched)
        by_shape[plan[0]] = by_shape.get(plan[0], 0) + len(paged)
        if plan[0] in moved:
            moved[plan[0]] += bool(paged)
    worst = max(by_shape, key=lambda shape: by_shape[shape])
    more = f"{days:.0f} days; worst: {worst}, {by_shape[worst]} of {pages}; {watches / days:.2f} watches a day"
    budget = f"≤ {FALSE_BUDGET:g}"
    rate, null = pages / days, false_looks / looks
    yield Row(
        "regression: false pages per service-day", condition, f"{rate:.3f} ({more})", budget, rate <= FALSE_BUDGET
    )
    yield Row(
        "regression: looks at harmless services with a page", condition, f"{null:.4f}", budget, null <= FALSE_BUDGET
    )
    spoken = sum(moved.values())
    yield Row("regression: moved cost that paged", condition, f"{spoken} services", "0", spoken == 0)


def _worse(plans: Iterable[tuple[str, int, float]], condition: str, *, traces: bool) -> Iterator[Row]:
    found, weak, weak_found, exact = Score(), 0, 0, 0
    for plan in plans:
        truth = _made(plan, traces=traces)
        hit, right, wrong, first = _hits(truth, pages_of(truth, traces=traces))
        found.false += wrong
        if not powered(truth):
            weak, weak_found = weak + 1, weak_found + hit
            continue
        found.true += hit
        found.missed += not hit
        exact += right
        if hit:
            found.delays.append((first - truth.onset) / 12)
    hours = float(np.median(found.delays)) if found.delays else float("nan")
    more = f"{found.true + found.missed} powered, precision {found.precision:.2f}, recall {found.recall:.2f}"
    yield Row(
        "regression: F1 when powered", condition, f"{found.f1:.3f} ({more})", f"≥ {F1_BUDGET:g}", found.f1 >= F1_BUDGET
    )
    top = exact / max(found.true, 1)
    yield Row("regression: the very function is named", condition, f"{top:.3f} (median {hours:.1f} h to page)")
    yield Row("regression: too weak to be due, paged all the same", condition, f"{weak_found} of {weak}")


def _hits(truth: functions.Labelled, judged: Judged) -> tuple[bool, bool, int, int]:
    """Whether the cause (or what it calls) paged after the onset, whether by name, wrong subjects, and when."""
    cause = int(truth.cause.rsplit("_", 1)[1])
    right = {f"function_{row}" for row in functions.below(truth.series.parents, cause)}
    paged = [(at, each.subject) for at, found in judged for each in found if each.tier is Tier.PAGE]
    good = [(at, subject) for at, subject in paged if subject in right and at > truth.onset]
    wrong = {subject for at, subject in paged if (at, subject) not in good}
    exact = any(subject == truth.cause for _, subject in good)
    return bool(good), exact, len(wrong), min((at for at, _ in good), default=0)


def _injected(seeds: Iterable[int]) -> Iterator[levels.Labelled]:
    for seed in seeds:
        yield from (levels.labelled(shape, seed) for shape in levels.HARMLESS)
        yield from (levels.labelled(shape, seed, factor) for shape in levels.NOISES for factor in levels.FACTORS)


def _from_otava(seeds: Iterable[int]) -> Iterator[levels.Labelled]:
    yield from (levels.from_otava(shape, seed) for seed in seeds for shape in levels.OTAVA)


def rises(values: F64, options: RegressionOptions = SERIES) -> bool:
    """Whether the detector pages for a single series, which is all that it gets to see."""
    count = values.size
    series = FunctionSeries(
        service="shop",
        time_ns=functions.START_NS + np.arange(count) * functions.BUCKET_NS,
        bucket_ns=functions.BUCKET_NS,
        sites=(Site("handler"),),
        own=values[:, None],
        total=values[:, None],
        whole=values,
        hits=np.full(count, 1e9),
        requests=np.ones(count),
    )
    return any(verdict.tier is Tier.PAGE for verdict in judge(series, None, options))


def _series_rows(condition: str, truths: Sequence[levels.Labelled], options: RegressionOptions) -> Iterator[Row]:
    rule = partial(rises, options=options)
    ours = run(rule, truths)
    hours = f"median {np.median(ours.delays) / 12:.1f} h" if ours.delays else "never"
    yield Row(
        "regression: single series",
        condition,
        f"F1 {ours.f1:.3f} (precision {ours.precision:.2f}, recall {ours.recall:.2f}, {hours}, "
        f"{ours.quiet_false} of {ours.quiet} harmless paged)",
    )
    for factor in sorted({truth.factor for truth in truths} - {1.0}):
        part = run(rule, [truth for truth in truths if truth.factor == factor])
        yield Row("regression: single series, recall by rise", f"{condition}, x{factor:.3g}", f"{part.recall:.3f}")
    for name, (other, package) in BASELINES.items():
        if not installed(package):
            yield Row(
                f"regression baseline: {name}",
                condition,
                f"not installed: pip install 'correlate[quality]' ({package})",
            )
            continue
        theirs = run(other, truths)
        figure = f"F1 {theirs.f1:.3f} (precision {theirs.precision:.2f}, recall {theirs.recall:.2f}, "
        figure += f"{theirs.quiet_false} of {theirs.quiet} harmless paged)"
        yield Row(
            f"regression baseline: {name}", condition, figure, f"ours ({ours.f1:.3f}) is higher", ours.f1 > theirs.f1
        )


def run(rule: Callable[[F64], bool], truths: Iterable[levels.Labelled]) -> Score:
    """Let a rule look every three hours; an alert is right while the level is up, and for three hours more."""
    found = Score()
    for truth in truths:
        looks = [(at, rule(truth.values[:at])) for at in range(72, truth.values.size + 1, SERIES_STEP)]
        before = [False, *(state for _, state in looks[:-1])]
        begun = [at for (at, state), earlier in zip(looks, before, strict=True) if state and not earlier]
        up = truth.factor > 1
        right = [at for at, state in looks if state and up and truth.onset < at <= truth.end + SETTLED]
        wrong = [at for at in begun if not up or not truth.onset < at <= truth.end + SETTLED]
        found.false += len(wrong)
        if up:
            found.true += bool(right)
            found.missed += not right
            found.delays += [right[0] - truth.onset] if right else []
        else:
            found.quiet += 1
            found.quiet_false += bool(begun)
    return found
