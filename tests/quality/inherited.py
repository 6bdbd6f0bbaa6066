"""What children get of the samples that name their local root only."""

from collections.abc import Iterable, Sequence

import numpy as np

from correlate.joins import inherit
from tests.quality.answers import Answer, bounds, percent, share_error_of
from tests.quality.measures import mean
from tests.quality.report import Row
from tests.quality.scenes import Case, case, some_roots
from tests.truth.world import World


def score(seeds: Sequence[int]) -> Iterable[Row]:
    """What children get of their labelled root's samples."""
    world = World(labels="root", concurrency=8.0)
    conditions = {
        "timestamps and threads": world,
        "timestamps, hops 0.3": world.but(hop_ratio=0.3),
        "timestamps only": world.but(threads=False),
        "timestamps only, children at the same time": world.but(threads=False, fan_out=0.5, children=4.0),
        "10 s windows": world.but(threads=False, timestamps=False),
    }
    for condition, each in conditions.items():
        yield _inherited_row(condition, [case(each.but(seed=seed)) for seed in seeds])


def _inherited_row(condition: str, cases: Sequence[Case]) -> Row:
    answers = [_inherited(each, root) for each in cases for root in some_roots(each, each.has_children)]
    flat = [answer for some in answers for answer in some]
    told = [answer for answer in flat if not answer.refused and answer.given_ns]
    given, right = sum(answer.given_ns for answer in told), sum(answer.right_ns for answer in told)
    errors = [share_error_of(some) for some in answers if any(answer.given_ns for answer in some)]
    figure = (
        f"{right / given:.3f} of what is given is right; share error within a request {mean(errors):.3f}; "
        f"refused {percent([answer.refused for answer in flat if answer.true_ns])}; "
        f"{bounds(told)}"
    )
    return Row("from the root", condition, figure)


def _inherited(observed: Case, root: int) -> list[Answer]:
    """One answer for each span of a request, itself alone."""
    rows = np.flatnonzero(observed.root_of_span == root)
    named = np.flatnonzero(observed.truth.root == root)
    part = observed.cut(rows, named)
    return [
        Answer.of(part, mask, inherit.inherit(part.samples, part.spans, mask)) for mask in np.eye(len(rows), dtype=bool)
    ]
