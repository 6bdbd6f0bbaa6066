"""Asking sources, while somebody waits, for the trace or the samples that a question turns out to lack."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, TypeVar

import polars as pl

from correlate.errors import CorrelateError, NoProfile, SourceError
from correlate.joins.scope import span_info
from correlate.model.answers import Method, Reason, Scope, SpanInfo
from correlate.model.ids import TraceId, format_span_id
from correlate.model.payload import RawPayload
from correlate.model.profile_type import choose
from correlate.model.queries import SampleFilter
from correlate.ports import Lake, OnDemand
from correlate.services.answers import Profile
from correlate.services.errands import Errands
from correlate.services.evidence import FETCHED
from correlate.services.explain import Explain
from correlate.services.fresh import without_stored_spans
from correlate.services.ingest import Ingest
from correlate.tables.hashing import hash_one
from correlate.tables.tables import concat

T = TypeVar("T")

_LOG: Final = logging.getLogger(__name__)
_COMMIT_S: Final = 30.0
_SPANS: Final = 512
_SPAN_COLUMNS: Final = (
    *("trace_hi", "trace_lo", "span", "parent", "service", "name", "kind", "status"),
    *("start_ns", "duration_ns", "profile_ref"),
)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for sources, and for how long not to ask them the same again.

    Attributes:
        wait_s: longest time that a question waits.
        remember_s: how long what was asked for is not asked for again.
        monotonic_s: seconds since any moment, never going back.
    """

    wait_s: float = 5.0
    remember_s: float = 30.0
    monotonic_s: Callable[[], float] = time.monotonic


class Fetcher:
    """Brings single traces and the samples of their spans into the lake, on the road that everything takes."""

    def __init__(self, ingest: Ingest, lake: Lake, *, skew_ns: int) -> None:
        """Wire it up.

        Args:
            ingest: the way into the lake.
            lake: tells what is stored.
            skew_ns: how far clocks of spans and profiles may be apart.
        """
        self._ingest = ingest
        self._lake = lake
        self._skew_ns = skew_ns

    def trace(self, sources: Sequence[OnDemand], trace: TraceId) -> list[str]:
        """Fetch a trace from the first source that has it; sentences on what went wrong."""
        notes: list[str] = []
        for source in sources:
            if self._taken(source, partial(source.trace, trace), notes):
                break
        return notes

    def profiles(self, sources: Sequence[OnDemand], trace: TraceId, wanted_type: str) -> list[str]:
        """Fetch the samples of all spans of a trace of which the lake has none; sentences on what went wrong.

        Of all spans whatever the question's scope: were those of one span stored alone, its subtree would look as
        if it had no more.
        """
        notes: list[str] = []
        spans = self._without_samples(trace, wanted_type)
        for source in sources:
            if not spans:
                break
            ask = partial(_marked, partial(source.span_profiles, spans, wanted_type))
            given = {payload.params.get("span_id") for payload in self._taken(source, ask, notes)}
            spans = [span for span in spans if format_span_id(span.span) not in given]
        return notes

    def _without_samples(self, trace: TraceId, wanted_type: str) -> list[SpanInfo]:
        """The longest spans of a trace, without those that stored samples of the type name."""
        rows = self._lake.spans_of_trace(trace, _SPAN_COLUMNS)
        if rows.is_empty():
            return []
        types = choose(wanted_type, self._lake.profile_types()["type"].unique().sort().to_list())
        if types:
            starts = rows["start_ns"].to_numpy()
            wanted = SampleFilter(
                service_ids=(),
                type_ids=tuple(map(hash_one, types)),
                start_ns=int(starts.min()) - self._skew_ns,
                end_ns=int((starts + rows["duration_ns"].to_numpy()).max()) + self._skew_ns,
                spans=tuple(rows["span"].unique().to_list()),
            )
            rows = rows.join(self._lake.samples(wanted, ("span",)).unique(), on="span", how="anti")
        chosen = rows.sort("duration_ns", descending=True).head(_SPANS)
        return [span_info(row) for row in chosen.iter_rows(named=True)]

    def _taken(
        self, source: OnDemand, ask: Callable[[], Iterator[RawPayload]], notes: list[str]
    ) -> Sequence[RawPayload]:
        """What a source gives, stored; nothing and a note when that fails, or ends before its end."""
        try:
            payloads = tuple(ask())
            self._store(payloads)
        except (KeyboardInterrupt, SystemExit, MemoryError):
            raise
        except SourceError as exc:
            return _noted(notes, f"{source.name} was asked and did not answer: {exc}")
        except (CorrelateError, TimeoutError) as exc:
            return _noted(notes, f"what {source.name} has of it could not be taken: {exc}")
        except BaseException as exc:  # noqa: BLE001  decoders in Rust panic with a BaseException; a question survives it
            _LOG.exception("asking %s broke", source.name)
            notes.append(f"asking {source.name} met a defect, see the log: {type(exc).__name__}")
            return ()
        return payloads

    def _store(self, payloads: Sequence[RawPayload]) -> None:
        """Store payloads in one commit, without what is there."""
        if not payloads:
            return
        tables, _ = without_stored_spans(concat([self._ingest.read(payload) for payload in payloads]), self._lake)
        if len(tables.spans) or len(tables.profiles):
            self._ingest.submit(tables).result(_COMMIT_S)


@dataclass(frozen=True, slots=True)
class _Desk:
    """Sources that can be asked, and what they are being asked."""

    sources: Sequence[OnDemand]
    errands: Errands


class Fetching:
    """`Explain` that asks sources for what is not stored and answers again; without sources it is `Explain`."""

    def __init__(self, explain: Explain, fetcher: Fetcher, patience: Patience | None = None) -> None:
        """Wire it up, at first without sources.

        Args:
            explain: answers from the lake.
            fetcher: brings what is missing into the lake.
            patience: how long to wait for it.
        """
        self._explain = explain
        self._fetcher = fetcher
        self._patience = patience or Patience()
        self._desk: _Desk | None = None

    @contextmanager
    def asking(self, sources: Sequence[OnDemand]) -> Iterator[None]:
        """Ask some sources for what is missing, in their order, until the block is left."""
        if not sources:
            yield
            return
        patience = self._patience
        errands = Errands(remember_s=patience.remember_s, monotonic_s=patience.monotonic_s)
        self._desk = _Desk(sources, errands)
        try:
            yield
        finally:
            self._desk = None
            errands.close()

    def trace(self, trace: TraceId) -> pl.DataFrame:
        """The spans of a trace; see `Explain.trace`.

        Raises:
            NoProfile: the trace is not stored, and no source gave it.
        """
        return self._answered(lambda: self._explain.trace(trace), trace)

    def span(self, trace: TraceId, span: int) -> SpanInfo:
        """One span; see `Explain.span`.

        Raises:
            NoProfile: it is not stored, and no source gave it.
        """
        return self._answered(lambda: self._explain.span(trace, span), trace)

    def span_profile(
        self,
        trace: TraceId,
        span: int,
        *,
        wanted_type: str = "cpu",
        scope_wanted: Scope = Scope.SUBTREE,
        method: Method = Method.AUTO,
    ) -> Profile:
        """The profile of one span; see `Explain.span_profile`.

        Samples are asked for only where any evidence would do: those that come name their span by a label, and
        where the lake has other evidence they would count the same work twice.

        Raises:
            NoProfile: the span is unknown or has no samples, and no source gave them.
            BadQuery: the profile type is neither an alias nor an id.
        """

        def ask() -> Profile:
            return self._explain.span_profile(
                trace, span, wanted_type=wanted_type, scope_wanted=scope_wanted, method=method
            )

        profile = self._answered(ask, trace, wanted_type if method is Method.AUTO else None)
        return self._surer(profile, ask, trace, wanted_type) if method is Method.AUTO else profile

    def _surer(self, profile: Profile, ask: Callable[[], Profile], trace: TraceId, wanted_type: str) -> Profile:
        """Where an answer is inferred, ask the sources for samples that name the spans, and answer again."""
        desk = self._desk
        if desk is None or profile.confidence.level == "exact":
            return profile
        key = (trace, wanted_type)
        desk.errands.run(key, lambda: self._fetcher.profiles(desk.sources, trace, wanted_type), self._patience.wait_s)
        return ask()

    def bring(self, trace: TraceId, wait_s: float) -> list[str] | None:
        """Take what the sources have of a trace into the lake, whatever is there of it.

        Args:
            trace: which one.
            wait_s: how long to wait for it; it goes on afterwards.

        Returns:
            Sentences on what went wrong: with any, a span that is not there now may still exist. None when there is
            nobody to ask.
        """
        desk = self._desk
        if desk is None:
            return None
        return desk.errands.run((trace, ""), lambda: self._fetcher.trace(desk.sources, trace), wait_s)

    def _answered(self, ask: Callable[[], T], trace: TraceId, wanted_type: str | None = None) -> T:
        """Answer; if that fails fetch the trace, then the samples, and answer after each."""
        desk = self._desk
        try:
            return ask()
        except NoProfile as exc:
            if desk is None:
                raise
            missing = exc
        ends_s = self._patience.monotonic_s() + self._patience.wait_s
        notes: list[str] = []
        for unknown_span, key, job in self._errands(desk, trace, wanted_type):
            if unknown_span is not (missing.reason == Reason.UNKNOWN_SPAN):
                continue
            notes += desk.errands.run(key, job, ends_s - self._patience.monotonic_s())
            try:
                return ask()
            except NoProfile as exc:
                missing = exc
        raise _with_notes(missing, notes)

    def _errands(
        self, desk: _Desk, trace: TraceId, wanted_type: str | None
    ) -> Iterator[tuple[bool, tuple[TraceId, str], Callable[[], list[str]]]]:
        """What to fetch: whether it helps when the span is unknown (or when it is known), a key, and how."""
        yield True, (trace, ""), lambda: self._fetcher.trace(desk.sources, trace)
        if wanted_type is not None:
            yield False, (trace, wanted_type), lambda: self._fetcher.profiles(desk.sources, trace, wanted_type)


def _marked(ask: Callable[[], Iterator[RawPayload]]) -> Iterator[RawPayload]:
    """What a source gives, with a label that tells it from the profiles of whole processes."""
    for payload in ask():
        yield replace(payload, params={**payload.params, f"label.{FETCHED}": "span"})


def _noted(notes: list[str], text: str) -> tuple[RawPayload, ...]:
    _LOG.warning("on demand: %s", text)
    notes.append(text)
    return ()


def _with_notes(missing: NoProfile, notes: Sequence[str]) -> NoProfile:
    text = "; ".join([str(missing), *dict.fromkeys(notes)])
    return NoProfile(text, reason=missing.reason, details=missing.details)
