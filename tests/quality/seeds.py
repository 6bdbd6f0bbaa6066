"""Seeds of simulated worlds: those that scores are made on, and those that anything may be tuned on."""

from typing import Final

TUNED: Final = range(1, 1000)
"""For tests, for choosing constants, for looking at what goes wrong."""

SCORED: Final = range(94_001, 95_001)
"""For `tests.quality` and nothing else. A constant chosen after looking at these worlds would make the scores lies."""
