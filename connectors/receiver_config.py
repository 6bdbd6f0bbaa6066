"""What can be said of a receiver of alerts in the configuration: one model per kind."""

import re
from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from connectors.config import Count, Positive, Reach

_HEADER: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_THREE_DAYS_S: Final = 259_200.0


class ReceiverConfig(Reach):
    """What every receiver has."""

    name: str = Field(pattern="^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=100, description="unique")
    kind: str
    rate_per_s: Positive = Field(10.0, description="notifications in a second")
    at_once: Annotated[int, Field(gt=0, le=64)] = Field(4, description="notifications under way at the same time")
    give_up_after_s: Positive = Field(_THREE_DAYS_S, description="how long one is tried that is not taken")
    runbook_url: str = Field("", description="link in every alert; {alertname}, {service}, … are filled in")
    max_response_bytes: Count = 1 << 20
    max_retries: Literal[0] = Field(0, description="attempts are made by the outbox")

    @field_validator("runbook_url")
    @classmethod
    def _is_an_address(cls, url: str) -> str:
        if url and not re.match(r"https?://[^/\s]+", url):
            raise ValueError("must begin with http:// or https://")
        return url


class SecretAddress(ReceiverConfig):
    """A receiver whose address lets everybody in who knows it."""

    SECRETS: ClassVar[tuple[str, ...]] = ("token", "password", "url")

    url: SecretStr | None = None
    url_file: Path | None = Field(None, description="file with the address")

    @model_validator(mode="after")
    def _has_an_address(self) -> Self:
        if self.url is None and self.url_file is None:
            raise ValueError("give url or url_file")
        return self


class WebhookConfig(SecretAddress):
    """Any HTTP server."""

    SECRETS: ClassVar[tuple[str, ...]] = ("token", "password", "url", "secret")

    kind: Literal["webhook"]
    format: Literal["alertmanager", "grafana", "cloudevents"] = "alertmanager"
    method: Literal["POST", "PUT"] = "POST"
    secret: SecretStr | None = Field(None, description="of the signature; none: not signed")
    secret_file: Path | None = None
    signature_header: str = "X-Correlate-Signature"
    timestamp_header: str = "X-Correlate-Timestamp"
    max_alerts: Annotated[int, Field(ge=0)] = Field(1000, description="in one body, the rest is counted; 0: all")

    @field_validator("signature_header", "timestamp_header")
    @classmethod
    def _is_a_header(cls, name: str) -> str:
        if not _HEADER.fullmatch(name):
            raise ValueError("is not the name of a header")
        return name


class SlackConfig(SecretAddress):
    """An incoming webhook of Slack, Mattermost or Rocket.Chat."""

    kind: Literal["slack"]
    channel: str = ""
    rate_per_s: Positive = 1.0
    at_once: Annotated[int, Field(gt=0, le=64)] = 1


class AlertmanagerConfig(ReceiverConfig):
    """An Alertmanager with its peers."""

    kind: Literal["alertmanager"]
    urls: Annotated[tuple[str, ...], Field(min_length=1, max_length=16)] = Field(description="of every peer")
    every_s: Annotated[float, Field(ge=5, le=600)] = Field(60.0, description="how often alerts are sent again")


class GrafanaConfig(ReceiverConfig):
    """Annotations in Grafana."""

    kind: Literal["grafana"]
    url: str
    dashboard_uid: str = ""
    panel_id: Annotated[int, Field(ge=0)] = 0
