"""`correlate backtest`: recorded traffic judged as if it had been watched."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from correlate import bootstrap
from correlate.cli.main import app
from correlate.demo import loading


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wide terminal without colours, and the clock of a demonstration."""
    chosen = {"PACE": "0.002", "BUCKET_S": "10"}
    more = {f"CORRELATE_DETECTORS__{name}": value for name, value in chosen.items()}
    for name, value in ({"COLUMNS": "200", "NO_COLOR": "1", "CORRELATE_COMMIT_LINGER_S": "0"} | more).items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with the shipped recording."""
    found = tmp_path_factory.mktemp("shop")
    with bootstrap.running(loading.settings_within(found)) as services:
        loading.load_shipped(services.ingest, services.clock.now_ns())
    return found


def run(folder: Path, *args: str) -> Result:
    """Run the command on a data folder."""
    return CliRunner().invoke(app, ["backtest", "--data-dir", str(folder), *args])


def test_people_see_what_would_have_happened(folder: Path) -> None:
    """Step by step with times, and a sum."""
    result = run(folder, "--from", "now-1h")
    assert result.exit_code == 0
    printed = " ".join(result.stdout.split())
    assert "remember_session keeps" in printed
    assert "0 alerts would have fired (0 still firing), 1 were only watched." in printed


def test_programs_get_events_and_alerts(folder: Path) -> None:
    """With figures and sites."""
    found = json.loads(run(folder, "--from", "now-1h", "--service", "checkout", "--json").stdout)
    assert found["services"] == ["checkout"]
    assert [event["kind"] for event in found["events"]] == ["watch"]
    (alert,) = found["alerts"]
    assert (alert["detector"], alert["subject"], alert["status"]) == ("memory-leak", "remember_session", "watch")
    assert alert["sites"][0]["operations"] == ["POST /checkout"]


def test_of_an_empty_time_nothing_is_told(folder: Path) -> None:
    """And a bad time is refused."""
    assert "Nothing is stored of that time" in run(folder, "--from", "now-3d", "--to", "now-2d").stdout
    assert run(folder, "--from", "yesterday").exit_code == 1
