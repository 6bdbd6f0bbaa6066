"""The listening sockets of a process: HTTP on up to three ports, OTLP gRPC on one, one clean shutdown."""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import uvicorn
from fastapi import FastAPI

from correlate.api.app import create_app, create_intake
from correlate.api.receivers.otlp_grpc import OtlpGrpcServer
from correlate.bootstrap import Services
from correlate.errors import ConfigError

_GRACE_S = 10


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a process listens, as ``host:port``; None where that door is shut."""

    http: str
    otlp_http: str | None
    pyroscope: str | None
    otlp_grpc: str | None


class _Server(uvicorn.Server):
    """uvicorn without its own signal handling: the command that runs it decides when to stop."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Say when requests can come."""
        await super().startup(sockets=sockets)
        self.listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield


@contextlib.asynccontextmanager
async def listening(services: Services) -> AsyncIterator[Addresses]:
    """Listen on everything the settings name, until the block is left.

    Raises:
        ConfigError: an address is malformed or taken; the message names the setting.
    """
    settings = services.settings
    async with contextlib.AsyncExitStack() as stack:
        # As many payloads are read at a time as there are processors: more would only hold more memory.
        readers = ThreadPoolExecutor(max(2, os.cpu_count() or 2), thread_name_prefix="read")
        stack.callback(readers.shutdown)
        intake = create_intake(services, readers)
        app = create_app(services, intake)
        # The port that answers for readiness comes last: whoever sees it ready finds the others open.
        otlp_grpc = await _grpc(stack, OtlpGrpcServer(intake), settings.otlp_grpc)
        otlp_http = await _optional_http(stack, app, "otlp_http", settings.otlp_http)
        pyroscope = await _optional_http(stack, app, "pyroscope", settings.pyroscope)
        yield Addresses(await _http(stack, app, "http", settings.http), otlp_http, pyroscope, otlp_grpc)


async def _grpc(stack: contextlib.AsyncExitStack, server: OtlpGrpcServer, address: str) -> str | None:
    if address == "off":
        return None
    port = await server.start(address)
    stack.push_async_callback(server.stop, _GRACE_S)
    return f"{address.rpartition(':')[0]}:{port}"


async def _optional_http(stack: contextlib.AsyncExitStack, app: FastAPI, setting: str, address: str) -> str | None:
    return None if address == "off" else await _http(stack, app, setting, address)


async def _http(stack: contextlib.AsyncExitStack, app: FastAPI, setting: str, address: str) -> str:
    listener = _listen(setting, address)
    config = uvicorn.Config(
        app,
        lifespan="off",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=_GRACE_S,
        h11_max_incomplete_event_size=64 << 10,
    )
    server = _Server(config)
    running = asyncio.create_task(server.serve(sockets=[listener]))
    stack.push_async_callback(_stop, server, running)
    await asyncio.wait({running, asyncio.ensure_future(server.listening.wait())}, return_when=asyncio.FIRST_COMPLETED)
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def _stop(server: uvicorn.Server, running: "asyncio.Task[None]") -> None:
    server.should_exit = True
    await running


def _listen(setting: str, address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    option = "--" + setting.replace("_", "-")
    if not host or not port.isdigit():
        raise ConfigError(f"{setting} is {address!r}, which is not HOST:PORT; for example {option} 127.0.0.1:8080")
    try:
        listener = socket.create_server((host.strip("[]"), int(port)), family=_family(host), backlog=2048)
    except OSError as exc:
        raise ConfigError(
            f"cannot listen on {address} ({exc.strerror}): choose another with {option} HOST:PORT"
        ) from exc
    # Connections inherit it. asyncio sets it only on sockets that name their protocol, which these do not; without it
    # the body of an answer waits up to 40 ms for the client to acknowledge the headers.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
