"""Names of tasks and queues: what the clock, the workers and those who ask for work agree on."""

from typing import Final

PULL: Final = "correlate.pull"
COMPACT: Final = "correlate.compact"
EXPIRE: Final = "correlate.expire"
REPLAY: Final = "correlate.replay"
WATCH: Final = "correlate.watch"
NOTIFY: Final = "correlate.notify"

QUEUE: Final = "correlate"
"""Whose tasks any worker may do."""
