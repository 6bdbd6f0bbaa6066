"""Ids and label sets out of sample labels."""

from collections.abc import Sequence

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from correlate.formats.sample_labels import Resolved, resolve
from correlate.model.ids import parse_span_id, parse_trace_id
from correlate.tables.schema import EVIDENCE_AMBIGUOUS, EVIDENCE_LABEL, EVIDENCE_NONE, KIND_STRING

SPAN, OTHER_SPAN = "00f067aa0ba902b7", "c0f067aa0ba902b8"
TRACE, OTHER_TRACE = "4bf92f3577b34da6a3ce929d0e0e4736", "5bf92f3577b34da6a3ce929d0e0e4737"


def run(samples: Sequence[Sequence[tuple[str, str]]]) -> Resolved:
    """Resolve labels given per sample."""
    distinct = sorted({pair for pairs in samples for pair in pairs})
    labels = pl.DataFrame(
        {"key": [k for k, _ in distinct], "value": [v for _, v in distinct], "kind": [KIND_STRING] * len(distinct)},
        schema={"key": pl.String, "value": pl.String, "kind": pl.Int8},
    )
    pairs = [(at, distinct.index(pair)) for at, has in enumerate(samples) for pair in has]
    return resolve(
        len(samples), labels, np.array([s for s, _ in pairs], np.int64), np.array([r for _, r in pairs], np.int64)
    )


@pytest.mark.parametrize("key", ["span_id", "profile_id"])
def test_a_span_id_of_16_digits(key: str) -> None:
    """Pyroscope's key and its older alias name the span."""
    resolved = run([[(key, SPAN)], []])
    assert resolved.span.tolist() == [parse_span_id(SPAN), 0]
    assert resolved.evidence.tolist() == [EVIDENCE_LABEL, EVIDENCE_NONE]
    assert resolved.labelset.tolist() == [-1, -1]


@pytest.mark.parametrize("text", ["239", "", "00f067aa0ba902b", "g0f067aa0ba902b7", "0x0f067aa0ba902b"])
def test_an_invalid_span_id_is_an_ordinary_label(text: str) -> None:
    """It names no span, and is not lost either."""
    resolved = run([[("span_id", text)]])
    assert resolved.span.tolist() == [0]
    assert resolved.evidence.tolist() == [EVIDENCE_NONE]
    assert resolved.labelsets.to_list() == [[{"key": "span_id", "value": text, "kind": KIND_STRING}]]


def test_a_zero_id_is_none() -> None:
    """Zeros mean "no span": neither an id nor a label."""
    resolved = run([[("span_id", "0" * 16), ("trace_id", "0" * 32)]])
    assert resolved.evidence.tolist() == [EVIDENCE_NONE]
    assert resolved.labelset.tolist() == [-1]


def test_two_spans_on_one_sample_are_ambiguous() -> None:
    """Interleaved coroutines label one thread twice: the sample gets neither span, nor the trace."""
    resolved = run([[("span_id", SPAN), ("span_id", OTHER_SPAN), ("trace_id", TRACE)], [("span_id", SPAN)]])
    assert resolved.span.tolist() == [0, parse_span_id(SPAN)]
    assert (resolved.trace_hi[0], resolved.trace_lo[0]) == (0, 0)
    assert resolved.evidence.tolist() == [EVIDENCE_AMBIGUOUS, EVIDENCE_LABEL]


def test_two_traces_on_one_sample_are_ambiguous() -> None:
    """The same holds for traces."""
    resolved = run([[("trace_id", TRACE), ("trace_id", OTHER_TRACE)]])
    assert resolved.evidence.tolist() == [EVIDENCE_AMBIGUOUS]
    assert (resolved.trace_hi[0], resolved.trace_lo[0]) == (0, 0)


def test_the_same_span_under_two_keys_is_not_ambiguous() -> None:
    """Only different ids disagree."""
    assert run([[("span_id", SPAN), ("profile_id", SPAN)]]).evidence.tolist() == [EVIDENCE_LABEL]


def test_a_trace_without_a_span_is_evidence() -> None:
    """The trace id is kept in two halves."""
    resolved = run([[("trace_id", TRACE)]])
    assert (resolved.trace_hi[0], resolved.trace_lo[0]) == parse_trace_id(TRACE)
    assert resolved.evidence.tolist() == [EVIDENCE_LABEL]


@pytest.mark.parametrize(
    ("key", "text", "low"),
    [
        ("trace id", "1234567890123456", 1234567890123456),
        ("trace id", str(2**64 - 1), -1),
        ("trace_id", "12345678901234567890", 12345678901234567890 - 2**64),
        ("trace_id", "a3ce929d0e0e4736", parse_span_id("a3ce929d0e0e4736")),
    ],
)
def test_short_trace_ids_fill_the_low_half(key: str, text: str, low: int) -> None:
    """Datadog's decimal and 64-bit ids are accepted."""
    resolved = run([[(key, text)]])
    assert (resolved.trace_hi[0], resolved.trace_lo[0]) == (0, low)


def test_datadog_span_wins_over_its_local_root() -> None:
    """Decimal ids, signed or unsigned; the root's counts only where the span's own is missing."""
    resolved = run([[("span id", str(2**64 - 2)), ("local root span id", "5")], [("local root span id", "-5")]])
    assert resolved.span.tolist() == [-2, -5]
    assert resolved.evidence.tolist() == [EVIDENCE_LABEL] * 2


@pytest.mark.parametrize("key", ["thread_id", "thread.id", "thread id", "tid"])
def test_thread_ids(key: str) -> None:
    """A numeric thread id becomes a column, anything else stays a label."""
    resolved = run([[(key, "140234")], [(key, "main")]])
    assert resolved.thread.tolist() == [140234, 0]
    assert resolved.labelset.tolist() == [-1, 0]


def test_label_sets_are_sets() -> None:
    """The order of labels does not matter; samples with the same labels share a set."""
    one, two = ("span_name", "GET /"), ("thread_name", "main")
    resolved = run([[one, two], [two, one, ("span_id", SPAN)], [one], []])
    assert resolved.labelset[0] == resolved.labelset[1] != resolved.labelset[2]
    assert resolved.labelset[3] == -1
    keys = [{label["key"] for label in labels} for labels in resolved.labelsets.to_list()]
    assert keys[resolved.labelset[0]] == {"span_name", "thread_name"}
    assert keys[resolved.labelset[2]] == {"span_name"}


PAIRS = st.lists(
    st.lists(
        st.sampled_from(
            [
                ("span_id", SPAN),
                ("span_id", OTHER_SPAN),
                ("profile_id", SPAN),
                ("span_id", "239"),
                ("a", "1"),
                ("b", "2"),
            ]
        ),
        max_size=4,
    ),
    max_size=6,
)


@given(PAIRS)
def test_resolve_agrees_with_a_loop(samples: list[list[tuple[str, str]]]) -> None:
    """The vectorised rules give what a loop over samples gives."""
    resolved = run(samples)
    for at, pairs in enumerate(samples):
        spans = {value for _, value in pairs if len(value) == 16}
        span = parse_span_id(next(iter(spans))) if len(spans) == 1 else 0
        assert resolved.span[at] == span
        assert (resolved.evidence[at] == EVIDENCE_AMBIGUOUS) == (len(spans) > 1)
        others = {pair for pair in pairs if len(pair[1]) != 16}
        row = int(resolved.labelset[at])
        found = set() if row < 0 else {(label["key"], label["value"]) for label in resolved.labelsets[row].to_list()}
        assert found == others
