"""Samples for many spans at once: by name, by thread and time, unmixed, or shared out by time."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import polars as pl

from correlate.joins import unmix, window
from correlate.joins.given import Given, Refused
from correlate.joins.unmix_estimate import Estimate
from correlate.joins.unmix_result import FALL_BACK
from correlate.model.answers import Confidence, Method
from correlate.model.profile_type import ProfileType
from correlate.services.evidence import ROWS, Estimated, Found
from correlate.services.inferred import given_rows, joined, nobodys
from correlate.services.members import Members
from correlate.services.scenes import Scene, Scenes
from correlate.services.unmixing import Mixture
from correlate.tables.hashing import hash_one
from correlate.tables.rounding import whole
from correlate.units import human

SLICE_NS: Final = 300_000_000_000
"""Inferred joins of long times look at so much at once: what they need is all that ran meanwhile."""


class CohortEvidence:
    """Answers for spans that no sample names."""

    def __init__(self, scenes: Scenes) -> None:
        self._scenes = scenes

    def find(self, members: Members, types: list[str], method: Method) -> Found | Refused:
        """Give samples to many spans: by thread and time where samples tell, else unmixed, else shared out.

        Where any method will do, samples that name a span are left to that span.

        Args:
            members: the spans.
            types: profile type ids; the first that gives anything answers.
            method: one method, or `Method.AUTO`.
        """
        refused = Refused("no sample of the services was taken while these spans ran")
        for text in types:
            why_not = ""
            for each in _ORDER if method is Method.AUTO else [method]:
                found = self._by(each, members, text, nameless=method is Method.AUTO)
                if isinstance(found, Found):
                    return _with_reason(found, why_not)
                if found is not None:
                    refused = _refused(found, why_not)
                    why_not = found.reason if each is Method.UNMIXED else why_not
                if refused.final:
                    return refused
        return refused

    def _by(self, method: Method, members: Members, text: str, *, nameless: bool) -> Found | Refused | None:
        slices = self._slices(members, text, nameless=nameless, waits=method is not Method.THREAD_TIME)
        if method is Method.UNMIXED:
            return _unmixed(slices, members, text)
        return _shared(slices, members, text, method)

    def _slices(self, members: Members, text: str, *, nameless: bool, waits: bool) -> Iterator[Scene]:
        for scene in self._scenes.slices(members.services, hash_one(text), members.window, SLICE_NS, waits=waits):
            unnamed = scene.without_names() if nameless else scene
            if len(unnamed.samples):
                yield unnamed


_ORDER = (Method.THREAD_TIME, Method.UNMIXED, Method.WINDOW)
"""For many spans unmixing says more than sharing out."""


def _with_reason(found: Found, why_not: str) -> Found:
    """Say of an answer by the weakest method why unmixing gave none."""
    if found.method is not Method.WINDOW or not why_not:
        return found
    confidence = replace(found.confidence, reason=f"{found.confidence.reason}; not unmixed: {why_not}")
    return replace(found, confidence=confidence)


def _refused(refused: Refused, why_not: str) -> Refused:
    """Advice that is good for many spans: to ask for their operation is what was just done."""
    figures, advice, _ = refused.reason.partition(window.ADVICE)
    if not advice:
        return refused
    unmixed = f"not unmixed: {why_not.removesuffix(f'; {FALL_BACK}')}" if why_not else "try the method unmixed"
    return Refused(f"{figures}, too little to share out; {unmixed}")


def _shared(slices: Iterator[Scene], members: Members, text: str, method: Method) -> Found | Refused | None:
    """Join slice by slice; what one slice refuses the others may still give."""
    parts: list[_Part] = []
    refused: Refused | None = None
    rest = 0.0
    for scene in slices:
        given = joined(method, scene, members.among(scene.spans), text)
        if isinstance(given, Given):
            rest += given.nobodys(scene.values_within(members.window))
            rows = given_rows(scene.samples, scene.spans, given)
            parts.append(_Part(rows, given.error_bound, given.reason))  # not what was given of each sample: too much
            continue
        if not parts and method is Method.THREAD_TIME and not _can_tell(scene):
            return given
        refused = refused or given
        rest += nobodys(method, scene, text, members.window)
    if any(part.value for part in parts):
        return _added(parts, method, text, round(rest))
    # Threads and times are known, and tell that the spans were waiting: to share out would be to make something up.
    waited = bool(parts) and method is Method.THREAD_TIME
    return Refused(parts[0].reason, final=True) if waited else refused


def _can_tell(scene: Scene) -> bool:
    """Whether any sample has a time and a thread of its own."""
    return bool(((scene.samples["duration_ns"] == 0) & (scene.samples["thread"] != 0)).any())


@dataclass(frozen=True, slots=True)
class _Part:
    """What a slice gave."""

    rows: pl.DataFrame
    error_bound: float
    reason: str

    @property
    def value(self) -> int:
        return int(self.rows["value"].sum())


def _added(parts: list[_Part], method: Method, text: str, unattributed: int) -> Found:
    keys = ["service", "stack", "span", "trace_hi", "trace_lo"]
    rows = pl.concat([part.rows for part in parts]).group_by(keys).agg(pl.col("value", "weight").sum())
    values = np.array([part.value for part in parts])
    wrong = np.array([part.error_bound for part in parts]) * np.abs(values)
    most = parts[int(np.abs(values).argmax())].reason
    pieces = f"joined in {len(parts)} pieces of {human(SLICE_NS, 'nanoseconds')}; in the one that gave most, "
    return Found(
        ProfileType.parse(text),
        rows.select("service", *ROWS),
        method,
        {method.value: int(values.sum())},
        Confidence("inferred", pieces + most if len(parts) > 1 else most, float(wrong.sum() / np.abs(values).sum())),
        unattributed,
    )


def _unmixed(slices: Iterator[Scene], members: Members, text: str) -> Found | Refused | None:
    mixture = Mixture.of(slices, members)
    if mixture is None:
        return None
    solved = unmix.unmix(mixture.counts, mixture.windows, mixture.spans, wanted=mixture.wanted, names=mixture.names)
    if isinstance(solved, Refused):
        return solved
    estimate = solved.estimate(mixture.wanted)
    if isinstance(estimate, Refused):
        return estimate
    return _estimated(solved.stacks, estimate, mixture, text, float(solved.background.sum()))


def _estimated(
    stacks: np.ndarray[tuple[int], np.dtype[np.int64]],
    estimate: Estimate,
    mixture: Mixture,
    text: str,
    background: float,
) -> Found:
    share = estimate.hits / max(estimate.total, 1e-300)
    sums = pl.DataFrame(
        {"stack": stacks, "value": whole(estimate.value), "weight": whole(estimate.value * share)}
    ).filter(pl.col("value") != 0)
    rows = sums.join(mixture.services, on="stack", how="left").with_columns(
        pl.lit(0, pl.Int64).alias(name) for name in ("span", "trace_hi", "trace_lo")
    )
    return Found(
        ProfileType.parse(text),
        rows.select("service", *ROWS),
        Method.UNMIXED,
        {Method.UNMIXED.value: int(rows["value"].sum())},
        Confidence("estimated", estimate.reason, estimate.error_bound),
        round(background),
        estimated=Estimated(stacks, estimate),
    )
