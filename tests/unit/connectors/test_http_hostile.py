"""Upstreams that are slow, that lie, that break off and that never end: a sentence in time, always."""

import gzip
import socket
import struct
import threading
import time
from collections.abc import Callable

import pytest

from connectors.bodies import AnswerTooLarge
from connectors.http import Endpoint, HttpSource
from correlate.errors import SourceError, SourceMalformed, SourceRefused, SourceTooSlow, SourceUnreachable
from tests.fakes.upstream import drip, endless, http_answer, upstream

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
LIMIT_BYTES = 1 << 20
SHORT_S = 0.4
"""Deadline of the tests that wait for it."""
LONG_S = 20.0
"""Deadline of the tests that end for another reason, also on a busy machine."""
BOMB = gzip.compress(bytes(32 << 20), 9)

Conn, Over = socket.socket, threading.Event


def silent(conn: Conn, over: Over) -> None:
    """Takes the request and says nothing."""
    over.wait()


def slow_headers(conn: Conn, over: Over) -> None:
    """A byte of its headers now and then: each single read is quick."""
    drip(conn, over, OK + b"X-Filler: " + b"a" * 10_000)


def slow_body(conn: Conn, over: Over) -> None:
    """Headers at once, then a byte of the body now and then."""
    conn.sendall(OK + b"Content-Length: 100000\r\n\r\n")
    drip(conn, over, b" " * 100_000)


def hangs_up(conn: Conn, over: Over) -> None:
    """Closes without a word."""


def resets(conn: Conn, over: Over) -> None:
    """Breaks the connection hard."""
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def half_closed(conn: Conn, over: Over) -> None:
    """Ends its side in the middle of the body and keeps the connection."""
    conn.sendall(OK + b'Content-Length: 100\r\n\r\n{"traces":')
    conn.shutdown(socket.SHUT_WR)
    over.wait(1)


def half_a_chunk(conn: Conn, over: Over) -> None:
    """Promises a chunk and leaves."""
    conn.sendall(CHUNKED + b"ff\r\n{")


def promises_less(conn: Conn, over: Over) -> None:
    """A length shorter than the body: what arrives is cut JSON."""
    conn.sendall(OK + b'Content-Length: 5\r\n\r\n{"traces":[]}')


def says_html(conn: Conn, over: Over) -> None:
    """A login page with status 200."""
    page = b"<!DOCTYPE html><html><title>Sign in</title></html>"
    conn.sendall(http_answer(200, page, {"content-type": "text/html; charset=utf-8"}))


def html_as_json(conn: Conn, over: Over) -> None:
    """A page that claims to be JSON."""
    conn.sendall(http_answer(200, b"\n <HTML><body>Bad gateway</body></HTML>", {"content-type": "application/json"}))


def broken_json(conn: Conn, over: Over) -> None:
    """JSON that is none."""
    conn.sendall(http_answer(200, b'{"traces": [nope]}', {"content-type": "application/json"}))


def other_protocol(conn: Conn, over: Over) -> None:
    """A gRPC server's first bytes."""
    conn.sendall(b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x05\x00\x00\x40\x00" * 4)


def endless_body(conn: Conn, over: Over) -> None:
    """Chunk after chunk."""
    conn.sendall(CHUNKED)
    endless(conn, over, b"10000\r\n" + b" " * 65536 + b"\r\n")


def endless_headers(conn: Conn, over: Over) -> None:
    """Header after header."""
    conn.sendall(OK)
    endless(conn, over, b"X-More: " + b"a" * 1000 + b"\r\n")


def endless_error(conn: Conn, over: Over) -> None:
    """An error whose text never ends."""
    conn.sendall(CHUNKED.replace(b"200 OK", b"500 Oops"))
    endless(conn, over, b"10000\r\n" + b"x" * 65536 + b"\r\n")


def gzip_bomb(conn: Conn, over: Over) -> None:
    """32 KB that unpack to 32 MB."""
    conn.sendall(http_answer(200, BOMB, {"content-encoding": "gzip"}))


def broken_gzip(conn: Conn, over: Over) -> None:
    """Says gzip and is not."""
    conn.sendall(http_answer(200, b'{"traces":[]}', {"content-encoding": "gzip"}))


def cut_gzip(conn: Conn, over: Over) -> None:
    """A gzip that ends early, within a correct length."""
    conn.sendall(http_answer(200, gzip.compress(b'{"traces":[]}')[:-9], {"content-encoding": "gzip"}))


def strange_coding(conn: Conn, over: Over) -> None:
    """A coding nobody asked for."""
    conn.sendall(http_answer(200, b"{}", {"content-encoding": "br"}))


def circle(conn: Conn, over: Over) -> None:
    """Redirects to itself."""
    conn.sendall(http_answer(302, b"", {"location": "/api/search"}))


def to_login(conn: Conn, over: Over) -> None:
    """Redirects to a single sign-on."""
    conn.sendall(http_answer(302, b"", {"location": "https://sso.example.org/login?next=tempo"}))


def later(conn: Conn, over: Over) -> None:
    """Too many requests, for a year."""
    conn.sendall(http_answer(429, b"slow down", {"retry-after": "31536000"}))


CASES: list[tuple[Callable[[Conn, Over], None], type[SourceError], str]] = [
    (silent, SourceTooSlow, "no complete answer in time"),
    (slow_headers, SourceTooSlow, "no complete answer in time"),
    (slow_body, SourceTooSlow, "no complete answer in time"),
    (hangs_up, SourceUnreachable, "the connection broke"),
    (resets, SourceUnreachable, "the connection broke"),
    (half_closed, SourceUnreachable, "the connection broke"),
    (half_a_chunk, SourceUnreachable, "the connection broke"),
    (promises_less, SourceMalformed, "not JSON"),
    (says_html, SourceMalformed, "a login page"),
    (html_as_json, SourceMalformed, "a login page"),
    (broken_json, SourceMalformed, "not JSON"),
    (other_protocol, SourceMalformed, "gRPC port"),
    (endless_body, AnswerTooLarge, "max_response_bytes"),
    (endless_headers, SourceMalformed, "does not speak HTTP"),
    (endless_error, SourceUnreachable, "500"),
    (gzip_bomb, AnswerTooLarge, "max_response_bytes"),
    (broken_gzip, SourceMalformed, "is broken"),
    (cut_gzip, SourceMalformed, "ends in the middle"),
    (strange_coding, SourceMalformed, "'br'"),
    (circle, SourceMalformed, "in a circle"),
    (to_login, SourceRefused, "https://sso.example.org/login, likely a login page"),
    (later, SourceTooSlow, "429"),
]


@pytest.mark.parametrize(("behave", "error", "words"), CASES, ids=lambda case: getattr(case, "__name__", ""))
def test_a_hostile_upstream_is_explained_in_time(
    behave: Callable[[Conn, Over], None], error: type[SourceError], words: str
) -> None:
    """The right error, a sentence with the reason, within the deadline and a little."""
    deadline_s = SHORT_S if behave in (silent, slow_headers, slow_body) else LONG_S
    with upstream(behave) as url:
        endpoint = Endpoint(url, max_retries=1, deadline_s=deadline_s, max_response_bytes=LIMIT_BYTES)
        began_s = time.monotonic()
        with HttpSource("tempo", endpoint) as source, pytest.raises(error) as caught:
            source.get("/api/search").json()
        assert time.monotonic() - began_s < deadline_s + 3
    assert words in str(caught.value)
    assert str(caught.value).startswith(f"tempo ({url})")


def test_a_year_of_pause_is_not_taken_literally() -> None:
    """What a server asks for is passed on up to five minutes."""
    with upstream(later) as url, HttpSource("tempo", Endpoint(url)) as source, pytest.raises(SourceTooSlow) as caught:
        source.get("/api/search")
    assert caught.value.retry_after_s == 300.0


def test_nothing_listens() -> None:
    """A refused connection names host and port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with (
        HttpSource("tempo", Endpoint(f"http://127.0.0.1:{port}", max_retries=0)) as source,
        pytest.raises(SourceUnreachable, match=rf"127\.0\.0\.1:{port}.*connection refused.*host and port"),
    ):
        source.get("/api/echo")
