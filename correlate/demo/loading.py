"""Payloads into the store without sockets: for files, for recordings, and for a notebook that opens a lake itself."""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from correlate.demo import traffic
from correlate.errors import Malformed
from correlate.formats import inflate
from correlate.model.payload import Encoding, PayloadKind, RawPayload
from correlate.ports import Receipt
from correlate.services.ingest import Accepted, Ingest
from correlate.settings import Settings
from correlate.settings import load as load_settings

_MAX_WAITING: Final = 64
"""Payloads queued at once; beyond it the oldest is awaited, so that a large file cannot fill the queue."""

_KINDS: Final = {
    "/v1/traces": PayloadKind.OTLP_TRACES,
    "/v1/profiles": PayloadKind.OTLP_PROFILES,
    "/v1development/profiles": PayloadKind.OTLP_PROFILES,
    "/v1experimental/profiles": PayloadKind.OTLP_PROFILES_EXPERIMENTAL,
    "/push.v1.PusherService/Push": PayloadKind.PYROSCOPE_PUSH,
    "/ingest": PayloadKind.PYROSCOPE_INGEST,
}
"""What goes to which path of a server."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What became of some payloads, once all of them are committed.

    Attributes:
        receipt: what was stored, and what was there already.
        refused: parts that were refused: how many, by reason.
    """

    receipt: Receipt
    refused: Mapping[str, int]


def settings_within(folder: Path, **overrides: Any) -> Settings:
    """Settings that keep everything inside a folder, and tell nobody, whatever production system the environment names.

    Args:
        folder: for the lake and the state database.
        overrides: further settings; None counts as not given.

    Raises:
        ConfigError: a value is wrong, here or in the environment.
    """
    inside = {
        "data_dir": folder,
        "lake_url": str(folder / "lake"),
        "state_url": f"sqlite:///{folder.absolute() / 'state.db'}",
        "sources": [],
        "forward": [],
        "receivers": [],
    }
    return load_settings(None, **inside, **overrides)


def load_shipped(ingest: Ingest, end_ns: int) -> Loaded:
    """Load the recording that comes with the package, dated so that it ends at `end_ns` since the Unix epoch.

    Raises:
        StoreError: it could not be committed.
    """
    return load(ingest, map(payload_of, traffic.ending_at(list(traffic.shipped()), end_ns)))


def load(ingest: Ingest, payloads: Iterable[RawPayload], on_each: Callable[[], object] | None = None) -> Loaded:
    """Send payloads through the ingest, a limited number at a time, and wait until the last is committed.

    Args:
        ingest: the way in.
        payloads: what to load.
        on_each: called after each payload was read and queued.

    Raises:
        BadInput: nothing of a payload can be used; those before it may be stored.
        Overloaded: the queue is full, because others are loading too.
        StoreError: a commit failed.
    """
    waiting: deque[Accepted] = deque()
    receipts: list[Receipt] = []
    refused: Counter[str] = Counter()
    for payload in payloads:
        accepted = ingest.accept(payload)
        for reject in accepted.rejects:
            refused[reject.reason] += reject.count
        waiting.append(accepted)
        if len(waiting) >= _MAX_WAITING:
            receipts.append(waiting.popleft().committed.result())
        if on_each:
            on_each()
    receipts += [accepted.committed.result() for accepted in waiting]
    return Loaded(_sum(receipts), refused)


def payload_of(request: traffic.Recorded) -> RawPayload:
    """A recorded request as its receiver would see it.

    Raises:
        Malformed: it was posted to a path that is none of the receivers', or is compressed in an unusual way.
    """
    url = urlsplit(request.path)
    if url.path not in _KINDS:
        raise Malformed(f"a recorded request went to {url.path!r}, where no spans or profiles go")
    coding = request.headers.get("content-encoding", "identity")
    if coding not in ("identity", "gzip"):
        raise Malformed(f"a recorded request is compressed with {coding!r}; only gzip is read from recordings")
    content_type = request.headers.get("content-type", "")
    return RawPayload(
        kind=_KINDS[url.path],
        body=inflate.gunzip(request.body) if coding == "gzip" else request.body,
        received_ns=int(request.received_at_s * 1e9),
        encoding=Encoding.JSON if "json" in content_type else Encoding.PROTOBUF,
        content_type=content_type,
        sender=request.headers.get("user-agent", ""),
        params=dict(parse_qsl(url.query)),
    )


def _sum(receipts: list[Receipt]) -> Receipt:
    return Receipt(
        spans=sum(receipt.spans for receipt in receipts),
        samples=sum(receipt.samples for receipt in receipts),
        profiles=sum(receipt.profiles for receipt in receipts),
        duplicates=sum(receipt.duplicates for receipt in receipts),
    )
