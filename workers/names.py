"""Names of tasks and queues: what the clock, the workers and those who ask for work agree on."""

from typing import Final

PULL: Final = "correlate.pull"
COMPACT: Final = "correlate.compact"
EXPIRE: Final = "correlate.expire"
REPLAY: Final = "correlate.replay"

QUEUE: Final = "correlate"
"""Whose tasks any worker may do."""

FORWARDED_S: Final = 10
"""How long a task that was passed on to a certain worker is worth doing, seconds."""


def queue_of(holder: str) -> str:
    """The queue of one worker, for what it does best."""
    return f"{QUEUE}.{holder}"
