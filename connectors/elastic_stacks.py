"""Answers of Elasticsearch's ``_profiling/stacktraces`` as collapsed stacks. No I/O.

Stacks come by id, with how often each was seen; frames by id, each a list of names when functions were inlined. Both
are outermost first (x-pack ``TransportGetFlamegraphAction``).
"""

from collections.abc import Mapping
from typing import Any, Final

from connectors.collapsed_text import frame_name
from correlate.errors import SourceMalformed

_UNKNOWN: Final = "[unknown]"


def collapsed_of(answer: Mapping[str, Any], who: str) -> bytes:
    """The stacks of an answer, one line each; empty when there are none. Stacks whose frames are lost count as such.

    Loops over distinct stacks and frames, whose number the question limits.

    Raises:
        SourceMalformed: the answer is not what Elasticsearch says.
    """
    try:
        counts: Mapping[str, int] = answer.get("stack_trace_events") or {}
        stacks: Mapping[str, Any] = answer.get("stack_traces") or {}
        texts = _frame_texts(answer, stacks)
        lines = (f"{_line(stacks.get(stack), texts)} {int(count)}\n" for stack, count in counts.items() if count)
        return "".join(lines).encode()
    except (AttributeError, KeyError, TypeError, ValueError) as exc:
        raise SourceMalformed(f"{who} answered with stacks that cannot be read: {exc!r}") from exc


def sampling_rate(answer: Mapping[str, Any]) -> float:
    """Which share of the events the answer is made of."""
    return float(answer.get("sampling_rate") or 1.0)


def _line(stack: Mapping[str, Any] | None, texts: Mapping[str, str]) -> str:
    ids = stack["frame_ids"] if stack else []
    return ";".join([texts[each] for each in ids]) or _UNKNOWN


def _frame_texts(answer: Mapping[str, Any], stacks: Mapping[str, Any]) -> dict[str, str]:
    """The text of every frame by its id: function names with inlined ones after it, or file and address."""
    frames = answer.get("stack_frames") or {}
    executables = answer.get("executables") or {}
    texts: dict[str, str] = {}
    for stack in stacks.values():
        for frame, file, address in zip(stack["frame_ids"], stack["file_ids"], stack["address_or_lines"], strict=True):
            if frame not in texts:
                names = (frames.get(frame) or {}).get("function_name") or []
                known = [frame_name(name) for name in ([names] if isinstance(names, str) else names) if name]
                texts[frame] = ";".join(known) or frame_name(_place(executables.get(file) or "", address))
    return texts


def _place(executable: str, address: int) -> str:
    return f"{executable or _UNKNOWN}+0x{address & 0xFFFFFFFF:x}"
