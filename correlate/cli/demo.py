"""`correlate demo`: the main job end to end on recorded traffic."""

import asyncio
import socket
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from correlate import bootstrap
from correlate.api.server import Addresses
from correlate.cli import comparing, query
from correlate.cli.alert_text import print_alert
from correlate.cli.backend import Backend, slow_path
from correlate.cli.serve import serve
from correlate.demo import loading, replay, traffic, watching
from correlate.errors import BadQuery, CorrelateError, NotFound
from correlate.flame.labels import printable_one

_USUAL_PORT = 8080
_LOOKED_AT = 50


def demo(
    console: Console,
    *,
    once: bool,
    data_dir: Path | None,
    http: str | None,
    otlp_grpc: str | None,
    otlp_http: str | None,
) -> None:
    """Start a service, replay the shipped recording to it, print a flame graph and an alert; serve on unless `once`.

    Raises:
        ConfigError: an address that was asked for is taken.
    """
    with ExitStack() as stack:
        folder = data_dir or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="correlate-demo-")))
        settings = loading.settings_within(
            folder,
            http=http or f"127.0.0.1:{_free_port()}",
            otlp_grpc=otlp_grpc or "off",
            otlp_http=otlp_http or "off",
            detectors=watching.settings(),
        )
        serve(settings, console, lambda services, addresses: _show(services, addresses, console, once=once), quiet=True)


async def _show(services: bootstrap.Services, addresses: Addresses, console: Console, *, once: bool) -> None:
    try:
        await asyncio.to_thread(_replay_and_print, services, f"http://{addresses.http}", console)
    except SystemExit:  # rich's answer to a closed pipe: nobody reads on, so end as quietly
        return
    if not once:
        console.print(f"\nServing on [bold]{services.public_url}/[/] until you press Ctrl-C.")
        await asyncio.Event().wait()


def _replay_and_print(services: bootstrap.Services, url: str, console: Console) -> None:
    requests = _replay(services, url, console)
    with httpx.Client(base_url=url, timeout=60.0) as client:
        span = _most_telling_span(client)
        source = Backend(client)
        query.print_span(source, span["trace_id"], span["span_id"], _PARAMS, console)
        _print_slow(source, span, services.public_url, console)
        _watch_and_print(services, requests, source, console)
    again = f"correlate span {span['trace_id']} {span['span_id']} --url {url}"
    console.print(f"\nAsk again with  [bold]{again}[/]", soft_wrap=True, highlight=False)


def _print_slow(source: Backend, span: dict[str, Any], public_url: str, console: Console) -> None:
    """What the slow spans of the same operation do differently, in words."""
    try:
        path = slow_path(span["service"], span["name"])
        found = source.json(path)
    except (NotFound, BadQuery):  # in a folder with other data: too few spans, or a name that no address can hold
        return
    console.print(f"\nWhat do slow [bold]{escape(printable_one(span['name']))}[/] do differently?")
    comparing.print_sentences(found, console, most=2)
    console.print(f"{public_url}{path}", style="dim", markup=False, highlight=False, soft_wrap=True)


_PARAMS = {"type": "cpu", "scope": "subtree", "method": "auto", "max_nodes": "16384"}


def _watch_and_print(
    services: bootstrap.Services, requests: Sequence[traffic.Recorded], source: Backend, console: Console
) -> None:
    """Let the detectors look at the recording, and print what they found."""
    known = services.catalogue.services()["service"].to_list()
    watching.watch_recorded(services.watch, services.books.watermarks, known, requests)
    found = [alert for alert in source.json("/alerts")["alerts"] if alert["status"] != "resolved"]
    console.print("\nWhat do the detectors say?")
    if not found:
        console.print("Nothing: no memory grew.", highlight=False)
        return
    print_alert(source.json(f"/alerts/{found[0]['fingerprint']}"), services.public_url, console)
    console.print(
        f"The detectors' clock runs {watching.FASTER} times as fast here, and a leak fires once it was watched for "
        f"{watching.CONFIRM_S} s; on real services that takes hours.",
        style="dim",
        highlight=False,
    )


def _replay(services: bootstrap.Services, url: str, console: Console) -> list[traffic.Recorded]:
    requests = traffic.ending_at(list(traffic.shipped()), services.clock.now_ns())
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("replaying recorded traffic", total=len(requests))
        report = replay.replay(requests, url, on_progress=lambda done, _: progress.update(task, completed=done))
    if report.rejected:
        raise CorrelateError(f"{report.rejected} recorded requests were refused: {'; '.join(report.reasons)}")
    console.print(
        f"Replayed {report.accepted} requests of a recorded web shop to {url} in {report.seconds:.1f} s: "
        "spans by OTLP, profiles by Pyroscope's client.\n",
        highlight=False,
    )
    return requests


def _most_telling_span(client: httpx.Client) -> dict[str, Any]:
    """Of the slowest spans of each operation, the one with the most samples."""
    operations = client.get("/api/v1/operations").json()["operations"]
    asked = [{"service": o["service"], "operation": o["name"], "order": "slowest"} for o in operations]
    found = [client.get("/api/v1/spans", params=a | {"limit": _LOOKED_AT}).json()["spans"] for a in asked]
    best: dict[str, Any] = max((span for spans in found for span in spans), key=lambda span: span["samples"])
    return best


def _free_port() -> int:
    """The usual port, or any free one where that is taken."""
    for port in (_USUAL_PORT, 0):
        try:
            with socket.create_server(("127.0.0.1", port)) as found:
                return int(found.getsockname()[1])
        except OSError:
            continue
    return 0
