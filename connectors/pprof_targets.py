"""Where the pprof endpoints are: static lists, files in Prometheus's ``file_sd`` format, DNS names."""

import hashlib
import json
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

import yaml

from correlate.errors import ConfigError, SourceError, SourceMalformed, SourceUnreachable

DEFAULT_PREFIX: Final = "/debug/pprof"
UNKNOWN_SERVICE: Final = "unknown_service"

Resolver = Callable[[str], list[str]]
"""From a host name to its addresses."""


@dataclass(frozen=True, slots=True)
class Target:
    """One process that serves pprof over HTTP.

    Attributes:
        address: ``host:port``.
        service: name of the service.
        labels: further labels for everything it delivers, by name.
        scheme: ``http`` or ``https``.
        prefix: path before the name of a profile.
    """

    address: str
    service: str
    labels: tuple[tuple[str, str], ...] = ()
    scheme: str = "http"
    prefix: str = DEFAULT_PREFIX

    @property
    def url(self) -> str:
        """The URL before the name of a profile; it identifies the target."""
        return f"{self.scheme}://{self.address}{self.prefix}"

    def phase_ns(self, interval_ns: int) -> int:
        """When within every interval it is its turn: the same after a restart, and different for different targets."""
        digest = hashlib.blake2b(self.url.encode(), digest_size=8).digest()
        return int.from_bytes(digest) % interval_ns


def target_of(address: str, labels: Mapping[str, str], service: str = "") -> Target:
    """Make a target of an address and its labels, which are read as Prometheus reads them.

    ``__scheme__`` and ``__profile_path_prefix__`` say how to reach it, other labels that begin with two underscores
    are dropped; the service is `service`, or the label ``service_name``, ``service`` or ``job``.

    Raises:
        ConfigError: the address is not of the form host:port.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or "/" in address:
        raise ConfigError(f"target {address!r} must look like host:port, without http:// and without a path")
    named = service or next((labels[key] for key in ("service_name", "service", "job") if labels.get(key)), "")
    shown = {key: value for key, value in labels.items() if not key.startswith("__") and key != "service_name"}
    return Target(
        address=address,
        service=named or UNKNOWN_SERVICE,
        labels=tuple(sorted(({"instance": address} | shown).items())),
        scheme=labels.get("__scheme__", "http"),
        prefix=labels.get("__profile_path_prefix__", DEFAULT_PREFIX).rstrip("/"),
    )


class Discovery(Protocol):
    """Something that knows targets."""

    def targets(self) -> list[Target]:
        """All targets as of now.

        Raises:
            SourceError: they cannot be told; the ones told before stay in force.
        """
        ...


@dataclass(frozen=True, slots=True)
class StaticTargets:
    """Targets written into the configuration.

    Attributes:
        addresses: host:port of each.
        service: their service.
        labels: their labels.
    """

    addresses: Sequence[str]
    service: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)

    def targets(self) -> list[Target]:
        """All of them.

        Raises:
            ConfigError: an address is not of the form host:port.
        """
        return [target_of(address, self.labels, self.service) for address in self.addresses]


class FileTargets:
    """Targets in JSON or YAML files of the form ``[{"targets": ["host:port"], "labels": {"key": "value"}}]``.

    A file is read again when its size or time of change differs (Prometheus, ``file_sd_config``).
    """

    def __init__(self, path: Path, service: str = "") -> None:
        self._path = path
        self._service = service
        self._known: dict[Path, tuple[tuple[int, int], list[Target]]] = {}

    def targets(self) -> list[Target]:
        """All targets of all files that the path, which may be a pattern such as ``targets/*.yml``, names.

        Raises:
            SourceUnreachable: a file is not there or not readable.
            SourceMalformed: a file is not of that form.
        """
        paths = sorted(self._path.parent.glob(self._path.name))
        if not paths:
            raise SourceUnreachable(f"{self._path}: no such file; the targets are expected there")
        self._known = {path: self._current(path) for path in paths}
        return [target for _, targets in self._known.values() for target in targets]

    def _current(self, path: Path) -> tuple[tuple[int, int], list[Target]]:
        try:
            stat = path.stat()
            stamp = (stat.st_mtime_ns, stat.st_size)
            known = self._known.get(path)
            return known if known and known[0] == stamp else (stamp, self._read(path))
        except OSError as exc:
            raise SourceUnreachable(f"{path} cannot be read: {exc.strerror}") from exc

    def _read(self, path: Path) -> list[Target]:
        try:
            text = path.read_text("utf-8")
            groups = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
            return list(_targets_of(groups, self._service))
        except (ValueError, yaml.YAMLError, ConfigError) as exc:
            raise SourceMalformed(f"{path} is not a list of {{targets, labels}}: {exc}") from exc


def _targets_of(groups: Any, service: str) -> Iterable[Target]:
    if not isinstance(groups, list):
        raise ConfigError(f"expected a list of groups, found {type(groups).__name__}")
    for group in groups:
        addresses = group.get("targets") if isinstance(group, dict) else None
        labels = (group.get("labels") or {}) if isinstance(group, dict) else None
        if not isinstance(addresses, list) or not isinstance(labels, dict):
            raise ConfigError(f"the group {str(group)[:100]!r} lacks a list `targets`, or its `labels` are no mapping")
        words = {str(key): str(value) for key, value in labels.items()}
        yield from (target_of(str(address), words, service) for address in addresses)


@dataclass(frozen=True, slots=True)
class DnsTargets:
    """One target per address that a host name has now: the pods of a headless service, for instance.

    Attributes:
        name: the host name.
        port: where each of them serves pprof.
        service: their service.
        labels: their labels.
        resolve: asks the DNS.
    """

    name: str
    port: int
    service: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    resolve: Resolver = field(default_factory=lambda: addresses_of)

    def targets(self) -> list[Target]:
        """One per address.

        Raises:
            SourceUnreachable: the name cannot be resolved.
        """
        try:
            found = self.resolve(self.name)
        except OSError as exc:
            raise SourceUnreachable(f"the host name {self.name} cannot be resolved ({exc}); check `dns`") from exc
        hosts = sorted({f"[{address}]" if ":" in address else address for address in found})
        return [target_of(f"{host}:{self.port}", self.labels, self.service or self.name) for host in hosts]


def addresses_of(name: str) -> list[str]:
    """The addresses of a host name, from the system's resolver.

    Raises:
        OSError: it has none, or nobody who knows can be asked.
    """
    return [str(entry[4][0]) for entry in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)]


class Directory:
    """The targets of several discoveries; one that fails keeps its last targets and its error is told."""

    def __init__(self, discoveries: Sequence[Discovery]) -> None:
        self._discoveries = tuple(discoveries)
        self._last: list[list[Target]] = [[] for _ in self._discoveries]
        self.errors: tuple[str, ...] = ()

    def targets(self) -> list[Target]:
        """All targets, each once; where two discoveries name the same URL the first wins."""
        errors = []
        for index, discovery in enumerate(self._discoveries):
            try:
                self._last[index] = discovery.targets()
            except SourceError as exc:
                errors.append(str(exc))
        self.errors = tuple(errors)
        every = [target for targets in self._last for target in targets]
        return list({target.url: target for target in reversed(every)}.values())[::-1]
