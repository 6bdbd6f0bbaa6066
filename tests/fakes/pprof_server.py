"""Many pprof endpoints in one process, good ones and bad ones, each on a loopback port of its own.

``python -m tests.fakes.pprof_server good good slow …`` prints the ports as JSON and serves until its input ends.
"""

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

GOLDEN = Path(__file__).parents[1] / "golden" / "go-checkout"
PATHS = ("profile", "heap", "allocs", "goroutine", "mutex", "block", "goroutineleak")
BODIES = {path: (GOLDEN / f"healthy-{path}-0.pb.gz").read_bytes() for path in PATHS}
WRONG = {
    "html": b"<!doctype html><html><body>Please sign in</body></html>",
    "text": b"heap profile: 4: 131072 [4: 131072] @ heap/1048576\n",
    "empty": b"",
    "truncated": BODIES["heap"][:-100],
    "broken-gzip": BODIES["heap"][:60] + bytes(60) + BODIES["heap"][120:],
}


async def _answer(mode: str, path: str, seconds: float, writer: asyncio.StreamWriter) -> None:
    name = path.rpartition("/")[2]
    if mode == "slow":
        await asyncio.sleep(60)
    if mode == "late":
        await asyncio.sleep(0.3)
    if mode == "busy" and name == "profile":
        return _send(
            writer, b"Could not enable CPU profiling: cpu profiling already in use\n", "500 Internal Server Error"
        )
    if mode in ("endless", "trickle"):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n")
        return await _drip(writer, b"\x1f" * (1 << 16 if mode == "endless" else 1), 0.0 if mode == "endless" else 0.02)
    if mode in WRONG:
        return _send(writer, WRONG[mode], "200 OK", "text/html" if mode == "html" else "application/octet-stream")
    if name not in BODIES or (mode == "old" and name == "goroutineleak"):
        return _send(writer, b"Unknown profile\n", "404 Not Found")
    if name == "profile":
        await asyncio.sleep(seconds)
    return _send(writer, BODIES[name], "200 OK")


def _send(writer: asyncio.StreamWriter, body: bytes, status: str, kind: str = "application/octet-stream") -> None:
    writer.write(f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)


async def _drip(writer: asyncio.StreamWriter, piece: bytes, pause_s: float) -> None:
    while True:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(pause_s)


async def _connection(mode: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while request := await reader.readuntil(b"\r\n\r\n"):
            if mode == "hangup":
                break
            target = request.split(b" ", 2)[1].decode()
            seconds = re.search(r"seconds=([\d.]+)", target)
            await _answer(mode, target.partition("?")[0], float(seconds[1]) if seconds else 0.0, writer)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def _serve(modes: list[str]) -> None:
    servers = [
        await asyncio.start_server(lambda r, w, mode=mode: _connection(mode, r, w), "127.0.0.1", 0) for mode in modes
    ]
    print(json.dumps([server.sockets[0].getsockname()[1] for server in servers]), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


@contextmanager
def pprof_servers(modes: list[str]) -> Iterator[list[str]]:
    """Targets in a process of their own; gives host:port of each. The mode ``dead`` is a port where nobody listens."""
    command = [sys.executable, "-m", "tests.fakes.pprof_server", *(mode for mode in modes if mode != "dead")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    ) as process:
        assert process.stdout is not None
        ports = iter(json.loads(process.stdout.readline()))
        try:
            yield [f"127.0.0.1:{1 if mode == 'dead' else next(ports)}" for mode in modes]
        finally:
            process.kill()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1:]))
