"""How services are watched, as the configuration says it: which detectors look, how easily they speak, and when."""

from pathlib import Path
from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from correlate.detectors.sensitivity import Sensitivity
from correlate.model.alert_policy import Policies, Policy, PolicyRule
from correlate.model.alerts import Severity

Seconds = Annotated[float, Field(ge=0, le=30 * 86_400)]

NAMES: Final = ("memory-leak", "goroutine-leak", "hotspot", "regression", "contention", "threshold")
"""The detectors there are; named here, since loading them takes longer than most commands do."""

_RENAMED: Final = {"enable": "enabled"}


class RuleSettings(BaseModel):
    """What is different for some services and detectors; what is left out stays as it is."""

    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True)

    service: str = Field("*", min_length=1)
    detector: str = "*"
    enable: bool | None = None
    sensitivity: Sensitivity | None = None
    owner: str | None = None
    severity: Severity | None = None
    suppress_after_deploy_s: Seconds | None = None
    confirm_count: Annotated[int, Field(ge=1, le=100)] | None = None
    confirm_watch_after_s: Seconds | None = None
    resolve_after_count: Annotated[int, Field(ge=1, le=1000)] | None = None
    resolve_after_s: Seconds | None = None
    reopen_within_s: Seconds | None = None
    escalate_after_s: Seconds | None = None

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if self.detector != "*" and not any(mark in self.detector for mark in "*?[") and self.detector not in NAMES:
            raise ValueError(f"there is no detector {self.detector!r}: there are {', '.join(NAMES)}")
        if not self.rule().changes:
            raise ValueError("a rule needs something that it changes, for instance enable or sensitivity")
        return self

    def rule(self) -> PolicyRule:
        """What alerting works with: durations in nanoseconds."""
        given = self.model_dump(exclude={"service", "detector"}, exclude_none=True)
        return PolicyRule(self.service, self.detector, dict(map(_changed, given.items())))


class QuerySettings(BaseModel):
    """PromQL of each level; empty: it is not asked for."""

    model_config = ConfigDict(extra="forbid")

    cpu: str = Field(
        "rate(process_cpu_seconds_total[$range]) / go_sched_gomaxprocs_threads", description="1: all cores it may use"
    )
    memory: str = Field(
        'avg_over_time(container_memory_working_set_bytes{image!=""}[$range])'
        ' / (container_spec_memory_limit_bytes{image!=""} > 0)',
        description="1: all it may use",
    )
    goroutines: str = "avg_over_time(go_goroutines[$range])"
    gc_pause: str = Field('max_over_time(go_gc_duration_seconds{quantile="1"}[$range])', description="seconds")
    memory_limit_bytes: str = 'container_spec_memory_limit_bytes{image!=""} > 0'

    @model_validator(mode="after")
    def _asks(self) -> Self:
        if not any(text.strip() for text in self.given.values()):
            raise ValueError("all queries are empty: leave out `prometheus` if nothing is to be asked")
        return self

    @property
    def given(self) -> dict[str, str]:
        """Quantity and expression."""
        return self.model_dump()


class PrometheusSettings(BaseModel):
    """Where levels are asked for that profiles do not tell."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    url: str = Field(pattern=r"^https?://[^/\s]+", description="Prometheus, Mimir, Thanos, … with its path prefix")
    token_file: Path | None = Field(None, description="file with a bearer token")
    tenant: str = Field("", description="sent as X-Scope-OrgID")
    ca_file: str = ""
    timeout_s: Annotated[float, Field(gt=0, le=60)] = 5.0
    service_label: str = Field("job", pattern="^[A-Za-z_][A-Za-z0-9_]*$", description="label that names the service")
    queries: QuerySettings = Field(default_factory=lambda: QuerySettings.model_validate({}))


class DetectorSettings(BaseModel):
    """How all services are watched."""

    model_config = ConfigDict(extra="forbid")

    enable: bool = Field(True, description="whether services are watched at all")
    bucket_s: Annotated[int, Field(ge=5, le=3600)] = 300
    settle_s: Seconds = 120.0
    shards: Annotated[int, Field(ge=1, le=1024)] = 4
    pace: Annotated[float, Field(gt=0, le=10)] = 1.0
    sensitivity: Sensitivity = Sensitivity.NORMAL
    suppress_after_deploy_s: Seconds = 900.0
    rules: list[RuleSettings] = Field(default_factory=list)
    prometheus: PrometheusSettings | None = Field(None, description="who is asked for levels")

    @property
    def policies(self) -> Policies:
        """What alerting works with."""
        default = Policy(
            sensitivity=self.sensitivity.value, suppress_after_deploy_ns=int(self.suppress_after_deploy_s * 1e9)
        )
        return Policies(default, tuple(each.rule() for each in self.rules))


def _changed(item: tuple[str, Any]) -> tuple[str, Any]:
    name, value = item
    if name.endswith("_s"):
        return f"{name.removesuffix('_s')}_ns", int(value * 1e9)
    return _RENAMED.get(name, name), value.value if isinstance(value, Sensitivity) else value
