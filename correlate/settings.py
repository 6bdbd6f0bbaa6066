"""Configuration: defaults, one YAML file, ``CORRELATE_*`` environment variables; read by composition roots only."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)

from correlate.errors import ConfigError


class GrafanaSettings(BaseModel):
    """Where links into Grafana lead; without a URL no such links are made."""

    url: str = Field("", description="base URL of Grafana, with its sub-path if it has one")
    tempo_uid: str = Field("tempo", description="uid of the Tempo datasource")
    pyroscope_uid: str = Field("pyroscope", description="uid of the Pyroscope datasource")
    org_id: int = Field(1, description="Grafana organisation")


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
    symbol_cache_bytes: int = Field(256 << 20, gt=0, description="stacks and frames kept in memory")
    grafana: GrafanaSettings = Field(default_factory=lambda: GrafanaSettings.model_validate({}))

    @property
    def resolved_lake_url(self) -> str:
        """The lake's URL, with the default filled in."""
        return self.lake_url or str(self.data_dir / "lake")

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
