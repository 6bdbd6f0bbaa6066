"""Call sites: which stacks allocate in the same place, seen from code that somebody here can change.

Nearly every allocation ends in a library (`bytes.growSlice`, `json.raw_decode`); what leaks is the code that called
it. A site is a leaf function together with the nearest caller that is not library code.
"""

import re
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np

from correlate.detectors.trend import F64, I64
from correlate.model.verdicts import Site


class Frame(NamedTuple):
    """A frame of a stack: function, file and line as the profile names them."""

    function: str
    file: str = ""
    line: int = 0


_LIBRARY_FILE: Final = re.compile(
    r"/site-packages/|/dist-packages/|/lib/python3|^<frozen|^<string>|@v\d|/go/src/|/usr/local/go/|/rustc/"
    r"|/\.cargo/registry/|(^|/)node_modules/|^node:|^/usr/lib/|^/build/glibc"
)
_LIBRARY_FUNCTION: Final = re.compile(
    r"^(java|javax|jdk|sun|kotlin|scala|clojure)[./]|^(std|core|alloc)::|^_?_?(malloc|calloc|realloc)|^operator new"
)
_GO_STANDARD: Final = re.compile(
    r"^(archive|bufio|bytes|compress|container|context|crypto|database|debug|embed|encoding|errors|expvar|fmt|hash|html"
    r"|image|internal|io|iter|log|maps|math|mime|net|os|path|reflect|regexp|runtime|slices|sort|strconv|strings|sync"
    r"|syscall|testing|text|time|unicode|unique|unsafe|vendor|weak)[./]"
)


def is_library(frame: Frame) -> bool:
    """Whether a frame is of a standard library or an installed package, by the names profilers give."""
    if _LIBRARY_FILE.search(frame.file) or _LIBRARY_FUNCTION.search(frame.function):
        return True
    return frame.file.endswith((".go", ".s")) and _GO_STANDARD.match(frame.function) is not None


def site_of(stack: Sequence[Frame], library: Callable[[Frame], bool] = is_library) -> Site:
    """The site of one stack, root first; the leaf itself where all of it is library code."""
    own = next((frame for frame in reversed(stack) if not library(frame)), stack[-1] if stack else Frame("?"))
    return Site(own.function, own.file, own.line, stack=tuple(frame.function for frame in stack))


def cluster(
    stacks: Sequence[Sequence[Frame]], values: F64, library: Callable[[Frame], bool] = is_library
) -> tuple[tuple[Site, ...], F64]:
    """Add up stacks of the same site.

    Works once per distinct stack of one service, which are some thousands at most.

    Args:
        stacks: s stacks, root first.
        values: s x n values.
        library: which frames are not to be blamed.

    Returns:
        k sites, each with the stack that held most, and k x n values.
    """
    sites = [site_of(stack, library) for stack in stacks]
    codes: dict[tuple[str, str, str], int] = {}
    code = np.array([codes.setdefault(_key(site), len(codes)) for site in sites], dtype=np.int64)
    summed = np.zeros((len(codes), values.shape[1]))
    np.add.at(summed, code, values)
    return tuple(sites[at] for at in _heaviest(code, values.max(axis=1, initial=0.0))), summed


def _key(site: Site) -> tuple[str, str, str]:
    return site.function, site.file, site.stack[-1] if site.stack else ""


def _heaviest(code: I64, weight: F64) -> I64:
    """The position of the heaviest member of each code, codes ascending."""
    order = np.lexsort((-weight, code))
    firsts = np.flatnonzero(np.diff(code[order], prepend=-1))
    result: I64 = order[firsts]
    return result
