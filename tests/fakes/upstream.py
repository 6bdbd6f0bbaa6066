"""Servers on a real socket that behave badly, for connectors that must survive them."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus

import httpx

Behaviour = Callable[[socket.socket, threading.Event], None]
"""Handles one connection, after the head of the request was read; the event says that the test is over."""


@contextmanager
def upstream(behave: Behaviour, *, tls: ssl.SSLContext | None = None, read_head: bool = True) -> Iterator[str]:
    """Serve connections with a behaviour on a free loopback port; gives the URL."""
    over = threading.Event()
    threads: list[threading.Thread] = []

    def handle(plain: socket.socket) -> None:
        with contextlib.suppress(OSError), plain:
            conn = tls.wrap_socket(plain, server_side=True) if tls else plain
            with conn:
                if read_head:
                    _head(conn)
                behave(conn, over)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threads.append(threading.Thread(target=handle, args=(listener.accept()[0],), daemon=True))
                threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        try:
            yield f"{'https' if tls else 'http'}://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            over.set()
            listener.shutdown(socket.SHUT_RDWR)
            accepting.join(5)
            for thread in threads:
                thread.join(5)


def answering(handle: Callable[[httpx.Request], httpx.Response]) -> Behaviour:
    """A behaviour that answers as a handler for `httpx.MockTransport` does; for `upstream(…, read_head=False)`."""

    def behave(conn: socket.socket, over: threading.Event) -> None:
        first, *lines = _head(conn).decode("latin-1").split("\r\n\r\n")[0].split("\r\n")
        method, target, _ = first.split(" ")
        headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        response = handle(httpx.Request(method, f"http://upstream{target}", headers=headers))
        conn.sendall(http_answer(response.status_code, response.content, dict(response.headers)))

    return behave


def http_answer(status: int, body: bytes, headers: dict[str, str] | None = None) -> bytes:
    """The bytes of an ordinary answer."""
    named = {"content-length": str(len(body)), "connection": "close"} | (headers or {})
    lines = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n{lines}\r\n".encode() + body


def drip(conn: socket.socket, over: threading.Event, data: bytes, pause_s: float = 0.02) -> None:
    """Send a byte now and then."""
    for at in range(len(data)):
        if over.wait(pause_s):
            return
        conn.sendall(data[at : at + 1])


def endless(conn: socket.socket, over: threading.Event, chunk: bytes) -> None:
    """Send the same again and again, as long as somebody takes it."""
    while not over.is_set():
        conn.sendall(chunk)


def _head(conn: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data and (piece := conn.recv(65536)):
        data += piece
    return data
