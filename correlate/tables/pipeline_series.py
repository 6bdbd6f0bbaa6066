"""The pipeline's rules at work on series: few rows, whatever the number of spans and samples that refer to them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from correlate.model.pipeline import SERVICE_KEYS, TYPE_KEY, Action, ActionKind, Condition, Matcher, Signal, Step
from correlate.tables.schema import ATTRIBUTES, KIND_STRING

I64 = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

KEPT = -1
_UNKNOWN_SERVICE = "unknown_service"


@dataclass(frozen=True, slots=True)
class SeriesRows:
    """Series on their way through the pipeline, one entry per row.

    Attributes:
        service: service names.
        type: profile type ids, "" for the resources of spans.
        labels: columns row, key, value, kind: the labels of all rows, one after the other.
        dropped_by: the number of the step that dropped the row, KEPT for the others.
    """

    service: pl.Series
    type: pl.Series
    labels: pl.DataFrame
    dropped_by: I64

    @classmethod
    def of(cls, series: pl.DataFrame) -> "SeriesRows":
        """Take apart rows of service, type and labels."""
        labels = (
            pl.DataFrame({"row": np.arange(len(series)), "label": series["labels"]})
            .explode("label", empty_as_null=False)
            .drop_nulls("label")
            .unnest("label")
        )
        return cls(series["service"], series["type"], labels, np.full(len(series), KEPT, np.int64))

    def is_like(self, other: "SeriesRows") -> bool:
        """Whether services and labels are the same."""
        same = self.labels is other.labels or self.labels.equals(other.labels)
        return same and (self.service is other.service or self.service.equals(other.service))

    def frame(self) -> pl.DataFrame:
        """Rows of service, type and labels again."""
        grouped = self.labels.group_by("row", maintain_order=True).agg(labels=pl.struct("key", "value", "kind"))
        joined = pl.DataFrame({"row": np.arange(len(self.service))}).join(
            grouped, on="row", how="left", maintain_order="left"
        )
        labels = joined["labels"].cast(ATTRIBUTES).fill_null(pl.Series([[]], dtype=ATTRIBUTES))
        return pl.DataFrame([self.service.alias("service"), self.type.alias("type"), labels.alias("labels")])


def run(rows: SeriesRows, steps: Sequence[Step]) -> SeriesRows:
    """Take rows through all steps, in order."""
    for number, step in enumerate(steps):
        rows = _filtered(rows, number, step)
        for action in step.actions:
            rows = _changed(rows, _touched(rows, step), action)
    return rows


def matches(rows: SeriesRows, matcher: Matcher) -> Bools:
    """Which rows match."""
    found = np.ones(len(rows.service), bool)
    for condition in matcher.conditions:
        found &= _holds(values_of(rows, condition.key), condition, regexp=matcher.regexp)
    return found


def values_of(rows: SeriesRows, key: str) -> pl.Series:
    """The value of an attribute for each row, null where there is none."""
    if key in SERVICE_KEYS:
        return rows.service
    if key == TYPE_KEY:
        return rows.type.replace("", None)
    first = rows.labels.filter(pl.col("key") == key).unique("row", keep="first")
    every = pl.DataFrame({"row": np.arange(len(rows.service))})
    return every.join(first, on="row", how="left", maintain_order="left")["value"]


def _holds(values: pl.Series, condition: Condition, *, regexp: bool) -> Bools:
    held = values.str.contains(condition.value) if regexp else values.eq(condition.value)
    found: Bools = held.fill_null(value=False).to_numpy()
    return found


def _touched(rows: SeriesRows, step: Step) -> Bools:
    spans = (rows.type == "").to_numpy()
    wanted = np.where(spans, Signal.SPANS in step.signals, Signal.PROFILES in step.signals)
    here: Bools = wanted & (rows.dropped_by == KEPT)
    if step.where is not None:
        here &= matches(rows, step.where)
    return here


def _filtered(rows: SeriesRows, number: int, step: Step) -> SeriesRows:
    drop = np.zeros(len(rows.service), bool)
    if step.include is not None:
        drop |= ~matches(rows, step.include)
    if step.exclude is not None:
        drop |= matches(rows, step.exclude)
    return replace(rows, dropped_by=np.where(drop & _touched(rows, step), number, rows.dropped_by))


def _changed(rows: SeriesRows, on: Bools, action: Action) -> SeriesRows:
    if action.kind is ActionKind.RENAME:
        return _renamed(rows, on, action.key, action.to)
    if action.key in SERVICE_KEYS:
        nameless = rows.service.str.starts_with(_UNKNOWN_SERVICE).to_numpy()
        chosen = on & nameless if action.kind is ActionKind.INSERT else on
        return _with_service(rows, chosen, _repeated(action.value, len(on)))
    if action.kind is ActionKind.DELETE:
        return replace(rows, labels=rows.labels.filter(~_at(rows, on, action.key)))
    return _set(rows, on, action)


def _renamed(rows: SeriesRows, on: Bools, key: str, to: str) -> SeriesRows:
    values = values_of(rows, key)
    on = on & values.is_not_null().to_numpy()
    if to in SERVICE_KEYS:
        on &= (values != "").fill_null(value=False).to_numpy()
        named = _with_service(rows, on, values)
        return replace(named, labels=named.labels.filter(~_at(named, on, key)))
    covered = rows.labels.filter(~_at(rows, on, to)) if to != key else rows.labels
    here = pl.Series(on)[covered["row"]] & (covered["key"] == key)
    name = pl.when(here).then(pl.lit(to)).otherwise(pl.col("key"))
    return replace(rows, labels=covered.with_columns(key=name))


def _set(rows: SeriesRows, on: Bools, action: Action) -> SeriesRows:
    present = values_of(rows, action.key).is_not_null().to_numpy()
    labels = rows.labels
    if action.kind is not ActionKind.INSERT:
        labels = _overwritten(labels, _at(rows, on, action.key), pl.lit(action.value))
    if action.kind is not ActionKind.UPDATE:
        missing = np.flatnonzero(on & ~present)
        added = pl.DataFrame({"row": missing}).with_columns(
            key=pl.lit(action.key), value=pl.lit(action.value), kind=pl.lit(KIND_STRING, pl.Int8)
        )
        labels = pl.concat([labels, added.cast(labels.schema)])
    return replace(rows, labels=labels)


def _with_service(rows: SeriesRows, on: Bools, names: pl.Series) -> SeriesRows:
    """Change the service, and the labels that repeat its name where there are any."""
    service = names.zip_with(pl.Series(on), rows.service)
    there = pl.Series(on)[rows.labels["row"]] & rows.labels["key"].is_in(list(SERVICE_KEYS))
    labels = _overwritten(rows.labels, there, service[rows.labels["row"]])
    return replace(rows, service=service, labels=labels)


def _overwritten(labels: pl.DataFrame, there: pl.Series, value: pl.Expr | pl.Series) -> pl.DataFrame:
    return labels.with_columns(
        value=pl.when(there).then(value).otherwise(pl.col("value")),
        kind=pl.when(there).then(pl.lit(KIND_STRING, pl.Int8)).otherwise(pl.col("kind")),
    )


def _at(rows: SeriesRows, on: Bools, key: str) -> pl.Series:
    """Which labels are of a key and of the chosen rows."""
    return pl.Series(on)[rows.labels["row"]] & (rows.labels["key"] == key)


def _repeated(value: str, count: int) -> pl.Series:
    return pl.repeat(value, count, dtype=pl.String, eager=True)
