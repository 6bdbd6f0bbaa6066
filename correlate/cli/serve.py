"""`correlate serve`: the embedded all-in-one, from settings to listening sockets to a clean end."""

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.metadata import entry_points

from rich.console import Console

from correlate import bootstrap
from correlate.api.server import Addresses, listening
from correlate.settings import Settings

Work = Callable[[bootstrap.Services, Addresses], Awaitable[None]]


def serve(
    settings: Settings, console: Console, work: Work | None = None, *, alone: bool = True, quiet: bool = False
) -> None:
    """Run until interrupted, or until `work` is done.

    Args:
        settings: where to listen and where to keep data.
        console: where to say what is going on.
        work: something to do with the running service; without it, the service runs until SIGINT or SIGTERM.
        alone: do also what workers do: pull from sources, keep the lake in shape.
        quiet: log warnings only.

    Raises:
        ConfigError: an address is taken or malformed, or a source is configured wrongly.
    """
    logging.basicConfig(
        level=logging.WARNING if quiet else logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("alembic").setLevel(logging.WARNING)
    with bootstrap.running(settings, maintain=alone) as services, _companions(services, alone=alone):
        asyncio.run(_run(services, console, work))
        if not quiet:
            console.print("stopped listening, writing what is queued …", style="dim")


@contextmanager
def _companions(services: bootstrap.Services, *, alone: bool) -> Iterator[None]:
    """What other packages of the installation run beside the doors, and beside a service that is alone."""
    groups = ["correlate.doors", *(["correlate.companions"] if alone else [])]
    with ExitStack() as stack:
        for entry in (entry for group in groups for entry in entry_points(group=group)):
            stack.enter_context(entry.load()(services))
        yield


async def _run(services: bootstrap.Services, console: Console, work: Work | None) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with listening(services) as addresses:
        if work is None:
            _announce(services, addresses, console)
            await stop.wait()
            return
        waiting = asyncio.create_task(stop.wait())
        working = asyncio.ensure_future(work(services, addresses))
        await asyncio.wait({waiting, working}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if working.done():
            working.result()
        working.cancel()


def _announce(services: bootstrap.Services, addresses: Addresses, console: Console) -> None:
    console.print(f"[bold]correlate[/] is ready: {services.public_url}/ (REST API: {services.public_url}/docs)")
    doors = {
        "OTLP/HTTP": addresses.otlp_http or addresses.http,
        "OTLP gRPC": addresses.otlp_grpc or "off",
        "Pyroscope push": addresses.pyroscope or addresses.http,
        "data in": str(services.settings.data_dir),
    }
    for name, where in doors.items():
        console.print(f"  {name:<15} {where}", style="dim", markup=False, highlight=False)
