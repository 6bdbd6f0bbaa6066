"""A PostgreSQL of our own, where its programs are installed."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.server import free_port


@contextmanager
def postgres() -> Iterator[str]:
    """The URL of an empty database: ``POSTGRES_URL``, or a server started for the purpose."""
    if url := os.environ.get("POSTGRES_URL"):
        yield url
        return
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin")) or [
        Path(path).parent for path in [shutil.which("initdb")] if path
    ]
    if not found:
        pytest.skip("needs PostgreSQL: set POSTGRES_URL, or install it so that initdb is found")
    user = _unprivileged()
    folder = Path(tempfile.mkdtemp(prefix="correlate-pg-"))
    try:
        if user:
            shutil.chown(folder, user)
        with _running(found[-1], folder, user) as url:
            yield url
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unprivileged() -> str | None:
    """The server refuses to run as root: who else can run it."""
    if os.getuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    pytest.skip("PostgreSQL does not run as root, and there is no other user")


@contextmanager
def _running(programs: Path, folder: Path, user: str | None) -> Iterator[str]:
    data, port = folder / "data", free_port()
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"

    def run(*command: str) -> None:
        subprocess.run(command, check=True, capture_output=True, user=user, cwd=folder, timeout=60)

    run(str(programs / "initdb"), "-D", str(data), "-U", "correlate", "-A", "trust", "-N", "--locale=C", "-E", "UTF8")
    run(str(programs / "pg_ctl"), "-D", str(data), "-w", "-l", str(folder / "log"), "-o", options, "start")
    try:
        yield f"postgresql+psycopg://correlate@127.0.0.1:{port}/postgres"
    finally:
        run(str(programs / "pg_ctl"), "-D", str(data), "-m", "immediate", "stop")
