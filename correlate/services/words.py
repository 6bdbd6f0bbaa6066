"""Words for what answers call by a short name."""

from typing import Final

PARTS: Final = {
    "on_cpu": "on the CPU",
    "gc": "collecting garbage",
    "lock": "waiting for locks",
    "off_cpu": "off the CPU, waiting",
    "children": "in children of the same service",
    "remote": "in calls to elsewhere",
    "unexplained": "unexplained",
}
"""The parts of a span's wall time."""
