"""`correlate import`: files into the lake, by the same road as requests."""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from correlate import bootstrap
from correlate.demo import traffic
from correlate.demo.loading import Loaded, load, payload_of
from correlate.errors import BadInput, CorrelateError
from correlate.formats import inflate, registry
from correlate.model.payload import PayloadKind, RawPayload
from correlate.settings import Settings

_LONGEST_START_BYTES = 64 << 20


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
        How many files could not be loaded, or had nothing that could be kept.
    """
    failed = 0
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with bootstrap.running(settings) as services, Progress(*columns, console=console, transient=True) as progress:
        for path in files:
            task = progress.add_task(path.name, total=None)
            try:
                payloads = list(_payloads(path, params, services, end_now=end_now))
                progress.update(task, total=len(payloads))
                loaded = load(services.ingest, payloads, partial(progress.advance, task))
                failed += _nothing_kept(loaded)
                summary = _summary(loaded)
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
            yield payload_of(request)
        return
    kind = registry.sniff(body, path.name)
    if kind in (PayloadKind.OTLP_TRACES, PayloadKind.OTLP_PROFILES):
        body = inflate.gunzip(body)  # the other readers undo gzip themselves
    encoding = registry.encoding_of(body)
    yield RawPayload(kind, body, now_ns, encoding=encoding, sender=path.name, params=params)


def _is_recording(body: bytes) -> bool:
    """Whether the first line of a file, gzip or not, is a recorded request."""
    try:
        start = inflate.gunzip(body) if body[:2] == inflate.GZIP_MAGIC else body
    except BadInput:
        return False
    first_line = start[:_LONGEST_START_BYTES].split(b"\n", 1)[0]
    return first_line.startswith(b"{") and b'"received_at"' in first_line and b'"body_b64"' in first_line


def _nothing_kept(loaded: Loaded) -> bool:
    """Whether everything was refused; what was there already counts as kept."""
    receipt = loaded.receipt
    return bool(loaded.refused) and not (receipt.spans or receipt.profiles or receipt.duplicates)


def _summary(loaded: Loaded) -> str:
    stored = loaded.receipt
    parts = [f"{stored.spans:,} spans, {stored.profiles:,} profiles with {stored.samples:,} sample rows stored"]
    if stored.duplicates:
        parts.append(f"{stored.duplicates:,} requests or profiles were there already")
    parts += [f"refused: {reason}" for reason in loaded.refused]
    return "; ".join(parts)
