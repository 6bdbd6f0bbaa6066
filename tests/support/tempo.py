"""The fake Tempo on a real socket, for clients in other processes."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

from tests.fakes.tempo import FakeTempo


@contextmanager
def tempo_on_socket(tempo: FakeTempo, lock: threading.Lock) -> Iterator[str]:
    """Its URL; it answers one request at a time, under a lock that writers share."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            with lock:
                answer = tempo.handle(httpx.Request("GET", f"http://tempo{self.path}", headers=dict(self.headers)))
            self.send_response(answer.status_code)
            for name in ("content-type",):
                if name in answer.headers:
                    self.send_header(name, answer.headers[name])
            self.send_header("content-length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
