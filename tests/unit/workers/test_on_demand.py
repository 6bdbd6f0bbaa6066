"""Sources as answerers, in a process that answers questions."""

from importlib.metadata import EntryPoint
from pathlib import Path
from tomllib import loads

import pytest

from correlate import bootstrap
from correlate.errors import ConfigError, NoProfile
from correlate.model.ids import TraceId
from correlate.settings import load
from workers import on_demand

ROOT = Path(__file__).parents[3]
TEMPO = {"name": "t", "kind": "tempo", "url": "http://127.0.0.1:1", "max_retries": 0}
PPROF = {"name": "go", "kind": "pprof", "targets": ["127.0.0.1:1"]}


def unknown(services: bootstrap.Services) -> str:
    """What is said of a trace that is not stored."""
    with pytest.raises(NoProfile) as caught:
        services.explain.trace(TraceId(1, 2))
    return str(caught.value)


def test_configured_sources_are_asked_while_the_door_is_open(tmp_path: Path) -> None:
    """Those that can answer; before and after, the lake answers alone."""
    with bootstrap.running(load(data_dir=tmp_path, sources=[TEMPO, PPROF]), maintain=False) as services:
        plain = unknown(services)
        with on_demand.running(services):
            assert unknown(services).startswith(f"{plain}; t was asked and did not answer: t (http://127.0.0.1:1)")
        assert unknown(services) == plain


def test_wrong_sources_keep_the_process_from_starting(tmp_path: Path) -> None:
    """As they do where they are pulled."""
    with (
        bootstrap.running(load(data_dir=tmp_path, sources=[TEMPO | {"url": "nowhere"}]), maintain=False) as services,
        pytest.raises(ConfigError, match="url"),
        on_demand.running(services),
    ):
        pass


def test_the_door_is_declared() -> None:
    """So that every process with doors finds it."""
    doors = loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["correlate.doors"]
    assert EntryPoint("on-demand", doors["on-demand"], "correlate.doors").load() is on_demand.running
