"""What can be said of a source in the configuration: one model per kind, and secrets from files or the environment."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from connectors.endpoint import Endpoint
from connectors.pprof_profiles import KINDS
from correlate.errors import ConfigError

_VARIABLE: Final = re.compile(r"\$\{(\w+)\}")
_NAME: Final = r"[A-Za-z0-9][A-Za-z0-9_.-]*"

Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(gt=0)]


class SourceConfig(BaseModel):
    """What every source has."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    name: str = Field(pattern=f"^{_NAME}$", max_length=100, description="unique; seen in /sources and metrics")
    kind: str
    every_s: Positive = Field(30.0, description="how often to look whether something is due")
    step_s: Positive = Field(300.0, description="the longest window to fetch at once")
    backfill_s: Annotated[float, Field(ge=0)] = Field(3600.0, description="how far back to begin at first")


class Reach(BaseModel):
    """How to reach a server over HTTP: credentials, certificates, limits."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    SECRETS: ClassVar[tuple[str, ...]] = ("token", "password")

    tenant: str = Field("", description="sent as X-Scope-OrgID")
    token: SecretStr | None = Field(None, description="bearer token; better token_file or ${VARIABLE}")
    token_file: Path | None = None
    user: str = Field("", description="for basic authentication")
    password: SecretStr | None = None
    password_file: Path | None = None
    headers: dict[str, SecretStr] = Field(default_factory=dict)
    ca_file: str = Field("", description="PEM file with the certificates to trust")
    client_cert_file: str = ""
    client_key_file: str = ""
    verify: bool = Field(True, description="false accepts any server certificate")
    timeout_s: Positive = 10.0
    connect_timeout_s: Positive = 3.0
    deadline_s: Positive = 60.0
    max_retries: Annotated[int, Field(ge=0, le=20)] = 4
    max_response_bytes: Count = 256 << 20

    @model_validator(mode="after")
    def _one_way_each(self) -> Self:
        for secret in self.SECRETS:
            if getattr(self, secret) is not None and getattr(self, f"{secret}_file") is not None:
                raise ValueError(f"give {secret} or {secret}_file, not both")
        if self.token_given and self.user:
            raise ValueError("give a token or a user with a password, not both")
        return self

    def secret_named(self, name: str) -> str:
        """One of the `SECRETS`, read from its file where it is in one; "" when it is not given.

        Raises:
            ConfigError: the file cannot be read, or is empty.
        """
        return _secret(getattr(self, name), getattr(self, f"{name}_file"), f"{name}_file")

    @property
    def token_given(self) -> bool:
        """Whether a bearer token is to be sent."""
        return self.token is not None or self.token_file is not None

    def endpoint(self, url: str) -> Endpoint:
        """Where and how, with the secrets read.

        Raises:
            ConfigError: a file with a secret cannot be read, or is empty.
        """
        return Endpoint(
            url=url,
            tenant=self.tenant,
            bearer_token=self.secret_named("token"),
            basic_user=self.user,
            basic_password=self.secret_named("password"),
            headers={name: value.get_secret_value() for name, value in self.headers.items()},
            ca_file=self.ca_file,
            client_cert_file=self.client_cert_file,
            client_key_file=self.client_key_file,
            verify=self.verify,
            timeout_s=self.timeout_s,
            connect_timeout_s=self.connect_timeout_s,
            max_retries=self.max_retries,
            max_response_bytes=self.max_response_bytes,
            deadline_s=max(self.deadline_s, self.timeout_s),
        )


class NetworkConfig(SourceConfig, Reach):
    """What every source has that is asked over HTTP."""


class TempoConfig(NetworkConfig):
    """A Grafana Tempo."""

    kind: Literal["tempo"]
    url: str
    services: tuple[str, ...] = Field((), description="whose spans; none: all")
    whole_traces: bool = Field(True, description="take what other services did in the same traces too")
    lag_s: Annotated[float, Field(ge=0)] = 90.0
    concurrency: Annotated[int, Field(gt=0, le=64)] = 8


class PyroscopeConfig(NetworkConfig):
    """A Grafana Pyroscope or Phlare."""

    kind: Literal["pyroscope"]
    url: str
    services: tuple[str, ...] = ()
    profile_types: tuple[str, ...] = Field((), description="beginnings of profile type ids; none: all")
    profile_step_s: Annotated[int, Field(gt=0, le=3600)] = Field(15, description="length of the profiles pulled")
    settle_s: Annotated[int, Field(ge=0)] = 60
    query_length_s: Count = 86_400
    lookback_s: Count = 7 * 86_400
    accept_sampled: bool = False


class ElasticConfig(NetworkConfig):
    """Elastic Universal Profiling."""

    kind: Literal["elastic"]
    url: str
    services: tuple[str, ...] = ()
    profile_step_s: Annotated[int, Field(gt=0, le=3600)] = 60
    settle_s: Annotated[int, Field(ge=0)] = 120


class DnsConfig(BaseModel):
    """Targets by DNS name."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    name: str
    port: Annotated[int, Field(gt=0, lt=65_536)]
    service: str = ""
    labels: dict[str, str] = Field(default_factory=dict)


class PprofConfig(NetworkConfig):
    """Processes that serve Go's net/http/pprof."""

    kind: Literal["pprof"]
    every_s: Positive = Field(5.0, description="how often to look which targets have their turn")
    targets: tuple[str, ...] = Field((), description="host:port of each")
    service: str = Field("", description="their service; files and dns may name others")
    labels: dict[str, str] = Field(default_factory=dict)
    files: tuple[Path, ...] = Field((), description="Prometheus' file_sd, JSON or YAML; patterns such as t/*.yml")
    dns: tuple[DnsConfig, ...] = ()
    profiles: tuple[str, ...] = ("profile", "heap", "goroutine", "mutex", "block", "goroutineleak")
    interval_s: Positive = Field(15.0, description="from one scrape of a target to its next")
    cpu_seconds_s: Annotated[int, Field(gt=0, le=300)] = Field(10, description="how long the CPU profile watches")
    scrape_timeout_s: Positive = 4.0

    @model_validator(mode="after")
    def _sensible(self) -> "PprofConfig":
        if not (self.targets or self.files or self.dns):
            raise ValueError("name some targets, files or dns names")
        if unknown := sorted(set(self.profiles) - set(KINDS)):
            raise ValueError(f"profiles {', '.join(unknown)} are not known; known are {', '.join(KINDS)}")
        if "profile" in self.profiles and self.cpu_seconds_s > self.interval_s:
            raise ValueError("cpu_seconds_s must not be longer than interval_s")
        return self


class OtlpFileConfig(SourceConfig):
    """Files that an OpenTelemetry Collector's file exporter writes."""

    kind: Literal["otlp-file"]
    every_s: Positive = Field(5.0, description="how often to look for what was appended")
    paths: Annotated[tuple[str, ...], Field(min_length=1)] = Field(description="patterns such as /var/otel/*.json")
    format: Literal["auto", "json", "proto"] = Field("auto", description="lines of JSON, or messages after a length")
    signal: Literal["auto", "traces", "profiles"] = "auto"
    max_record_bytes: Annotated[int, Field(gt=0, le=1 << 30)] = 64 << 20


def expanded(value: Any, environment: Mapping[str, str] = os.environ) -> Any:
    """A piece of configuration with ``${NAME}`` replaced by variables of the environment, at any depth.

    Raises:
        ConfigError: some are not set; the message names them all.
    """
    if missing := sorted({name for text in _texts(value) for name in _VARIABLE.findall(text)} - set(environment)):
        raise ConfigError(f"the environment has no {', '.join(missing)}")
    return _expanded(value, environment)


def _expanded(value: Any, environment: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return _VARIABLE.sub(lambda found: environment[found[1]], value)
    if isinstance(value, dict):
        return {key: _expanded(part, environment) for key, part in value.items()}
    return [_expanded(part, environment) for part in value] if isinstance(value, list) else value


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for part in parts:
        yield from _texts(part)


def _secret(value: SecretStr | None, path: Path | None, setting: str) -> str:
    if value is not None:
        return value.get_secret_value()
    if path is None:
        return ""
    try:
        text = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is not text"
        raise ConfigError(f"{setting}: {path} cannot be read: {reason}") from exc
    if not text:
        raise ConfigError(f"{setting}: {path} is empty")
    return text
