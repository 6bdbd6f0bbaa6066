"""The subset of TraceQL that chooses spans."""
