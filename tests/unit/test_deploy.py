"""What ships in deploy/ and docker-compose.yml fits together, as far as that can be seen without running it."""

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from connectors import receivers
from connectors.registry import build, read_file
from correlate.bootstrap import SystemClock
from correlate.model.forward import TargetKind
from correlate.settings import Settings, load

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
COLLECTOR: dict[str, Any] = yaml.safe_load((DEPLOY / "otel-collector.yaml").read_text())
PORTS = {
    "correlate-api": {8080, 4317, 4318},
    "tempo": {3200, 4317, 4318},
    "pyroscope": {4040},
    "collector": {4317, 4318, 13133},
    "grafana": {3000},
    "valkey": {6379},
    "postgres": {5432},
    "s3": {8333, 9333},
    "go-checkout": {6060, 8000},
}
"""What each service listens on inside the composition."""


def named_places(text: str) -> set[tuple[str, int]]:
    """Every ``service:port`` in a text."""
    found = re.findall(r"(?<![\w.-])([a-z][a-z0-9-]*):(\d{4,5})\b", text)
    return {(name, int(port)) for name, port in found if name in SERVICES}


def environment() -> dict[str, str]:
    """The demo credentials."""
    lines = [line for line in (DEPLOY / "demo.env").read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


@pytest.mark.parametrize("path", sorted([*DEPLOY.rglob("*.yaml"), *DEPLOY.rglob("*.json")]), ids=lambda path: path.name)
def test_every_file_can_be_read(path: Path) -> None:
    """YAML is YAML and JSON is JSON."""
    assert json.loads(path.read_text()) if path.suffix == ".json" else yaml.safe_load(path.read_text())


def test_every_file_that_is_mounted_or_built_is_there() -> None:
    """Volumes, environment files, Dockerfiles and what they copy."""
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert (ROOT / source).exists() if source.startswith(".") else source in COMPOSE["volumes"]
        for file in service.get("env_file", []):
            assert (ROOT / file).is_file()
        if "build" in service:
            assert (ROOT / service["build"]["dockerfile"]).is_file()
    for dockerfile in [DEPLOY / "Dockerfile", *DEPLOY.glob("examples/*.Dockerfile")]:
        for copied in re.findall(r"^COPY (?!--from)(.+) \S+$", dockerfile.read_text(), re.MULTILINE):
            assert all(list(ROOT.glob(source.rstrip("/"))) for source in copied.split())


def test_what_the_images_need_is_not_ignored() -> None:
    """The build context holds every file that a Dockerfile copies."""
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for dockerfile in [DEPLOY / "Dockerfile", *DEPLOY.glob("examples/*.Dockerfile")]:
        for copied in re.findall(r"^COPY (?!--from)(.+) \S+$", dockerfile.read_text(), re.MULTILINE):
            assert {source.split("/")[0] for source in copied.split()} <= kept


def test_images_are_pinned_and_ports_stay_on_this_machine() -> None:
    """No image floats, and nothing listens beyond loopback."""
    for name, service in SERVICES.items():
        image = service.get("image", "")
        assert image == "correlate:local" or "build" in service or re.search(r":\d+\.\d+", image), name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name


def test_what_waits_for_health_waits_for_something_that_tells_it() -> None:
    """A condition of health needs a health check; every service but those that say why not has one."""
    for service in SERVICES.values():
        for needed, how in service.get("depends_on", {}).items():
            assert needed in SERVICES
            if how["condition"] == "service_healthy":
                assert "healthcheck" in SERVICES[needed], needed
    without = {name for name, service in SERVICES.items() if "healthcheck" not in service}
    assert without == {"s3-bucket", "pyroscope", "collector", "checkout-python", "go-checkout"}


def test_addresses_lead_to_services_and_ports_that_are_there() -> None:
    """Every service:port that is written anywhere is one that the service listens on."""
    texts = [path.read_text() for path in DEPLOY.rglob("*") if path.suffix in (".yaml", ".env", ".json")]
    places = set().union(*map(named_places, [*texts, json.dumps(SERVICES)]))
    assert {name for name, _ in places} >= {"tempo", "pyroscope", "correlate-api", "valkey", "postgres", "s3"}
    assert {place for place in places if place[1] not in PORTS[place[0]]} == set()


def test_the_settings_are_ones_that_correlate_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The configuration and the environment load together, without a mistake."""
    for name, value in environment().items():
        monkeypatch.setenv(name, value)
    settings = load(DEPLOY / "correlate.yaml", sources_file=DEPLOY / "sources.yaml")
    assert settings.lake_url.startswith("s3://")
    assert settings.steps
    (target,) = [each.target() for each in settings.forward]
    assert target.kind is TargetKind.PYROSCOPE
    used = {name.removeprefix("CORRELATE_").lower() for name in environment() if name.startswith("CORRELATE_")}
    assert used <= set(Settings.model_fields)


def test_the_sources_are_ones_that_can_be_pulled() -> None:
    """The workers' sources are built, and lead to the shop."""
    sources = build(read_file(DEPLOY / "sources.yaml"), SystemClock())
    assert [source.name for source in sources] == ["go-checkout"]
    for source in sources:
        source.close()


def test_the_receivers_of_alerts_lead_to_the_dashboard() -> None:
    """Grafana marks alerts where people look."""
    settings = load(DEPLOY / "correlate.yaml")
    means = receivers.Means(SystemClock(), settings.resolved_public_url)
    (marks,) = receivers.build([each.delivery for each in settings.receivers], means)
    marks.close()
    boards = [json.loads(file.read_text())["uid"] for file in (DEPLOY / "grafana/dashboards").glob("*.json")]
    assert settings.receivers[0].delivery["dashboard_uid"] in boards


def test_the_credentials_belong_together() -> None:
    """The database's URL, the store's keys: the same everywhere."""
    env = environment()
    state = urlsplit(env["CORRELATE_STATE_URL"])
    assert (state.username, state.password) == (env["POSTGRES_USER"], env["POSTGRES_PASSWORD"])
    assert state.path == f"/{env['POSTGRES_DB']}"
    (identity,) = json.loads((DEPLOY / "s3.json").read_text())["identities"]
    (keys,) = identity["credentials"]
    assert keys == {"accessKey": env["AWS_ACCESS_KEY_ID"], "secretKey": env["AWS_SECRET_ACCESS_KEY"]}
    assert f"-name {urlsplit(env['CORRELATE_LAKE_URL']).netloc}'" in SERVICES["s3-bucket"]["command"][0]


def test_the_collector_fans_both_signals_out() -> None:
    """Traces and profiles reach the backends and correlate; every component in a pipeline is declared."""
    pipelines = COLLECTOR["service"]["pipelines"]
    assert set(pipelines) == {"traces", "profiles"}
    for pipeline in pipelines.values():
        for part in ("receivers", "processors", "exporters"):
            assert set(pipeline[part]) <= set(COLLECTOR[part])
        assert "batch" not in pipeline["processors"]  # it does not know profiles
        assert "otlp_grpc/correlate" in pipeline["exporters"]
    assert set(COLLECTOR["service"]["extensions"]) <= set(COLLECTOR["extensions"])
    assert "--feature-gates=service.profilesSupport" in SERVICES["collector"]["command"]


def test_grafana_goes_from_a_span_to_its_profile() -> None:
    """The Tempo datasource names the Pyroscope one, which is of the only type that is accepted there."""
    path = DEPLOY / "grafana/provisioning/datasources/correlate.yaml"
    sources = {source["uid"]: source for source in yaml.safe_load(path.read_text())["datasources"]}
    settings = load(DEPLOY / "correlate.yaml").grafana
    to_profiles = sources[settings.tempo_uid]["jsonData"]["tracesToProfiles"]
    assert to_profiles["datasourceUid"] == settings.pyroscope_uid
    assert sources[settings.pyroscope_uid]["type"] == "grafana-pyroscope-datasource"
    assert len(to_profiles["profileTypeId"].split(":")) == 5


def test_the_dashboard_uses_provisioned_datasources_and_links_to_correlate() -> None:
    """Every panel's datasource exists, and flame graphs have a way out."""
    path = DEPLOY / "grafana/provisioning/datasources/correlate.yaml"
    types = {source["uid"]: source["type"] for source in yaml.safe_load(path.read_text())["datasources"]}
    provider = yaml.safe_load((DEPLOY / "grafana/provisioning/dashboards/correlate.yaml").read_text())["providers"][0]
    mounts = [volume.split(":")[1] for volume in SERVICES["grafana"]["volumes"]]
    assert provider["options"]["path"] in mounts
    for file in (DEPLOY / "grafana/dashboards").glob("*.json"):
        dashboard = json.loads(file.read_text())
        for panel in dashboard["panels"]:
            for used in (panel["datasource"], *(target["datasource"] for target in panel["targets"])):
                assert types[used["uid"]] == used["type"]
        public_url = load(DEPLOY / "correlate.yaml").resolved_public_url
        assert f"{public_url}/traces/${{__data.fields.traceID}}" in file.read_text()
        assert "flamegraph" in {panel["type"] for panel in dashboard["panels"]}
