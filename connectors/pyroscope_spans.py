"""Profiles of single spans and traces, asked for only in ways that are known to be honoured.

A server that does not know a selector ignores it and answers with everything (Pyroscope up to 2.2 in
``SelectMergeStacktraces``, versions before 2.2 on the pprof path, grafana/pyroscope#5273). So before a way of asking
is trusted it is asked for a span that cannot exist, where there are samples: only the answer "none" earns trust.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, NamedTuple

from connectors.pyroscope_api import Pair, PyroscopeApi
from connectors.pyroscope_wire import MergeQuery
from correlate.errors import BadQuery, SourceRefused

_HEX: Final = frozenset("0123456789abcdef")
_NOBODY: Final = "f"


class Selector(StrEnum):
    """What samples are selected by."""

    SPANS = "spans"
    TRACES = "traces"


class Selected(NamedTuple):
    """Samples as the server gave them.

    Attributes:
        body: pprof, uncompressed, or collapsed stacks.
        is_pprof: which of the two.
    """

    body: bytes
    is_pprof: bool


@dataclass(frozen=True, slots=True)
class _Way:
    """One way of asking: its answer is empty when there are no samples, None when the server does not offer it."""

    name: str
    is_pprof: bool
    ask: Callable[[PyroscopeApi, MergeQuery], bytes | None]


_PPROF: Final = _Way("SelectMergeStacktraces as pprof", True, PyroscopeApi.selected_pprof)
_SPAN_TREE: Final = _Way(
    "SelectMergeSpanProfile", False, lambda api, query: api.selected_stacks("SelectMergeSpanProfile", query)
)
_TREE: Final = _Way(
    "SelectMergeStacktraces as tree", False, lambda api, query: api.selected_stacks("SelectMergeStacktraces", query)
)
_WAYS: Final = {Selector.SPANS: (_PPROF, _SPAN_TREE), Selector.TRACES: (_PPROF, _TREE)}
"""Best first: pprof has lines and files, a tree has function names only."""


class SpanProfiles:
    """Asks for samples by span or trace, in the best way that this server honours, which it remembers."""

    def __init__(self, api: PyroscopeApi) -> None:
        self._api = api
        self._trusted: dict[Selector, _Way | None] = {}

    def way(self, selector: Selector, query: MergeQuery) -> str | None:
        """Name the way that is honoured, empty when none is; None when that cannot be told for want of samples.

        Args:
            selector: what samples are selected by.
            query: where to look for samples; its spans and traces are not used.

        Raises:
            SourceError: it could not be asked.
        """
        known = self._known(selector, query)
        return None if not known else known[0].name if known[0] else ""

    def select(self, selector: Selector, ids: Sequence[str], query: MergeQuery) -> Selected | None:
        """The samples of some spans or traces merged into one profile; None when there are none.

        Raises:
            BadQuery: no ids, or ids that are none: the server would take that for "all samples".
            SourceRefused: the server honours no way of asking.
            SourceError: it could not be asked.
        """
        wanted = checked_ids(selector, ids)
        known = self._known(selector, query)
        if not known:
            return None
        way = known[0]
        if way is None:
            raise SourceRefused(
                f"{self._api.who} does not select samples by {selector}: it would refuse or answer with all of "
                "them; use a newer Pyroscope (1.0 for spans, 2.2 with v2 storage for traces), or the join by time"
            )
        body = way.ask(self._api, _of(selector, query, wanted))
        return Selected(body, way.is_pprof) if body else None

    def _known(self, selector: Selector, query: MergeQuery) -> tuple[_Way | None] | None:
        """The trusted way in a tuple, found out once; None as long as there are no samples to try it on."""
        if selector not in self._trusted:
            plain = replace(query, spans=(), traces=())
            if self._api.merged_profile(plain) is None:
                return None
            self._trusted[selector] = next(
                (way for way in _WAYS[selector] if self._honoured(way, selector, plain)), None
            )
        return (self._trusted[selector],)

    def _honoured(self, way: _Way, selector: Selector, query: MergeQuery) -> bool:
        nobody = _NOBODY * _digits(selector)
        try:
            return way.ask(self._api, _of(selector, query, (nobody,))) == b""
        except SourceRefused:  # an unknown format, or selectors that the read path rejects
            return False


def checked_ids(selector: Selector, ids: Sequence[str]) -> tuple[str, ...]:
    """Ids in the form the server wants.

    Raises:
        BadQuery: there are none, or one has not the right number of hexadecimal digits.
    """
    wanted = tuple(dict.fromkeys(each.lower() for each in ids))
    digits = _digits(selector)
    if not wanted:
        raise BadQuery(f"no {selector} given: name at least one id of {digits} hexadecimal digits")
    for each in wanted:
        if len(each) != digits or not _HEX.issuperset(each) or set(each) == {"0"}:
            raise BadQuery(
                f"{each[:40]!r} is no id of {digits} hexadecimal digits, such as {'9a517183f26a089d' * (digits // 16)}"
            )
    return wanted


def _digits(selector: Selector) -> int:
    return 16 if selector is Selector.SPANS else 32


def _of(selector: Selector, query: MergeQuery, ids: tuple[str, ...]) -> MergeQuery:
    return replace(query, spans=ids) if selector is Selector.SPANS else replace(query, traces=ids)


def probe_query(pair: Pair, start_ms: int, end_ms: int) -> MergeQuery:
    """A question for all samples of a pair."""
    return MergeQuery(pair.profile_type, pair.selector, start_ms, end_ms)
