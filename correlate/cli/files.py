"""`correlate import`: files into the lake, by the same road as requests."""

from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from correlate import bootstrap
from correlate.demo import traffic
from correlate.errors import BadInput, CorrelateError, Malformed
from correlate.formats import inflate, registry
from correlate.model.payload import Encoding, PayloadKind, RawPayload
from correlate.ports import Receipt
from correlate.services.ingest import Accepted
from correlate.settings import Settings

_MAX_WAITING = 64
_LONGEST_START_BYTES = 64 << 20
_KINDS = {
    "/v1/traces": PayloadKind.OTLP_TRACES,
    "/v1/profiles": PayloadKind.OTLP_PROFILES,
    "/v1development/profiles": PayloadKind.OTLP_PROFILES,
    "/v1experimental/profiles": PayloadKind.OTLP_PROFILES_EXPERIMENTAL,
    "/push.v1.PusherService/Push": PayloadKind.PYROSCOPE_PUSH,
    "/ingest": PayloadKind.PYROSCOPE_INGEST,
}


def import_files(
    settings: Settings, files: list[Path], params: Mapping[str, str], console: Console, *, end_now: bool
) -> int:
    """Load files; says for each what was stored, what was there already, and what was refused and why.

    Args:
        settings: where the lake is.
        files: what to load.
        params: what the files do not say themselves: ``service``, ``name``.
        console: where to report.
        end_now: date recorded traffic so that it ends now.

    Returns:
        How many files could not be loaded at all.
    """
    failed = 0
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with bootstrap.running(settings) as services, Progress(*columns, console=console, transient=True) as progress:
        for path in files:
            task = progress.add_task(path.name, total=None)
            try:
                payloads = list(_payloads(path, params, services, end_now=end_now))
                progress.update(task, total=len(payloads))
                summary = _load(services, payloads, lambda: progress.advance(task))  # noqa: B023 used within the turn
            except (CorrelateError, OSError) as exc:
                failed += 1
                summary = f"not loaded: {exc}"
            progress.remove_task(task)
            console.print(f"{path}: {summary}", markup=False, highlight=False, soft_wrap=True)
    return failed


def _payloads(
    path: Path, params: Mapping[str, str], services: bootstrap.Services, *, end_now: bool
) -> Iterator[RawPayload]:
    body = path.read_bytes()
    now_ns = services.clock.now_ns()
    if _is_recording(body):
        requests = list(traffic.read(path))
        for request in traffic.ending_at(requests, now_ns) if end_now else requests:
            yield _recorded(request)
        return
    kind = registry.sniff(body, path.name)
    encoding = Encoding.JSON if body.lstrip()[:1] == b"{" else Encoding.PROTOBUF
    yield RawPayload(kind, body, now_ns, encoding=encoding, sender=path.name, params=params)


def _is_recording(body: bytes) -> bool:
    """Whether the first line of a file, gzip or not, is a recorded request."""
    try:
        start = inflate.gunzip(body) if body[:2] == inflate.GZIP_MAGIC else body
    except BadInput:
        return False
    first_line = start[:_LONGEST_START_BYTES].split(b"\n", 1)[0]
    return first_line.startswith(b"{") and b'"received_at"' in first_line and b'"body_b64"' in first_line


def _recorded(request: traffic.Recorded) -> RawPayload:
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


def _load(services: bootstrap.Services, payloads: list[RawPayload], advance: Callable[[], None]) -> str:
    """Send payloads through the ingest, a limited number at a time, and sum up what became of them."""
    waiting: deque[Accepted] = deque()
    receipts: list[Receipt] = []
    reasons: Counter[str] = Counter()
    for payload in payloads:
        accepted = services.ingest.accept(payload)
        reasons.update({reject.reason: reject.count for reject in accepted.rejects})
        waiting.append(accepted)
        if len(waiting) >= _MAX_WAITING:
            receipts.append(waiting.popleft().committed.result())
        advance()
    receipts += [accepted.committed.result() for accepted in waiting]
    return _summary(receipts, reasons)


def _summary(receipts: list[Receipt], reasons: Counter[str]) -> str:
    spans, profiles, samples = (sum(getattr(r, part) for r in receipts) for part in ("spans", "profiles", "samples"))
    parts = [f"{spans:,} spans, {profiles:,} profiles with {samples:,} sample rows stored"]
    known = sum(receipt.duplicates for receipt in receipts)
    if known:
        parts.append(f"{known:,} requests or profiles were there already")
    parts += [f"refused: {reason}" for reason in reasons]
    return "; ".join(parts)
