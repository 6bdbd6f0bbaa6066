"""TraceQL metrics as values: which ranges to ask for, and what the answers say. No I/O."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from connectors.tempo_search import read_attributes
from correlate.errors import SourceMalformed

_MAX_RANGE_S: Final = 24 * 3600
"""Tempo's ``query_frontend.metrics.max_duration``."""
_MAX_INTERVALS: Final = 10_000

Labels = Mapping[str, str | int | float | bool | None]


class RatePoint(NamedTuple):
    """A value of a time series.

    Attributes:
        time_ns: end of the step it is about, nanoseconds since the Unix epoch.
        value: per second for ``rate()``, seconds for durations, else a count.
        labels: what the query groups by.
    """

    time_ns: int
    value: float
    labels: Labels


def chunks(start_s: int, end_s: int, step_s: int) -> Iterator[tuple[int, int]]:
    """Cut a range into pieces that Tempo accepts, at multiples of the step so that no step is cut in two."""
    longest_s = min(_MAX_RANGE_S, _MAX_INTERVALS * step_s) - step_s
    at_s = start_s
    while at_s < end_s:
        until_s = min(max((at_s + longest_s) // step_s * step_s, at_s + 1), end_s)
        yield at_s, until_s
        at_s = until_s


def read_series(answer: Mapping[str, Any], start_s: int, who: str) -> list[RatePoint]:
    """Read the answer of ``/api/metrics/query_range``; a missing value is 0.

    A sample is about the step that ends at its time, so the one at or before the start is about time not asked for.

    Raises:
        SourceMalformed: it does not have the form of such an answer.
    """
    try:
        return [
            RatePoint(int(sample["timestampMs"]) * 1_000_000, float(sample.get("value", 0.0)), labels)
            for series in answer.get("series") or ()
            for labels in (read_attributes(series.get("labels") or ()),)
            for sample in series.get("samples") or ()
            if int(sample["timestampMs"]) > start_s * 1000
        ]
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise SourceMalformed(f"{who} gave time series in a form that is not Tempo's: {exc!r}") from exc
