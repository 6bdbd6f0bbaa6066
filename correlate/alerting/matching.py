"""Matchers: which alerts a silence or a receiver is about.

A matcher is a label and a regular expression that has to match the whole of its value, as in Alertmanager; a label
that an alert does not have counts as empty. Expressions are run by an automaton that never goes back, in time linear
to the text, so none can be made to take for ever; their length and number are limited.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import polars as pl

from correlate.model.alerts import Alert

LABELS: Final = ("alertname", "detector", "service", "subject", "severity", "owner", "status", "fingerprint")
"""What can be matched and grouped by; ``detector`` is another word for ``alertname``."""

MAX_PATTERN_CHARS: Final = 500


def labels_of(alert: Alert) -> dict[str, str]:
    """The labels of an alert that matchers see, the empty ones too."""
    seen = alert.labels | {"detector": alert.verdict.detector, "status": alert.status.value}
    return {name: seen.get(name, "") for name in LABELS}


def matcher_problem(matchers: Mapping[str, str]) -> str | None:
    """Why matchers cannot be used, one sentence; None when they can."""
    if unknown := sorted(matchers.keys() - set(LABELS)):
        return f"alerts have no label {unknown[0][:80]!r}: they have {', '.join(LABELS)}"
    return next(filter(None, (_pattern_problem(name, pattern) for name, pattern in matchers.items())), None)


def matches_everything(matchers: Mapping[str, str]) -> bool:
    """Whether matchers leave nothing out: there are none, or all of them match the empty text too."""
    return all(_matched(pattern, [""])[0] for pattern in matchers.values())


def matching(matchers: Mapping[str, str], labels: Sequence[Mapping[str, str]]) -> list[bool]:
    """For each label set whether all matchers match."""
    found = [True] * len(labels)
    for name, pattern in matchers.items():
        held = _matched(pattern, [each.get(name, "") for each in labels])
        found = [a and b for a, b in zip(found, held, strict=True)]
    return found


def _matched(pattern: str, values: list[str]) -> list[bool]:
    if pattern.replace("-", "").replace("_", "").replace(" ", "").isalnum():
        return [value == pattern for value in values]  # most are plain words
    return pl.Series(values, dtype=pl.String).str.contains(_anchored(pattern)).to_list()


def _anchored(pattern: str) -> str:
    return rf"\A(?s:{pattern})\z"


def _pattern_problem(name: str, pattern: str) -> str | None:
    if len(pattern) > MAX_PATTERN_CHARS:
        return f"the expression for {name} is longer than {MAX_PATTERN_CHARS} characters"
    try:
        for each in (pattern, _anchored(pattern)):  # by itself too: `a)|(b` is only an expression inside of others
            pl.Series([""]).str.contains(each)
    except pl.exceptions.ComputeError as exc:
        lines = [line.strip() for line in str(exc).splitlines() if line.strip()]
        said = next((line for line in lines if line.startswith("error:")), lines[-1])
        return f"the expression {pattern[:80]!r} for {name} is of no use: {said.removeprefix('error:').strip()}"
    return None
