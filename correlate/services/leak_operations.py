"""Which operations are behind a call site: the ones whose samples run through it.

Profiles of memory rarely name spans, but other profiles of the same code often do: a function that keeps sessions is
called by the handler of some request, and CPU samples of that request name it. So, in this order: samples of
allocation at the site that name spans; samples of any type with the site's function on their stack; samples with its
nearest caller on their stack that any named sample has. Where nothing names a span, nothing is said.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import polars as pl

from correlate.detectors.observe import SPAN_COLUMNS
from correlate.detectors.observe_rows import alias_of
from correlate.detectors.observe_spans import with_roots
from correlate.flame.focus import containing
from correlate.flame.matching import Matcher
from correlate.model.queries import SampleFilter, SpanFilter, TimeRange
from correlate.model.verdicts import Guard, Site, Verdict
from correlate.ports import Lake
from correlate.tables.hashing import hash_one
from correlate.tables.symbols import Symbols
