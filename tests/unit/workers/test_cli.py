"""The commands for sources and dead letters."""

import threading
from pathlib import Path

import pytest
import typer
import yaml
from typer.testing import CliRunner, Result

from correlate import bootstrap
from correlate.cli.main import mount
from correlate.model.payload import PayloadKind, RawPayload
from correlate.settings import load
from tests.fakes.tempo import FakeTempo
from tests.support.tempo import tempo_on_socket

NOTHING_THERE = "http://127.0.0.1:1"


@pytest.fixture
def app() -> typer.Typer:
    """The commands that entry points bring."""
    root = typer.Typer()
    mount(root)
    if not root.registered_groups:
        pytest.skip("needs the package to be installed (pip install -e .), so that its entry points are found")
    return root


def run(app: typer.Typer, *args: str) -> Result:
    """One command in a wide terminal."""
    return CliRunner().invoke(app, list(args), env={"COLUMNS": "400"})


def test_sources_check_says_in_words_what_is_wrong(app: typer.Typer, tmp_path: Path) -> None:
    """A source that works, and one whose address is wrong; the exit code tells."""
    with tempo_on_socket(FakeTempo(), threading.Lock()) as url:
        entries = [
            {"name": "here", "kind": "tempo", "url": url},
            {"name": "gone", "kind": "tempo", "url": NOTHING_THERE},
        ]
        path = tmp_path / "sources.yml"
        path.write_text(yaml.safe_dump({"sources": entries}))
        both = run(app, "sources", "check", "--sources", str(path))
        unknown = run(app, "sources", "check", "nobody", "--sources", str(path))
    assert both.exit_code == 1
    assert f"here (tempo, {url})" in both.output
    assert "ok here" in both.output
    assert "nothing listens there" in both.output
    assert "no source is named nobody; there are here, gone" in str(unknown.exception)


def test_dead_letters_are_listed_saved_and_replayed(app: typer.Typer, tmp_path: Path) -> None:
    """One that can be read now is stored and leaves the list, the other stays with its reason."""
    with bootstrap.running(load(data_dir=tmp_path), maintain=False) as services:
        letters = services.books.letters
        letters.add("go", RawPayload(PayloadKind.PPROF, b"nonsense", 1), "Malformed: no pprof")
        now_ns = services.clock.now_ns()
        letters.add(
            "go", RawPayload(PayloadKind.COLLAPSED, b"main;work 3\n", now_ns, params={"service": "s"}), "not yet"
        )
    at = ("--data-dir", str(tmp_path))
    listed = run(app, "dead-letters", "list", *at)
    assert "Malformed: no pprof" in listed.output
    assert run(app, "dead-letters", "save", "1", str(tmp_path / "body"), *at).exit_code == 0
    assert (tmp_path / "body").read_bytes() == b"nonsense"
    replayed = run(app, "dead-letters", "replay", *at)
    assert (replayed.exit_code, replayed.output) == (1, "1 stored, 1 failed again\n")
    with bootstrap.running(load(data_dir=tmp_path), maintain=False) as services:
        (left,) = services.books.letters.list()
        assert (left.kind, left.attempts) == ("pprof", 2)
        assert services.catalogue.services()["service"].to_list() == ["s"]
