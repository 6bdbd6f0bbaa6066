"""The commands that ask about cohorts, comparisons, the time of spans and who paid for functions."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from correlate import bootstrap
from correlate.api.app import create_app
from correlate.cli import comparing, query, questions, tables
from correlate.cli.main import app
from correlate.demo import loading
from correlate.errors import BadQuery, NoProfile, NotFound
from tests.fakes.server import serving

Run = Callable[..., Result]
ITEMS = '{ name = "GET /items" }'
EVIL = "\x1b[31m[bold]x[/]"


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wide terminal without colours, and no waiting for company in a commit."""
    for name, value in (("COLUMNS", "200"), ("NO_COLOR", "1"), ("CORRELATE_COMMIT_LINGER_S", "0")):
        monkeypatch.setenv(name, value)
    for name, count in (("_width", 200), ("_height", 50)):  # it was made when the module was first imported
        monkeypatch.setattr(questions._console, name, count)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the recorded traffic."""
    folder = tmp_path_factory.mktemp("recorded") / "data"
    with bootstrap.running(loading.settings_within(folder)) as services:
        loading.load_shipped(services.ingest, services.clock.now_ns())
    return folder


@pytest.fixture(scope="module")
def url(lake: Path) -> Iterator[str]:
    """A server over it."""
    with bootstrap.running(loading.settings_within(lake)) as services, serving(create_app(services)) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def run(url: str) -> Run:
    """Runs a command against the server."""
    return lambda *args: CliRunner().invoke(app, [*map(str, args), "--url", url])


def told(result: Result) -> str:
    """What was printed, with single spaces; it must have worked."""
    assert result.exit_code == 0, result.output + str(result.exception)
    return " ".join(result.output.split())


def slowest(run: Run) -> list[str]:
    """Trace and span of the most expensive request for rank_items."""
    found = json.loads(run("frames", "rank_items", "--json", "--limit", 1).stdout)["spans"][0]["span"]
    return [found["trace_id"], found["span_id"]]


def test_a_cohort_is_drawn_with_limits(run: Run) -> None:
    """How many spans, the flame graph, and for each function its share and cost with intervals."""
    printed = told(run("cohort", ITEMS))
    assert "spans 223, in checkout" in printed
    assert "label, exact: each sample carries the id of its span" in printed
    assert "95 % interval" in printed
    assert "rank_items 34.6% 2" in printed


def test_a_cohort_is_written_to_a_file(run: Run, tmp_path: Path) -> None:
    """In the format that its name asks for."""
    assert run("cohort", ITEMS, "-o", tmp_path / "a.folded").exit_code == 0
    assert "rank_items" in (tmp_path / "a.folded").read_text()


def test_slow_spans_in_sentences_and_figures(run: Run) -> None:
    """The cause is named in the first sentences; the table has both sides, the difference, its interval and q."""
    printed = told(run("slow", "checkout", "GET /items"))
    assert "more per span in rank_items" in printed
    assert "function normal slow difference 95 % interval q" in printed
    assert "significant" in printed
    found = json.loads(run("slow", "checkout", "GET /items", "--json", "--quantile", "0.9").stdout)
    assert found["right"]["spans"] == 22


def test_two_queries_are_compared(run: Run, tmp_path: Path) -> None:
    """For people, as JSON, and as a page."""
    sides = ['{ name = "GET /items" && duration < 300ms }', '{ name = "GET /items" && duration >= 300ms }']
    assert "rank_items" in told(run("compare", *sides, "--basis", "share"))
    assert json.loads(run("compare", *sides, "--json").stdout)["left"]["name"] == "left"
    assert run("compare", *sides, "-o", tmp_path / "diff.html").exit_code == 0
    assert "<!doctype html>" in (tmp_path / "diff.html").read_text()


def test_the_time_of_a_span(run: Run) -> None:
    """Parts with shares and limits, the evidence, and what is missing."""
    printed = told(run("breakdown", *slowest(run)))
    assert "on the CPU" in printed
    assert "unexplained" in printed
    assert "exact by label" in printed
    assert "has sent no profile of this type" in printed
    assert "parts" in json.loads(run("breakdown", *slowest(run), "--json").stdout)


def test_who_paid_for_a_function(run: Run) -> None:
    """Spans with the command that asks for each, and how many of them exist."""
    printed = told(run("frames", "rank_items", "--service", "checkout", "--limit", 3))
    assert "3 looked up, the most expensive first: all of them exist" in printed
    assert f"correlate span {' '.join(slowest(run))}" in printed


def test_a_span_is_looked_at_in_part(run: Run) -> None:
    """The answer says how much is left."""
    printed = told(run("span", *slowest(run), "--focus", "trigrams", "--callees-of", "score_item"))
    assert "of all stacks" in printed
    assert "Thread._bootstrap" not in printed
    assert "rank_items" in told(run("span", *slowest(run), "--callers-of", "score_item"))
    assert "BadQuery" in repr(run("span", *slowest(run), "--ignore", "(").exception)


def test_an_inferred_answer_says_so_first(run: Run) -> None:
    """Before the flame graph: by which method, and how wrong it may be."""
    result = run("span", *slowest(run), "--method", "window")
    assert told(result).startswith("Inferred, not exact, by window: up to")
    assert "may belong elsewhere" in result.output


def test_a_folder_answers_as_a_server_does(lake: Path, run: Run) -> None:
    """Word by word."""
    asked = ["slow", "checkout", "GET /items", "--json"]
    local = CliRunner().invoke(app, [*asked, "--data-dir", str(lake)])
    assert json.loads(local.stdout) == json.loads(run(*asked).stdout)


@pytest.mark.parametrize(
    ("asked", "kind", "words"),
    [
        (["cohort", "{ name = "], BadQuery, "ends too early"),
        (["cohort", '{ name = "nothing" }'], NoProfile, "unknown span"),
        (["frames", "no_such_function"], NotFound, "no function"),
        (["slow", "checkout", "nothing"], NoProfile, "nothing"),
        (["slow", "a/b", "x"], BadQuery, "correlate compare"),
        (["breakdown", "zz", "1"], BadQuery, "zz"),
    ],
)
def test_mistakes_are_told_in_words(run: Run, asked: list[str], kind: type[Exception], words: str) -> None:
    """By a server as by a folder: what is wrong, and with what."""
    result = run(*asked)
    assert isinstance(result.exception, kind)
    assert words in str(result.exception)


@pytest.mark.parametrize("command", ["cohort", "compare", "slow", "breakdown", "frames", "span"])
def test_help_teaches(command: str) -> None:
    """Each command says what it does, and where it asks."""
    printed = CliRunner().invoke(app, [command, "--help"]).output
    assert "--url" in printed
    assert "Where to ask" in printed
    assert "Exit codes" in CliRunner().invoke(app, ["--help"]).output


def test_names_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Control characters and markup in names are shown, not obeyed."""
    span: dict[str, Any] = {"trace_id": "1", "span_id": "2", "service": EVIL, "name": EVIL}
    span |= {"start_ns": 1, "duration_ns": 5}
    console = Console()
    tables.print_payers(
        {
            "unit": "count",
            "total": 1,
            "unnamed": 0,
            "span_count": 1,
            "function": EVIL,
            "profile_type": "a:b:c:d:e",
            "checked": 1,
            "dead": 1,
            "dead_share": 1.0,
            "unresolved": 1,
            "notes": [EVIL],
            "spans": [{"span": span, "value": 1, "samples": 1, "share": None}],
        },
        console,
    )
    part = {"name": "on_cpu", "time_ns": 5, "share": 1.0, "low_ns": None, "high_ns": None}
    tables.print_breakdown(
        {"span": span, "wall_ns": 5, "parts": [part], "evidence": [], "missing": {"cpu": EVIL}}, console
    )
    comparing.print_sentences({"sentences": [EVIL]}, console)
    doubtful = {"level": "inferred", "reason": EVIL, "error_bound": 0.5}
    query.print_doubts({"confidence": doubtful, "method": "window"}, console)
    printed = capsys.readouterr().out
    assert "\x1b[31m[" not in printed
    assert printed.count("[bold]x[/]") == 8
