"""A source that does what a test tells it to."""

from collections.abc import Callable, Iterator

from correlate.errors import Malformed
from correlate.model.payload import PayloadKind, RawPayload
from correlate.model.queries import TimeRange
from correlate.ports import Finding
from correlate.tables.tables import Tables

S = 1_000_000_000


class FakeSource:
    """Holds items with a time each, and gives those of a window, one payload each.

    Attributes:
        items: time in nanoseconds and body of each.
        windows: that were asked for.
        lag_s: see `settled_until_ns`.
        before: called before each payload is given, with its number since the start; raises what a test wants.
    """

    def __init__(self, name: str = "fake", *items: tuple[int, bytes], lag_s: float = 0.0) -> None:
        self.items = list(items)
        self.windows: list[TimeRange] = []
        self.lag_s = lag_s
        self.params: dict[str, str] = {}
        self.kind = PayloadKind.OTLP_TRACES
        self.before: Callable[[int], None] = lambda _: None
        self._name = name
        self._given = 0

    @property
    def name(self) -> str:
        return self._name

    def check(self) -> list[Finding]:
        return [Finding(ok=True, text="it is there")]

    def fetch(self, window: TimeRange) -> Iterator[RawPayload]:
        self.windows.append(window)
        for at_ns, body in list(self.items):
            if window.start_ns <= at_ns < window.end_ns:
                self.before(self._given)
                self._given += 1
                yield RawPayload(self.kind, body, at_ns, params=self.params)

    def settled_until_ns(self, now_ns: int) -> int:
        return now_ns - int(self.lag_s * S)


class Reader:
    """Reads bodies by looking them up.

    Attributes:
        known: tables by body; other bodies are malformed.
        panics: whether the body ``panic`` breaks it.
    """

    def __init__(self) -> None:
        self.known: dict[bytes, Tables] = {}
        self.panics = True

    def __call__(self, payload: RawPayload) -> Tables:
        if payload.body == b"panic" and self.panics:
            raise Panic
        if payload.body not in self.known:
            raise Malformed(f"what is {payload.body!r}?")
        return self.known[payload.body]


class Panic(BaseException):
    """What Rust does."""
