"""A real `correlate serve` in a process of its own, on free ports."""

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

START_S = 30.0


@dataclass
class Served:
    """A running server."""

    process: subprocess.Popen[bytes]
    url: str
    grpc: str
    log: Path

    def kill(self) -> None:
        """As `kill -9` does."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def terminate(self) -> int:
        """As an orchestrator does; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)


def free_port() -> int:
    """A port that is free now, and not of those the system gives to outgoing connections at any moment."""
    while True:
        port = random.SystemRandom().randrange(15_000, 32_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


@contextmanager
def served(data_dir: Path, **settings: str) -> Iterator[Served]:
    """Run a server on a data folder until the block is left; settings as environment variables spell them."""
    http, grpc = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    env = os.environ | {f"CORRELATE_{name.upper()}": value for name, value in settings.items()}
    log = data_dir.parent / f"{data_dir.name}.log"
    with log.open("ab") as out:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "correlate.cli.main", "serve", "--data-dir", str(data_dir)),
                *("--http", http, "--otlp-grpc", grpc, "--otlp-http", "off"),
            ],
            stdout=out,
            stderr=out,
            env=env,
        )
    running = Served(process, f"http://{http}", grpc, log)
    try:
        _wait_until_ready(running)
        yield running
    finally:
        if process.poll() is None:
            running.kill()


def _wait_until_ready(running: Served) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{running.url}/readyz", timeout=1.0).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        if running.process.poll() is not None:
            break
        time.sleep(0.02)
    raise AssertionError(f"the server did not get ready:\n{running.log.read_text()[-4000:]}")
