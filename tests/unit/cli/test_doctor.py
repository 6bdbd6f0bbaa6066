"""`correlate doctor`: the recorded traffic as it is, and with exports left out."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from correlate import bootstrap
from correlate.cli import doctor
from correlate.cli.main import app
from correlate.demo import loading, traffic
from tests.fakes.server import serving

Run = Callable[..., Result]
END_AGO_NS = 120 * 10**9


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wide terminal without colours, and no waiting for company in a commit."""
    for name, value in (("COLUMNS", "240"), ("NO_COLOR", "1"), ("CORRELATE_COMMIT_LINGER_S", "0")):
        monkeypatch.setenv(name, value)


def shop(folder: Path, requests: Iterable[traffic.Recorded]) -> Path:
    """A data folder that holds some recorded requests, the last of which came two minutes ago."""
    with bootstrap.running(loading.settings_within(folder)) as services:
        dated = traffic.ending_at(list(requests), services.clock.now_ns() - END_AGO_NS)
        loading.load(services.ingest, map(loading.payload_of, dated))
    return folder


def run(folder: Path, *args: str) -> Result:
    """Run the command on a data folder."""
    return CliRunner().invoke(app, ["doctor", "--data-dir", str(folder), *args])


def with_lost_exports() -> list[traffic.Recorded]:
    """The recording without every third export of spans."""
    requests = list(traffic.shipped())
    exports = [request for request in requests if request.carries_spans][::3]
    return [request for request in requests if request not in exports]


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recording as it is."""
    return shop(tmp_path_factory.mktemp("healthy") / "data", traffic.shipped())


def test_the_recorded_traffic_is_healthy(healthy: Path) -> None:
    """No complaint, exit code 0; the checklist is honest about what is not there."""
    result = run(healthy)
    assert result.exit_code == 0, result.output
    assert "Nothing is wrong with the correlation." in result.output
    assert "receiver" in result.output
    assert "checkout" in result.output


def test_lost_exports_are_named_with_their_fix(tmp_path: Path) -> None:
    """Exit code 1, the figures of the loss, and what to do."""
    result = run(shop(tmp_path / "data", with_lost_exports()))
    assert result.exit_code == 1, result.output
    assert "orphan-spans" in result.output
    assert "fix:" in result.output
    assert "trace exports" in result.output


def test_json_is_what_the_server_answers(healthy: Path) -> None:
    """For scripts: the report as the REST API words it."""
    result = run(healthy, "--json", "--service", "checkout")
    found = json.loads(result.output)
    assert (result.exit_code, found["complaints"], found["services"][0]["service"]) == (0, [], "checkout")


def test_a_server_is_asked_where_one_is_named(healthy: Path) -> None:
    """The same report over HTTP; a name that nobody has is an error in words."""
    from correlate.api.app import create_app

    with bootstrap.running(loading.settings_within(healthy)) as services, serving(create_app(services)) as port:
        options = ["doctor", "--url", f"http://127.0.0.1:{port}", "--json"]
        result = CliRunner().invoke(app, options)
        assert (result.exit_code, json.loads(result.output)["complaints"]) == (0, [])
        wrong = CliRunner().invoke(app, [*options, "--service", "nobody"])
        assert "there is no service 'nobody'" in str(wrong.exception)


def test_an_empty_folder_says_what_to_try(tmp_path: Path) -> None:
    """Nothing arrived: that is no fault."""
    result = run(shop(tmp_path / "data", []))
    assert (result.exit_code, "correlate demo" in result.output) == (0, True)


def test_names_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Control characters and markup in names are shown, not obeyed."""
    from rich.console import Console

    evil = "\x1b[31m[bold]x[/]"
    complaint: dict[str, Any] = {
        "severity": "high",
        "name": "no-profiles",
        "service": evil,
        "sentence": evil,
        "fix": evil,
    }
    doctor.print_report({"complaints": [complaint], "services": [], "skipped": [evil], "checklist": []}, Console())
    printed = capsys.readouterr().out
    assert "\x1b[31m[" not in printed
    assert "[bold]x[/]" in printed
