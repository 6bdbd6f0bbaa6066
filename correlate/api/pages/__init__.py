"""Server-rendered HTML: what is there, flame graphs of spans and cohorts, comparisons, and what is wrong."""
