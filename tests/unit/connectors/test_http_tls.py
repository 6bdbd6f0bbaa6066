"""Encrypted connections: whom we trust, what we show, and what is said when that does not fit."""

import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.http import Endpoint, HttpSource
from correlate.errors import ConfigError, SourceRefused, SourceUnreachable
from tests.fakes.upstream import http_answer, upstream

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl command for certificates")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates that vouch for themselves: ``server`` for 127.0.0.1, ``client`` for nobody."""
    folder = tmp_path_factory.mktemp("certificates")
    for name, alternative in (("server", "IP:127.0.0.1"), ("client", "DNS:client.example")):
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
                *("-days", "2", "-subj", f"/CN={name}", "-addext", f"subjectAltName={alternative}"),
                *("-keyout", f"{folder}/{name}.key", "-out", f"{folder}/{name}.pem"),
            ],
            check=True,
            capture_output=True,
        )
    return folder


def fine(conn: socket.socket, over: threading.Event) -> None:
    """Answers as asked."""
    conn.sendall(http_answer(200, b"{}"))


def context(certificates: Path, *, wants_client: bool = False) -> ssl.SSLContext:
    """What the server shows and asks for."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(certificates / "server.pem", certificates / "server.key")
    if wants_client:
        made.verify_mode = ssl.CERT_REQUIRED
        made.load_verify_locations(certificates / "client.pem")
    return made


@pytest.fixture
def secure(certificates: Path) -> Iterator[str]:
    """A server with a certificate of its own making."""
    with upstream(fine, tls=context(certificates)) as url:
        yield url


def ask(endpoint: Endpoint) -> int:
    """The status of one request."""
    with HttpSource("tempo", endpoint) as source:
        return source.get("/x").status


def test_an_unknown_authority_is_not_trusted_and_not_retried(secure: str) -> None:
    """The sentence names the setting; asking again would not help, so nobody waits."""
    with pytest.raises(SourceUnreachable, match=r"certificate is not trusted.*ca_file"):
        ask(Endpoint(secure, max_retries=1000, deadline_s=5.0))


def test_the_authority_from_a_file_is_trusted(secure: str, certificates: Path) -> None:
    """`ca_file` is what the sentence promised."""
    assert ask(Endpoint(secure, ca_file=str(certificates / "server.pem"))) == 200


def test_the_name_must_fit(secure: str, certificates: Path) -> None:
    """A certificate for another host is not accepted."""
    url = secure.replace("127.0.0.1", "localhost")
    with pytest.raises(SourceUnreachable, match="host name that the certificate was made for"):
        ask(Endpoint(url, ca_file=str(certificates / "server.pem")))


def test_verification_can_be_switched_off(secure: str) -> None:
    """For those who know what they do."""
    assert ask(Endpoint(secure, verify=False)) == 200


def test_a_client_certificate_is_shown_when_wanted(certificates: Path) -> None:
    """Without it the sentence names the setting, with it the request succeeds."""
    trust = str(certificates / "server.pem")
    with upstream(fine, tls=context(certificates, wants_client=True)) as url:
        with pytest.raises(SourceUnreachable, match="client_cert_file"):
            ask(Endpoint(url, ca_file=trust, max_retries=0))
        cert, key = str(certificates / "client.pem"), str(certificates / "client.key")
        assert ask(Endpoint(url, ca_file=trust, client_cert_file=cert, client_key_file=key)) == 200


def test_https_to_a_plain_port(certificates: Path) -> None:
    """The sentence says to use http."""
    with upstream(fine, read_head=False) as url, pytest.raises(SourceUnreachable, match="use http://"):
        ask(Endpoint(url.replace("http://", "https://"), max_retries=0))


def test_plain_http_to_a_tls_port(secure: str) -> None:
    """The connection breaks; what a Go server says instead is tested with the other answers."""
    with pytest.raises((SourceUnreachable, SourceRefused)):
        ask(Endpoint(secure.replace("https://", "http://"), max_retries=0))


@pytest.mark.parametrize("setting", ["ca_file", "client_cert_file"])
def test_a_missing_or_broken_file_is_a_configuration_error(setting: str, tmp_path: Path) -> None:
    """It names the setting and the file before anything is sent."""
    (tmp_path / "broken.pem").write_text("-----BEGIN nonsense")
    for name in ("missing.pem", "broken.pem"):
        path = str(tmp_path / name)
        endpoint = Endpoint("https://tempo", **{setting: path})  # type: ignore[arg-type]
        with pytest.raises(ConfigError, match=f"{setting}.*{name}"):
            HttpSource("tempo", endpoint)
