"""Record what telemetry clients send: one JSON object a line, bodies exactly as they came.

Each line has `received_at` (seconds since the Unix epoch), `path`, `headers` (content type, content encoding and
user agent, in lower case) and `body_b64`. Answers 200 with an empty body, which OTLP and Pyroscope clients both take
for success. Needs nothing but the standard library.
"""

import argparse
import base64
import gzip
import json
import signal
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO

KEPT_HEADERS = ("user-agent", "content-type", "content-encoding")


class Recorder(ThreadingHTTPServer):
    """An HTTP server that writes every POST to a stream of lines."""

    def __init__(self, port: int, out: IO[str]) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self._out = out
        self._writing = threading.Lock()

    def record(self, path: str, headers: dict[str, str], body: bytes) -> None:
        """Write one request."""
        line = {
            "received_at": time.time(),
            "path": path,
            "headers": headers,
            "body_b64": base64.b64encode(body).decode(),
        }
        with self._writing:
            self._out.write(json.dumps(line) + "\n")


class _Handler(BaseHTTPRequestHandler):
    server: Recorder

    def do_POST(self) -> None:
        """Record the request and answer that all is well."""
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        kept = {name: self.headers[name] for name in KEPT_HEADERS if name in self.headers}
        self.server.record(self.path, kept, body)
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_args: object) -> None:
        """Stay quiet."""


def main() -> None:
    """Record until interrupted or terminated."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="file to write; gzip when it ends in .gz")
    parser.add_argument("--port", type=int, default=4040, help="port on 127.0.0.1 (default 4040)")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that `kill` ends a recording like ctrl-c
    opened = gzip.open if options.out.suffix == ".gz" else open
    with opened(options.out, "wt", encoding="utf-8") as out, Recorder(options.port, out) as recorder:
        try:
            recorder.serve_forever()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
