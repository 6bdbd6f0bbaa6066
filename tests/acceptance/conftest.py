"""What the tests of bad input share: one server, and a client of all its doors."""

import itertools
import time
from collections.abc import Iterator

import grpc
import httpx
import pytest

from tests.support.requests import SECOND, TRACE, Doors, span, spans_request
from tests.support.server import Served, served

_idents = itertools.count(1)


@pytest.fixture(scope="session")
def bad_input_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One server for everything here: what a bad request breaks, the next test notices."""
    with served(tmp_path_factory.mktemp("bad-input"), commit_linger_s="0.005") as running:
        yield running
        assert "Traceback" not in running.log.read_text()


@pytest.fixture(scope="session")
def doors(bad_input_server: Served) -> Iterator[Doors]:
    """A client of every door; the spans that good profiles name are stored."""
    options = [("grpc.max_send_message_length", -1)]
    with (
        httpx.Client(base_url=bad_input_server.url, timeout=60) as client,
        grpc.insecure_channel(bad_input_server.grpc, options=options) as channel,
    ):
        found = Doors(bad_input_server, client, channel)
        times = {"start_ns": time.time_ns() - 60 * SECOND, "duration_ns": 1800 * SECOND}  # longer than the tests take
        spans = (span(TRACE, ident, **times) for ident in range(1, 400))
        assert found.traces("http", spans_request(*spans)).status == 200
        yield found


@pytest.fixture
def ident() -> int:
    """A span of the trace TRACE that no other test gives samples to."""
    return next(_idents)


@pytest.fixture
def goes_on(bad_input_server: Served) -> Iterator[None]:
    """After every test the server is alive and ready."""
    yield
    assert httpx.get(f"{bad_input_server.url}/readyz", timeout=10).status_code == 200
