"""Passing on what came in: where to, what of it, and what a target made of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from correlate.model.payload import PayloadKind


class TargetKind(StrEnum):
    """What a target speaks."""

    OTLP_HTTP = "otlp_http"
    OTLP_GRPC = "otlp_grpc"
    PYROSCOPE = "pyroscope"


class ForwardSignal(StrEnum):
    """What can be passed on, by the protocol it came in."""

    TRACES = "traces"
    OTLP_PROFILES = "otlp_profiles"
    PYROSCOPE_PROFILES = "pyroscope_profiles"


SIGNAL_OF: Final = {
    PayloadKind.OTLP_TRACES: ForwardSignal.TRACES,
    PayloadKind.OTLP_PROFILES: ForwardSignal.OTLP_PROFILES,
    PayloadKind.OTLP_PROFILES_EXPERIMENTAL: ForwardSignal.OTLP_PROFILES,
    PayloadKind.PYROSCOPE_PUSH: ForwardSignal.PYROSCOPE_PROFILES,
    PayloadKind.PYROSCOPE_INGEST: ForwardSignal.PYROSCOPE_PROFILES,
}
"""Which payloads can be passed on; others come from files and are nobody else's."""

CARRIED: Final = {
    TargetKind.OTLP_HTTP: frozenset({ForwardSignal.TRACES, ForwardSignal.OTLP_PROFILES}),
    TargetKind.OTLP_GRPC: frozenset({ForwardSignal.TRACES, ForwardSignal.OTLP_PROFILES}),
    TargetKind.PYROSCOPE: frozenset({ForwardSignal.PYROSCOPE_PROFILES, ForwardSignal.OTLP_PROFILES}),
}
"""What each kind of target understands."""


class WhenFull(StrEnum):
    """What happens to new payloads while a target's queue is full."""

    DROP = "drop"
    """They are stored here and not passed on; they are counted."""
    REFUSE = "refuse"
    """Their senders are told to come back later."""


@dataclass(frozen=True, slots=True)
class Target:
    """One system that gets what came in, as it came.

    Attributes:
        name: in messages, metrics and the name of its queue's folder.
        kind: what it speaks.
        url: base address; ``host:port``, with ``http://`` or ``https://`` before it, for gRPC too.
        signals: what of all is passed on.
        unreadable: pass on what correlate itself cannot read, for instance JFR; its sender is told no nevertheless.
        tenant: sent as ``X-Scope-OrgID``.
        headers: further headers, or gRPC metadata.
        bearer_token: sent as ``Authorization: Bearer``.
        basic_user: for basic authentication.
        basic_password: its password.
        ca_file: PEM file with the certificates to trust instead of the system's.
        timeout_s: longest time for one attempt.
        compress: send bodies compressed with gzip where the protocol says how.
        max_bytes: how much may wait on disk.
        when_full: what happens beyond that.
        wait_s: how long a request may wait for room in the queue.
    """

    name: str
    kind: TargetKind
    url: str
    signals: frozenset[ForwardSignal]
    unreadable: bool = False
    tenant: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    bearer_token: str = field(default="", repr=False)
    basic_user: str = ""
    basic_password: str = field(default="", repr=False)
    ca_file: str = ""
    timeout_s: float = 10.0
    compress: bool = True
    max_bytes: int = 1 << 30
    when_full: WhenFull = WhenFull.DROP
    wait_s: float = 0.0

    def takes(self, kind: PayloadKind) -> bool:
        """Whether payloads of a kind are passed on to it."""
        return SIGNAL_OF.get(kind) in self.signals


class Fate(StrEnum):
    """What a target made of a payload."""

    DELIVERED = "delivered"
    LATER = "later"
    """Nothing was wrong with it: the target is down, slow, limits us, or does not let us in. It stays first in line."""
    DOUBTFUL = "doubtful"
    """An internal error: its own trouble or this payload's. Tried a few times, then refused."""
    REFUSED = "refused"
    """It will never be taken; it would block all others."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How an attempt to pass something on ended.

    Attributes:
        fate: what to do with it.
        reason: one sentence, for people.
        wait_s: what the target asked for before the next attempt.
    """

    fate: Fate
    reason: str = ""
    wait_s: float | None = None


DELIVERED: Final = Verdict(Fate.DELIVERED)
