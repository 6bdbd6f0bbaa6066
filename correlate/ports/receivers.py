"""Systems that are told about alerts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from correlate.model.alerts import Alert, Notification


class AlertReceiver(Protocol):
    """A system that is told about alerts; may be used by several threads at once."""

    @property
    def name(self) -> str:
        """What the configuration calls it, unique."""
        ...

    def deliver(self, notification: Notification) -> None:
        """Tell it, once; it took the notification when nothing is raised.

        Raises:
            SourceRefused: it will never take this one, or the configuration is wrong.
            SourceError: it may take it later; `SourceTooSlow.retry_after_s` says when it wants to be asked again.
        """
        ...


@dataclass(frozen=True, slots=True)
class Recipient:
    """A receiver, and how it wants to be told.

    Attributes:
        receiver: the receiver.
        kind: what it is, for instance ``slack``.
        place: its address, without credentials and secret paths.
        rate_per_s: notifications in a second, in the long run.
        burst: notifications at once after a quiet time.
        at_once: notifications under way at the same time; those of one group never are.
        lease_s: longer than telling it takes; so long after a process died another one tells it.
        give_up_after_s: how long something is tried that it does not take.
        repeat_every_s: how often it is told everything again; 0: it remembers what it was told.
        repeat: tells it everything again; raises as `AlertReceiver.deliver` does.
        repeat_resolved_s: for how long that includes what was resolved.
        close: closes its connections.
    """

    receiver: AlertReceiver
    kind: str
    place: str
    rate_per_s: float = 10.0
    burst: int = 20
    at_once: int = 4
    lease_s: float = 30.0
    give_up_after_s: float = 259_200.0
    repeat_every_s: float = 0.0
    repeat: Callable[[Sequence[Alert]], None] | None = None
    repeat_resolved_s: float = 300.0
    close: Callable[[], None] = lambda: None

    @property
    def name(self) -> str:
        """What the configuration calls it."""
        return self.receiver.name


class Facts(Protocol):
    """Small facts by key that outlive the process."""

    def get(self, key: str) -> str | None:
        """The value kept under a key, None when there is none."""
        ...

    def put(self, key: str, value: str) -> None:
        """Keep a value under a key, instead of what was there."""
        ...
