"""What pulling and other work writes down."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from correlate.model.payload import RawPayload


class Watermarks(Protocol):
    """Up to when each source is stored completely. The only truth about what is due."""

    def until_ns(self, source: str, scope: str = "") -> int | None:
        """Up to when, nanoseconds since the Unix epoch; None when nothing was pulled yet."""
        ...

    def advance(self, source: str, scope: str, from_ns: int | None, until_ns: int) -> bool:
        """Move on, if it still stands where the caller saw it; False when somebody else moved it meanwhile."""
        ...


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to be the only one who does something, for a while.

    Attributes:
        name: of what.
        holder: who has it.
        term: tells it from every other time the lease was taken.
    """

    name: str
    holder: str
    term: int


class Leases(Protocol):
    """Who may do what alone. A holder that dies is replaced when its lease expires."""

    def acquire(self, name: str, holder: str, ttl_s: float) -> Lease | None:
        """Take a lease that is free or expired; None when it is not to be had."""
        ...

    def renew(self, lease: Lease, ttl_s: float) -> bool:
        """Keep it for some seconds from now; False when it was lost to somebody else."""
        ...

    def release(self, lease: Lease) -> None:
        """Give it back; one that was lost is left alone."""
        ...

    def holder(self, name: str) -> str | None:
        """Who has it now."""
        ...


@dataclass(frozen=True, slots=True)
class Part:
    """How one part of a source is, for instance one target of a scrape.

    Attributes:
        name: which.
        ok: whether it is as it should be.
        text: one sentence.
    """

    name: str
    ok: bool
    text: str


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """What is known of a source: how the last pull went, and sums since it was first pulled.

    Attributes:
        source: its name.
        kind: what it is, for instance ``tempo``.
        place: its address, without credentials.
        configured: whether the configuration names it now.
        last_ok_ns: when a pull last succeeded; 0: never.
        last_error: of the last pull that failed.
        last_error_ns: when that was; 0: never.
        retry_at_ns: not before then it is asked again; 0: whenever it is due.
        failures_in_a_row: pulls that failed since the last that succeeded.
        last_pull_seconds: how long the last pull took.
        pulls: pulls that succeeded.
        failures: pulls that failed.
        payloads: payloads that were fetched.
        spans: span rows stored.
        profiles: profiles stored.
        samples: sample rows stored.
        duplicates: spans, payloads and profiles that were there already.
        rejects: parts of payloads that were refused.
        dead: payloads that became dead letters.
        parts: how its parts are.
    """

    source: str
    kind: str = ""
    place: str = ""
    configured: bool = True
    last_ok_ns: int = 0
    last_error: str = ""
    last_error_ns: int = 0
    retry_at_ns: int = 0
    failures_in_a_row: int = 0
    last_pull_seconds: float = 0.0
    pulls: int = 0
    failures: int = 0
    payloads: int = 0
    spans: int = 0
    profiles: int = 0
    samples: int = 0
    duplicates: int = 0
    rejects: int = 0
    dead: int = 0
    parts: tuple[Part, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the last pull succeeded, or there was none yet."""
        return self.failures_in_a_row == 0


class SourceStatuses(Protocol):
    """How the sources are."""

    def get(self, source: str) -> SourceStatus:
        """One of them; all zeros when it was never pulled."""
        ...

    def put(self, status: SourceStatus) -> None:
        """Replace one, except what `configure` decides."""
        ...

    def configure(self, sources: Sequence[SourceStatus]) -> None:
        """These are the sources now, by name, kind and place; others are kept as no longer configured."""
        ...

    def all(self) -> list[SourceStatus]:
        """All of them, by name."""
        ...


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A payload that could not be read, kept until somebody looks.

    Attributes:
        id: names it.
        source: where it came from.
        reason: why it could not be read, one sentence.
        kind: of the payload.
        params: of the payload.
        body_bytes: its size.
        kept: whether its body is there, so that it can be replayed; too large ones are only noted.
        attempts: how often it was tried.
        created_ns: when it was first tried.
    """

    id: int
    source: str
    reason: str
    kind: str
    body_bytes: int
    kept: bool
    attempts: int
    created_ns: int
    params: Mapping[str, str] = field(default_factory=dict)


class DeadLetters(Protocol):
    """What could not be read, bounded in number and size: the oldest make room."""

    def add(self, source: str, payload: RawPayload, reason: str) -> None:
        """Keep a payload; one that is there already is kept once."""
        ...

    def list(self, source: str | None = None, *, limit: int = 100) -> Sequence[DeadLetter]:
        """The newest first."""
        ...

    def payload(self, letter: int) -> RawPayload:
        """The payload as it came.

        Raises:
            NotFound: there is no such letter, or its body was too large to keep.
        """
        ...

    def failed_again(self, letter: int, reason: str) -> None:
        """It was tried once more in vain."""
        ...

    def remove(self, letter: int) -> None:
        """It is settled."""
        ...

    def count(self) -> int:
        """How many there are."""
        ...
