"""Relations between spans of a trace."""

from collections.abc import Iterator

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from correlate.traceql.parse import parse
from correlate.traceql.relations import Forest, needs_whole_traces, possible_traces, related, trace_numbers
from correlate.traceql.syntax import Query, SpansWith, filters
from tests.support.traceql import queries

Span = tuple[int, int, int]  # trace, id, parent


def frame(spans: list[Span]) -> pl.DataFrame:
    """Columns of the spans."""
    columns = {"trace_hi": pl.Int64, "span": pl.Int64, "parent": pl.Int64}
    return pl.DataFrame(spans, schema=columns, orient="row").with_columns(trace_lo=pl.col("trace_hi") // 2)


def forests() -> st.SearchStrategy[list[Span]]:
    """Spans of a few traces with distinct ids, some parents missing, cycles included."""
    span = st.tuples(st.integers(0, 2), st.integers(1, 8), st.integers(0, 9))
    return st.lists(span, min_size=1, max_size=14, unique_by=lambda each: each[:2])


def slow(query: Query, marks: Iterator[list[bool]], spans: list[Span]) -> list[bool]:
    """One pair of spans at a time: the slow twin of `related`."""
    if isinstance(query, SpansWith):
        return next(marks)
    left, right = slow(query.left, marks, spans), slow(query.right, marks, spans)
    if query.op in ("&&", "||"):
        both = {s[0] for s, m in zip(spans, left, strict=True) if m} & {
            s[0] for s, m in zip(spans, right, strict=True) if m
        }
        return [
            (one or other) and (query.op == "||" or span[0] in both)
            for span, one, other in zip(spans, left, right, strict=True)
        ]
    sign, plain = (query.op[0], query.op[1:]) if query.op[0] in "!&" else ("", query.op)
    inverse = {">": "<", "<": ">", ">>": "<<", "<<": ">>", "~": "~"}[plain]
    hit = [r and _any(plain, span, spans, left) for span, r in zip(spans, right, strict=True)]
    if sign == "!":
        return [r and not h and _known(s, spans) for s, r, h in zip(spans, right, hit, strict=True)]
    back = [one and _any(inverse, span, spans, right) for span, one in zip(spans, left, strict=True)]
    return [h or (sign == "&" and b) for h, b in zip(hit, back, strict=True)]


def _any(op: str, span: Span, spans: list[Span], marked: list[bool]) -> bool:
    others = [other for other, mark in zip(spans, marked, strict=True) if mark and other[0] == span[0]]
    return any(_holds(op, other, span, spans) for other in others)


def _holds(op: str, left: Span, right: Span, spans: list[Span]) -> bool:
    if op == "~":
        return left != right and left[2] == right[2] != 0
    if op in ("<", "<<"):
        left, right = right, left
    above = list(_ancestors(right, spans))
    return left in (above[:1] if op in ("<", ">") else above)


def _ancestors(span: Span, spans: list[Span]) -> Iterator[Span]:
    by_id = {other[:2]: other for other in spans}
    seen: set[Span] = set()
    parent = by_id.get((span[0], span[2])) if span[2] else None
    while parent is not None and parent not in seen:
        seen.add(parent)
        yield parent
        parent = by_id.get((parent[0], parent[2])) if parent[2] else None


def _known(span: Span, spans: list[Span]) -> bool:
    return span[2] == 0 or any(other[:2] == (span[0], span[2]) for other in spans)


@settings(max_examples=60)
@given(queries(), forests(), st.data())
def test_columns_tell_what_pairs_of_spans_tell(query: Query, spans: list[Span], data: st.DataObject) -> None:
    """Agreement with the slow twin, cycles and missing parents included; no trace is given up too early."""
    count = len(filters(query))
    marks = [data.draw(st.lists(st.booleans(), min_size=len(spans), max_size=len(spans))) for _ in range(count)]
    rows = frame(spans)
    found = related(query, [np.array(mark) for mark in marks], Forest.of(rows))
    assert found.tolist() == slow(query, iter(marks), spans)
    trace = trace_numbers(rows)
    assert possible_traces(query, [np.array(mark) for mark in marks], trace)[trace][found].all()


def test_a_long_chain_takes_few_steps() -> None:
    """A trace as deep as it has spans."""
    count = 5000
    chain = frame([(1, n + 1, n) for n in range(count)])
    forest = Forest.of(chain)
    first, last = np.arange(count) == 0, np.arange(count) == count - 1
    assert forest.descendants(first).sum() == count - 1
    assert forest.ancestors(last).sum() == count - 1


def test_no_spans_are_no_problem() -> None:
    """Nothing is related to nothing."""
    for op in ("&&", ">", ">>", "<<", "<", "~", "!~", "&~"):
        query = parse(f"{{}} {op} {{}}")
        none = np.zeros(0, bool)
        assert related(query, [none, none], Forest.of(frame([]))).tolist() == []
        assert possible_traces(query, [none, none], np.zeros(0, np.int64)).tolist() == []


def test_whole_traces_are_needed_only_where_other_spans_count() -> None:
    """Parents and siblings are told by ids alone."""
    assert not needs_whole_traces(parse("{} > {} && {} ~ {} || {} &< {}"))
    for far in ("{} >> {}", "{} && {} << {}", "{} !> {}", "{} &>> {}"):
        assert needs_whole_traces(parse(far))
