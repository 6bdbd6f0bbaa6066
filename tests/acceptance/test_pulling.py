"""Sources that are pulled by `correlate serve`, worker and clock inside, over real sockets."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fakes.pprof_server import pprof_servers
from tests.support.server import served

PROFILES = ["heap", "goroutine"]


def wait_for(probe: Callable[[], Any], seconds: float = 40.0) -> Any:
    """Ask until the answer is true."""
    deadline = time.monotonic() + seconds
    while not (answer := probe()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)
    return answer


def pprof(name: str, targets: list[str]) -> dict[str, Any]:
    """The configuration of a source, impatient."""
    return {
        "name": name,
        "kind": "pprof",
        "service": "shop",
        "targets": targets,
        "profiles": PROFILES,
        "interval_s": 0.5,
        "every_s": 0.5,
        "scrape_timeout_s": 1,
    }


def test_serve_pulls_its_sources_and_says_what_is_wrong(tmp_path: Path) -> None:
    """Good targets are stored, bad ones are named with the reason, and stopping takes no time."""
    with pprof_servers(["good", "html", "dead"]) as targets:
        sources = json.dumps([pprof("go", targets[:2]), pprof("gone", targets[2:])])
        with served(tmp_path / "data", sources=sources) as server:

            def source(name: str) -> dict[str, Any]:
                answer = httpx.get(f"{server.url}/api/v1/sources").json()["sources"]
                return {each["source"]: each for each in answer}[name]

            wait_for(lambda: source("go")["profiles"] > 0 and source("gone")["parts"])
            parts = {part["name"]: part for part in source("go")["parts"]}
            assert [part["ok"] for part in parts.values()].count(True) == 1
            assert any("HTML" in part["text"] for part in parts.values())
            assert not source("gone")["parts"][0]["ok"]
            types = httpx.get(f"{server.url}/api/v1/profile-types").json()["profile_types"]
            assert [each["type"].split(":")[1] for each in types] == ["goroutine"]
            metrics = httpx.get(f"{server.url}/metrics").text
            assert 'correlate_source_up{kind="pprof",source="go"} 1.0' in metrics
            assert 'correlate_source_parts_down{kind="pprof",source="gone"} 1.0' in metrics
            started = time.monotonic()
            assert server.terminate() == 0
            assert time.monotonic() - started < 10


def test_a_mistake_in_the_sources_is_told_at_once(tmp_path: Path) -> None:
    """The service does not start half-configured."""
    wrong = json.dumps([{"name": "a", "kind": "tempoo"}, {"name": "b", "kind": "tempo"}])
    told = pytest.raises(AssertionError, match=r"(?s)2 mistake\(s\).*kind is 'tempoo'.*url")
    with told, served(tmp_path / "data", sources=wrong):
        pass
