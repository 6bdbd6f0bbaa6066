"""Names for what looks like a profile but is of a format that is not read here."""

import re
import struct
from typing import Final

_TEXT: Final = (
    (re.compile(rb"^\s*heap profile:[^\n]*@ growth", re.IGNORECASE), "a legacy text heap growth profile (growthz)"),
    (
        re.compile(rb"^\s*heap profile:[^\n]*@ fragmentation", re.IGNORECASE),
        "a legacy fragmentation profile (fragmentationz)",
    ),
    (re.compile(rb"^\s*heap profile:", re.IGNORECASE), "a legacy text heap profile (heap profile: …)"),
    (re.compile(rb"^\s*\w+ profile: total \d+"), "a legacy Go text profile (… profile: total N)"),
    (re.compile(rb"^\s*-+ threadz", re.IGNORECASE), "a legacy thread profile (threadz)"),
    (re.compile(rb"^\s*-+ contentionz?", re.IGNORECASE), "a legacy contention profile (contentionz)"),
    (re.compile(rb"^\s*-+ mutex", re.IGNORECASE), "a legacy mutex profile (mutex)"),
    (re.compile(rb"^\s*-+ heapz", re.IGNORECASE), "a legacy Java heap profile (heapz)"),
    (re.compile(rb"^FLR\0"), "a Java Flight Recorder file (JFR)"),
    (re.compile(rb"^(?:PERFILE2|2ELIFREP)"), "a Linux perf.data file"),
    (re.compile(rb"^\x7fELF"), "an ELF binary, not a profile"),
    (re.compile(rb"^PAR1"), "a Parquet file"),
    (re.compile(rb'^\s*\{\s*"'), "a JSON document"),
)
"""First bytes, and what they mean. From the reference parser's chain of readers, and from the formats' own magic."""

_WORDS: Final = ("<5I", ">5I", "<5Q", ">5Q")


def name_of(body: bytes) -> str | None:
    """Name the unsupported format that the first bytes belong to, None when they are not recognised."""
    start = body[:4096].lstrip(b"\xef\xbb\xbf")
    for pattern, name in _TEXT:
        if pattern.search(start):
            return name
    return "a legacy binary CPU profile" if _is_binary_cpu(start) else None


def _is_binary_cpu(start: bytes) -> bool:
    """Whether the header is that of gperftools: words 0, 3, version, period, 0, of 32 or 64 bits, in either order."""
    return any(
        len(start) >= struct.calcsize(words) and _is_header(struct.unpack_from(words, start)) for words in _WORDS
    )


def _is_header(words: tuple[int, ...]) -> bool:
    zero, header_words, version, _, padding = words
    return zero == 0 and header_words == 3 and version in (0, 1) and padding == 0
