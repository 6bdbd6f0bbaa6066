"""Configuration: defaults, one YAML file, ``CORRELATE_*`` environment variables; read by composition roots only."""

import os
import re
from pathlib import Path
from typing import Any, Final, Literal, Self

from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)

from correlate.errors import ConfigError
from correlate.model.forward import CARRIED, ForwardSignal, Target, TargetKind, WhenFull
from correlate.model.pipeline import SERVICE_KEYS, TYPE_KEY, Action, ActionKind, Condition, Matcher, Signal, Step
from correlate.settings_detectors import DetectorSettings
from correlate.settings_receivers import ReceiverSettings, names_once
from correlate.tables.pipeline import pattern_problem

_AWS: Final = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_ALLOW_HTTP",
)


class GrafanaSettings(BaseModel):
    """Where links into Grafana lead; without a URL no such links are made."""

    url: str = Field("", description="base URL of Grafana, with its sub-path if it has one")
    tempo_uid: str = Field("tempo", description="uid of the Tempo datasource")
    pyroscope_uid: str = Field("pyroscope", description="uid of the Pyroscope datasource")
    org_id: int = Field(1, description="Grafana organisation")


class _Section(BaseModel):
    """A part of the file in which a word that is not known is a mistake, and numbers may stand for text."""

    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True, hide_input_in_errors=True)


class ConditionSettings(_Section):
    """A resource attribute or label, and the value it has to have."""

    key: str = Field(min_length=1)
    value: str = ""


class MatchSettings(_Section):
    """Attributes that all have to match; ``resource_attributes`` is another word for ``attributes``."""

    match_type: Literal["strict", "regexp"] = "strict"
    attributes: list[ConditionSettings] = Field(
        min_length=1, validation_alias=AliasChoices("attributes", "resource_attributes")
    )

    @model_validator(mode="after")
    def _compiles(self) -> Self:
        problems = [pattern_problem(each.value) for each in self.attributes] if self.match_type == "regexp" else []
        if found := [problem for problem in problems if problem]:
            raise ValueError("; ".join(found))
        return self

    def matcher(self) -> Matcher:
        """What the pipeline works with."""
        conditions = tuple(Condition(each.key, each.value) for each in self.attributes)
        return Matcher(conditions, self.match_type == "regexp")


class ActionSettings(_Section):
    """One change of one attribute."""

    action: ActionKind
    key: str = Field(min_length=1)
    value: str | None = None
    to: str | None = None

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if (self.to is not None) != (self.action is ActionKind.RENAME):
            raise ValueError("rename needs 'to', the new key; no other action has it")
        if (self.value is None) == (self.action in (ActionKind.INSERT, ActionKind.UPDATE, ActionKind.UPSERT)):
            raise ValueError("insert, update and upsert need 'value'; delete and rename have none")
        if self.action in (ActionKind.DELETE, ActionKind.RENAME) and self.key in SERVICE_KEYS:
            raise ValueError("everything has a service: service.name can be inserted, updated or upserted")
        if self.key in SERVICE_KEYS and self.value == "":
            raise ValueError("the name of a service cannot be empty")
        if TYPE_KEY in (self.key, self.to):
            raise ValueError(f"{TYPE_KEY} can be matched, not changed")
        return self


class StepSettings(_Section):
    """One step of the pipeline on the way in: a filter, or changes of attributes."""

    name: str = ""
    signals: list[Signal] = Field(default_factory=lambda: list(Signal), min_length=1)
    where: MatchSettings | None = None
    include: MatchSettings | None = None
    exclude: MatchSettings | None = None
    actions: list[ActionSettings] = Field(default_factory=list)

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if not (self.include or self.exclude or self.actions):
            raise ValueError("a step needs include, exclude or actions")
        return self

    def step(self, number: int) -> Step:
        """What the pipeline works with; steps without a name are called by their number."""
        actions = tuple(Action(each.action, each.key, each.value or "", each.to or "") for each in self.actions)
        return Step(
            name=self.name or str(number),
            signals=frozenset(self.signals),
            where=self.where.matcher() if self.where else None,
            include=self.include.matcher() if self.include else None,
            exclude=self.exclude.matcher() if self.exclude else None,
            actions=actions,
        )


class ForwardSettings(_Section):
    """A system that gets what came in, as it was received."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,40}$")
    kind: TargetKind
    url: str = Field(pattern=r"^https?://[^/\s]+")
    signals: list[ForwardSignal] = Field(default_factory=list)
    unreadable: bool = False
    tenant: str = ""
    headers: dict[str, str] = Field(default_factory=dict, repr=False)
    bearer_token: SecretStr = SecretStr("")
    bearer_token_file: Path | None = None
    basic_user: str = ""
    basic_password: SecretStr = SecretStr("")
    basic_password_file: Path | None = None
    ca_file: str = ""
    timeout_s: float = Field(10.0, gt=0, le=600)
    compression: Literal["gzip", "none"] = "gzip"
    max_bytes: int = Field(1 << 30, gt=0)
    when_full: WhenFull = WhenFull.DROP
    wait_s: float = Field(0.0, ge=0, le=30)

    @model_validator(mode="after")
    def _carried(self) -> Self:
        if wrong := sorted(set(self.signals) - CARRIED[self.kind]):
            raise ValueError(f"{self.kind.value} does not carry {', '.join(wrong)}")
        if self.kind is TargetKind.OTLP_GRPC and not re.fullmatch(r"https?://[^/]+:\d+/?", self.url):
            raise ValueError("the url of a gRPC target is http://host:port or https://host:port")
        return self

    def target(self) -> Target:
        """What forwarding works with, secrets read from their files.

        Raises:
            ConfigError: a file with a secret cannot be read.
        """
        same = ("name", "kind", "url", "unreadable", "tenant", "headers", "basic_user", "ca_file", "timeout_s")
        return Target(
            **{name: getattr(self, name) for name in (*same, "max_bytes", "when_full", "wait_s")},
            signals=frozenset(self.signals) or CARRIED[self.kind],
            bearer_token=_secret(self.bearer_token, self.bearer_token_file),
            basic_password=_secret(self.basic_password, self.basic_password_file),
            compress=self.compression == "gzip",
        )


def _secret(value: SecretStr, file: Path | None) -> str:
    try:
        return file.read_text().strip() if file else value.get_secret_value()
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"the file {file} with a secret cannot be read: {exc}") from exc


class Settings(BaseSettings):
    """Everything that can be set; ``CORRELATE_GRAFANA__URL`` sets ``grafana.url``."""

    model_config = SettingsConfigDict(
        env_prefix="CORRELATE_", env_nested_delimiter="__", extra="forbid", validate_default=True
    )

    data_dir: Path = Field(Path("correlate-data"), description="folder of the lake and the state database")
    lake_url: str = Field("", description="where the Delta tables are; empty: DATA_DIR/lake")
    state_url: str = Field("", description="SQLAlchemy URL of the state database; empty: SQLite in DATA_DIR")
    http: str = Field("127.0.0.1:8080", description="REST, pages, Pyroscope push and OTLP/HTTP")
    otlp_grpc: str = Field("127.0.0.1:4317", description="OTLP gRPC, or 'off'")
    otlp_http: str = Field("127.0.0.1:4318", description="OTLP/HTTP on its usual port, or 'off'")
    pyroscope: str = Field("off", description="a further HTTP port for Pyroscope clients, usually 127.0.0.1:4040")
    public_url: str = Field("", description="how people reach the HTTP port; empty: http://HTTP")
    retention_days: float = Field(30.0, gt=0, description="older data is refused and deleted")
    max_lake_bytes: int = Field(0, ge=0, description="when the lake is larger, its oldest hours go; 0: no cap")
    ahead_s: float = Field(3600.0, ge=0, description="how far a sender's clock may run ahead")
    join_skew_s: float = Field(60.0, ge=0, description="how far a profile's clock may be off from its span's")
    body_limit_bytes: int = Field(64 << 20, gt=0, description="largest request body after decompression")
    inflight_limit_bytes: int = Field(256 << 20, gt=0, description="request bodies held at the same time")
    queue_limit_bytes: int = Field(256 << 20, gt=0, description="rows waiting for a commit")
    commit_linger_s: float = Field(0.25, ge=0, le=5, description="how long a commit waits for company")
    fsync: bool = Field(False, description="flush every commit to the local disk before it is acknowledged")
    symbol_cache_bytes: int = Field(256 << 20, gt=0, description="stacks and frames kept in memory")
    lake_options: dict[str, str] = Field(
        default_factory=dict, repr=False, description="of an object store, for instance AWS_ENDPOINT_URL"
    )
    broker_url: str = Field("memory://", repr=False, description="Celery broker: memory://, redis://…, amqp://…")
    lease_s: float = Field(30.0, gt=0, description="how long the work of a process that died waits for another one")
    worker_threads: int = Field(4, gt=0, le=256, description="tasks that a worker does at the same time")
    sources: list[dict[str, Any]] = Field(default_factory=list, repr=False, description="systems to pull from")
    sources_file: Path | None = Field(None, description="YAML file with a list `sources`, instead of naming them here")
    pipeline: list[StepSettings] = Field(default_factory=list, description="filters and changes on the way in")
    forward: list[ForwardSettings] = Field(default_factory=list, repr=False, description="who gets what came in")
    receivers: list[ReceiverSettings] = Field(default_factory=list, repr=False, description="who is told about alerts")
    detectors: DetectorSettings = Field(default_factory=lambda: DetectorSettings.model_validate({}))
    grafana: GrafanaSettings = Field(default_factory=lambda: GrafanaSettings.model_validate({}))

    @field_validator("forward")
    @classmethod
    def _names_once(cls, forward: list[ForwardSettings]) -> list[ForwardSettings]:
        names = [each.name for each in forward]
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"several targets are called {', '.join(repeated)}")
        return forward

    @field_validator("receivers")
    @classmethod
    def _receivers_once(cls, receivers: list[ReceiverSettings]) -> list[ReceiverSettings]:
        if repeated := names_once(receivers):
            raise ValueError(f"several receivers are called {', '.join(repeated)}")
        return receivers

    @property
    def steps(self) -> tuple[Step, ...]:
        """The pipeline on the way in."""
        return tuple(each.step(number) for number, each in enumerate(self.pipeline, 1))

    @property
    def resolved_lake_url(self) -> str:
        """The lake's URL, with the default filled in."""
        return self.lake_url or str(self.data_dir / "lake")

    @property
    def resolved_lake_options(self) -> dict[str, str]:
        """Options of the object store: what S3 servers usually need, ``AWS_*`` of the environment, and ours last."""
        if not self.resolved_lake_url.startswith("s3"):
            return dict(self.lake_options)
        given = {name: value for name, value in os.environ.items() if name in _AWS} | self.lake_options
        plain = given.get("AWS_ENDPOINT_URL", "").startswith("http://")
        return {"aws_conditional_put": "etag"} | ({"AWS_ALLOW_HTTP": "true"} if plain else {}) | given

    @property
    def resolved_state_url(self) -> str:
        """The state database's URL, with the default filled in."""
        return self.state_url or f"sqlite:///{self.data_dir / 'state.db'}"

    @property
    def resolved_public_url(self) -> str:
        """The URL for links to our own pages, without a slash at the end."""
        return (self.public_url or f"http://{self.http}").rstrip("/")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 the signature is pydantic's; .env files are not read
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments win over the environment, the environment over the file."""
        given = dict(init_settings.init_kwargs) if isinstance(init_settings, InitSettingsSource) else {}
        file = given.pop("config_file", None)
        sources = [InitSettingsSource(settings_cls, given), env_settings, file_secret_settings]
        if file is not None:
            sources.append(YamlConfigSettingsSource(settings_cls, yaml_file=file))
        return tuple(sources)


def load(config_file: Path | None = None, **overrides: Any) -> Settings:
    """Read the settings; values of None in `overrides` count as not given.

    Raises:
        ConfigError: the file is missing or a value is wrong; the message lists every mistake.
    """
    if config_file is not None and not config_file.is_file():
        raise ConfigError(f"the configuration file {config_file} does not exist")
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings(**given | ({"config_file": config_file} if config_file else {}))
    except ValidationError as exc:
        mistakes = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'settings'}: {e['msg']}" for e in exc.errors())
        raise ConfigError(f"the configuration has {exc.error_count()} mistake(s): {mistakes}") from exc
