"""Stacks in the file format of speedscope.app: one sampled profile, frames interned.

Source: https://www.speedscope.app/file-format-schema.json. A sample is a list of frame numbers, root first.
"""

from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from correlate.flame.stacks import gather
from correlate.tables.ragged import offsets_of, take_ragged
from correlate.tables.symbols import Symbols

I64 = npt.NDArray[np.int64]

SCHEMA_URL: Final = "https://www.speedscope.app/file-format-schema.json"
_UNITS: Final = frozenset({"nanoseconds", "microseconds", "milliseconds", "seconds", "bytes"})


def speedscope(symbols: Symbols, stacks: I64, values: I64, unit: str, name: str) -> dict[str, Any]:
    """Write sample rows as a speedscope file, one sample per distinct stack, largest first.

    Args:
        symbols: describes the stacks.
        stacks: one stack id per row.
        values: one value per row, in `unit`; the format knows no negative weights, so stacks that come to less than
            one are left out.
        unit: the profile's unit; what is neither a time nor bytes is written as ``none``.
        name: what the viewer shows as the profile's name.
    """
    found = gather(symbols, stacks, values, merge="line")
    order = np.lexsort((found.offsets[:-1], -found.values))
    order = order[found.values[order] > 0]
    weights = found.values[order]
    items, lengths = take_ragged(found.items, found.offsets, order)
    frames, bounds = items.tolist(), offsets_of(lengths).tolist()
    return {
        "$schema": SCHEMA_URL,
        "exporter": "correlate",
        "name": name,
        "activeProfileIndex": 0,
        "shared": {"frames": _frames(found.frames.select("function", "file", "line").rows())},
        "profiles": [
            {
                "type": "sampled",
                "name": name,
                "unit": unit if unit in _UNITS else "none",
                "startValue": 0,
                "endValue": int(weights.sum()),
                "samples": [frames[start:end] for start, end in pairwise(bounds)],
                "weights": weights.tolist(),
            }
        ],
    }


def _frames(rows: list[tuple[Any, ...]]) -> list[dict[str, Any]]:
    """The shared table of frames; file and line are left out where they are not known."""
    frames = []
    for function, file, line in rows:
        frame = {"name": function}
        if file:
            frame["file"] = file
        if line > 0:
            frame["line"] = line
        frames.append(frame)
    return frames
