"""Folders of the lake, on a local disk or an object store: the only module that knows paths.

Everything goes through ``pyarrow.fs``; deltalake gets the URL and the same storage options.
"""

import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.fs as pafs

from correlate.errors import ConfigError

_S3_OPTIONS: Final = {
    "AWS_ACCESS_KEY_ID": "access_key",
    "AWS_SECRET_ACCESS_KEY": "secret_key",
    "AWS_SESSION_TOKEN": "session_token",
    "AWS_REGION": "region",
    "AWS_ENDPOINT_URL": "endpoint_override",
}
"""Storage options as deltalake (object_store) spells them, and what pyarrow calls the same thing."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file found in a folder: its path relative to the folder, its size, and when it was last written."""

    path: str
    size_bytes: int
    modified_ns: int


@dataclass(frozen=True)
class Folder:
    """A folder: everything below is named by paths relative to it, with ``/`` between parts.

    Attributes:
        uri: what deltalake opens.
        path: the same place, as `filesystem` spells it.
        filesystem: a pyarrow file system.
        options: storage options for deltalake.
        local: whether it is on a disk of this machine.
    """

    uri: str
    path: str
    filesystem: pafs.FileSystem
    options: Mapping[str, str] = field(default_factory=dict)
    local: bool = True

    def child(self, name: str) -> "Folder":
        """A folder inside this one."""
        return Folder(f"{self.uri}/{name}", f"{self.path}/{name}", self.filesystem, self.options, self.local)

    def create(self) -> None:
        """Make the folder and its parents where they are missing."""
        self.filesystem.create_dir(self.path, recursive=True)

    def open_output(self, path: str) -> pa.NativeFile:
        """Open a new file for writing; folders on the way are created."""
        target = f"{self.path}/{path}"
        if self.local:
            self.filesystem.create_dir(target.rpartition("/")[0], recursive=True)
        return self.filesystem.open_output_stream(target)

    def open_input(self, path: str) -> pa.NativeFile:
        """Open a file for random reads, memory-mapped on a local disk.

        Raises:
            FileNotFoundError: it does not exist (any more).
        """
        target = f"{self.path}/{path}"
        return pa.memory_map(target) if self.local else self.filesystem.open_input_file(target)

    def read(self, path: str) -> bytes | None:
        """The bytes of a small file, None when it does not exist."""
        target = f"{self.path}/{path}"
        try:
            if self.local:
                return Path(target).read_bytes()
            with self.filesystem.open_input_stream(target) as stream:
                return bytes(stream.read())
        except FileNotFoundError:
            return None

    def files(self) -> list[StoredFile]:
        """Every file below, whatever its depth."""
        selector = pafs.FileSelector(self.path, allow_not_found=True, recursive=True)
        skip = len(self.path) + 1
        return [
            StoredFile(info.path[skip:], info.size or 0, info.mtime_ns or 0)
            for info in self.filesystem.get_file_info(selector)
            if info.type == pafs.FileType.File
        ]

    def delete(self, paths: Iterable[str]) -> int:
        """Delete files; those already gone do not matter. Returns how many were deleted."""
        return sum(self._delete_one(path) for path in paths)

    def sync(self, paths: Iterable[str]) -> None:
        """Flush files and the folders that name them to a local disk; nothing to do on an object store."""
        if not self.local:
            return
        files = [Path(self.path, path) for path in paths]
        for target in [*files, *dict.fromkeys(folder for file in files for folder in self._folders_of(file))]:
            _flush(target)

    def free_bytes(self) -> int | None:
        """Room left on the disk, None where there is no such limit."""
        return shutil.disk_usage(self.path).free if self.local else None

    def _delete_one(self, path: str) -> bool:
        try:
            self.filesystem.delete_file(f"{self.path}/{path}")
        except FileNotFoundError:
            return False
        return True

    def _folders_of(self, file: Path) -> list[Path]:
        inner = [folder for folder in file.parents if folder.is_relative_to(self.path)]
        return inner or [file.parent]


def open_folder(url: str, options: Mapping[str, str] | None = None) -> Folder:
    """The folder a URL names: a local path, ``file://`` or ``s3://bucket/prefix``.

    Args:
        url: where.
        options: storage options in deltalake's spelling, for instance ``AWS_ENDPOINT_URL``.

    Raises:
        ConfigError: a kind of URL that is not supported.
    """
    parts = urlsplit(url)
    if parts.scheme in ("", "file"):
        path = str(Path(parts.path if parts.scheme else url).absolute())
        return Folder(path, path, pafs.LocalFileSystem())
    if parts.scheme in ("s3", "s3a"):
        bucket_path = f"{parts.netloc}{parts.path}".rstrip("/")
        return Folder(f"s3://{bucket_path}", bucket_path, _s3(dict(options or {})), dict(options or {}), local=False)
    raise ConfigError(f"lake URL {url!r} is neither a local folder nor s3://bucket/prefix")


def _s3(options: dict[str, str]) -> pafs.FileSystem:
    known = {ours: options[theirs] for theirs, ours in _S3_OPTIONS.items() if theirs in options}
    endpoint = known.get("endpoint_override", "")
    if endpoint.startswith("http://"):
        known["scheme"] = "http"
    if endpoint:
        known["endpoint_override"] = endpoint.partition("://")[2] or endpoint
    return pafs.S3FileSystem(**known)


def _flush(target: Path) -> None:
    handle = os.open(target, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
