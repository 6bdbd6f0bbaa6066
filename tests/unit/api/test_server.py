"""Listening sockets."""

import socket

import pytest

from correlate.api.server import _listen
from correlate.errors import ConfigError


def test_answers_do_not_wait_for_acknowledgements() -> None:
    """Accepted connections have no Nagle delay: it would hold the body of an answer back by up to 40 ms."""
    with (
        _listen("http", "127.0.0.1:0") as listener,
        socket.create_connection(listener.getsockname()),
        listener.accept()[0] as accepted,
    ):
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.parametrize("address", ["8080", "localhost", "127.0.0.1:http", ":8080", ""])
def test_an_address_is_host_and_port(address: str) -> None:
    """The message names the setting, what it is and what it could be."""
    with pytest.raises(ConfigError, match=r"otlp_http is .*--otlp-http 127\.0\.0\.1:8080"):
        _listen("otlp_http", address)


def test_a_port_that_is_taken_is_told() -> None:
    """With the option that chooses another."""
    with _listen("http", "127.0.0.1:0") as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(ConfigError, match=r"cannot listen on .*--http HOST:PORT"):
            _listen("http", address)
