"""The subset of TraceQL that chooses spans.

`parse` reads a query, `bounds` says what of it the store can select by, `evaluate` and `relations` decide the rest over
columns, `write` makes text of a query again. What is supported is documented in ``docs/traceql.md``.
"""
