"""The command line: what it prints, its files, its errors and exit codes."""

import base64
import gzip
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from correlate import __version__
from correlate.cli.main import app, main
from correlate.demo import traffic
from correlate.errors import ConfigError, NoProfile
from correlate.formats.proto.pprof_pb2 import Profile
from tests.support.requests import SECOND, Meant, as_json, on_wire, pprof, profiles_request, span, spans_request

TRACE = 0xABCDEF
IDS = (f"{TRACE:032x}", f"{1:016x}")
Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def small_and_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wide terminal without colours, no waiting for company in a commit, and old data is not too old."""
    for name, value in (("COLUMNS", "200"), ("NO_COLOR", "1"), ("CORRELATE_COMMIT_LINGER_S", "0")):
        monkeypatch.setenv(name, value)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs a command on a data folder of its own."""

    def runs(command: str, *args: object) -> Result:
        options = [command, *map(str, args), "--data-dir", str(tmp_path / "data")]
        return CliRunner().invoke(app, options, catch_exceptions=True)

    return runs


def now_ns() -> int:
    """A minute ago."""
    import time

    return time.time_ns() - 60 * SECOND


def files(folder: Path) -> dict[str, Path]:
    """A file of every kind that can be imported."""
    spans = spans_request(span(TRACE, 1, start_ns=now_ns(), name="GET /items"))
    meant = Meant(span=1, trace=TRACE, time_ns=now_ns())
    written = {
        "spans.pb": on_wire(spans),
        "spans.json": as_json(spans),
        "profiles.pb": on_wire(profiles_request(meant)),
        "profiles.json": as_json(profiles_request(Meant(span=1, trace=TRACE, hits=5))),
        "cpu.pb.gz": gzip.compress(on_wire(pprof(Meant(span=1, hits=7, time_ns=now_ns())))),
        "cpu.folded": b"main;work 3\nmain 1\n",
    }
    for name, body in written.items():
        (folder / name).write_bytes(body)
    return {name: folder / name for name in written}


@pytest.fixture
def filled(run: Run, tmp_path: Path) -> Run:
    """The same over a lake that holds one span and its profile."""
    chosen = files(tmp_path)
    assert run("import", chosen["spans.pb"], chosen["cpu.pb.gz"], "--service", "shop").exit_code == 0
    return run


def test_every_kind_of_file_is_imported(run: Run, tmp_path: Path) -> None:
    """A line for each file says what was stored; the second time it was there already."""
    chosen = files(tmp_path)
    first = run("import", *chosen.values(), "--service", "shop")
    assert first.exit_code == 0, first.output
    lines = dict(line.split(": ", 1) for line in first.output.splitlines() if ": " in line)
    assert list(lines) == [str(path) for path in chosen.values()]
    assert lines[str(chosen["spans.pb"])].startswith("1 spans, 0 profiles with 0 sample rows stored")
    assert lines[str(chosen["profiles.pb"])].startswith("0 spans, 1 profiles with 1 sample rows stored")
    assert lines[str(chosen["cpu.pb.gz"])].startswith("0 spans, 2 profiles with 2 sample rows stored")
    assert lines[str(chosen["cpu.folded"])].startswith("0 spans, 1 profiles with 2 sample rows stored")
    again = run("import", chosen["spans.pb"], chosen["cpu.pb.gz"], "--service", "shop")
    assert again.output.count("were there already") == 2
    assert again.output.count("0 spans, 0 profiles") == 2


def test_an_otlp_file_may_be_compressed(run: Run, tmp_path: Path) -> None:
    """As a collector may leave it."""
    plain = files(tmp_path)["spans.pb"]
    packed = tmp_path / "spans.pb.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert "1 spans, 0 profiles" in run("import", packed, "--service", "shop").output


def test_a_file_of_which_nothing_is_kept_counts_as_failed(run: Run, tmp_path: Path) -> None:
    """Recorded traffic that is older than the retention, for instance; the reason says which setting decides."""
    shipped = Path(traffic.__file__).with_name("traffic.jsonl.gz")
    with gzip.open(shipped, "rt") as lines:
        request = traffic.shift(next(traffic.read(_written(tmp_path / "old.jsonl", next(lines)))), -(10**18))
    old = {"received_at": 1, "path": request.path, "headers": dict(request.headers)}
    body = base64.b64encode(request.body).decode()
    (tmp_path / "older.jsonl").write_text(json.dumps(old | {"body_b64": body}) + "\n")
    result = run("import", tmp_path / "older.jsonl")
    assert result.exit_code == 1
    assert "retention_days" in result.output


def _written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_recorded_traffic_is_imported_as_if_it_ended_now(run: Run, tmp_path: Path) -> None:
    """However old it is, compressed or not."""
    shipped = Path(traffic.__file__).with_name("traffic.jsonl.gz")
    with gzip.open(shipped, "rt") as lines:
        first = next(line for line in lines if '"/v1/traces"' in line)
    (tmp_path / "traffic.jsonl").write_text(first)
    (tmp_path / "traffic.jsonl.gz").write_bytes(gzip.compress(first.encode()))
    result = run("import", tmp_path / "traffic.jsonl", tmp_path / "traffic.jsonl.gz", "--now")
    assert result.exit_code == 0, result.output
    assert result.output.count(" spans, 0 profiles with 0 sample rows stored") == 2


def test_a_bad_file_costs_only_itself(run: Run, tmp_path: Path) -> None:
    """Exit code 1, a reason for each bad file, and the good one is stored."""
    chosen = files(tmp_path)
    for name, body in (("noise", b"\x00\x01\x02"), ("old.pb", on_wire(pprof(Meant(time_ns=10**18))))):
        (tmp_path / name).write_bytes(body)
    (tmp_path / "legacy").write_bytes(b"heap profile: 1: 2 [3: 4] @ heapprofile\n")
    missing = tmp_path / "missing"
    result = run("import", tmp_path / "noise", tmp_path / "legacy", missing, tmp_path / "old.pb", chosen["spans.pb"])
    assert result.exit_code == 1
    assert "unknown format; readable are pprof" in result.output
    assert "legacy" in result.output
    assert "No such file" in result.output
    assert "retention_days" in result.output
    assert "1 spans" in result.output


def test_services_lists_what_is_there(filled: Run) -> None:
    """Services and operations with counts and coverage."""
    result = filled("services")
    assert result.exit_code == 0, result.output
    assert "shop" in result.output
    assert "GET /items" in result.output
    assert "100%" in result.output


def test_a_span_is_drawn_in_the_terminal(filled: Run) -> None:
    """With what is known about the evidence."""
    result = filled("span", *IDS)
    assert result.exit_code == 0, result.output
    for words in ("GET /items in shop", "70 ms of cpu, scope subtree", "7, coverage 7%", "label, exact", "work"):
        assert words in " ".join(result.output.split())


FORMS = {
    "json": b'"flamegraph"',
    "flamebearer": b'"flamebearer"',
    "nested-set": b"work",
    "pprof": b"\x1f\x8b",
    "collapsed": b"main;work 70000000",
    "speedscope": b"speedscope",
    "html": b"<!doctype html>",
    "svg": b"<svg",
}


@pytest.mark.parametrize("form", FORMS)
def test_every_format_is_printed(filled: Run, form: str) -> None:
    """To standard output, bytes as they are."""
    result = filled("span", *IDS, "--format", form)
    assert result.exit_code == 0, result.output
    assert FORMS[form].lower() in result.stdout_bytes.lower()


SUFFIXES = {
    "a.json": "json",
    "a.html": "html",
    "a.svg": "svg",
    "a.pb.gz": "pprof",
    "a.pprof": "pprof",
    "a.txt": "collapsed",
    "a.folded": "collapsed",
}


@pytest.mark.parametrize("name", SUFFIXES)
def test_a_file_name_chooses_the_format(filled: Run, tmp_path: Path, name: str) -> None:
    """By its suffix."""
    result = filled("span", *IDS, "-o", tmp_path / name)
    assert result.exit_code == 0, result.output
    assert FORMS[SUFFIXES[name]].lower() in (tmp_path / name).read_bytes().lower()


def test_a_downloaded_profile_can_be_imported(filled: Run, tmp_path: Path) -> None:
    """What comes out as pprof goes in again."""
    assert filled("span", *IDS, "-o", tmp_path / "again.pb.gz").exit_code == 0
    parsed = Profile.FromString(gzip.decompress((tmp_path / "again.pb.gz").read_bytes()))
    assert sum(sample.value[-1] for sample in parsed.sample) == 70_000_000
    assert "with" in filled("import", tmp_path / "again.pb.gz", "--service", "other").output


def test_the_json_is_that_of_the_rest_api(filled: Run) -> None:
    """The same words."""
    answer: dict[str, Any] = json.loads(filled("span", *IDS, "--format", "json", "--scope", "span").stdout)
    assert (answer["total"], answer["scope"], answer["method"]) == (70_000_000, "span", "label")


def test_unknown_suffixes_are_refused_with_the_known_ones(filled: Run, tmp_path: Path) -> None:
    """And --format as the way out."""
    result = filled("span", *IDS, "-o", tmp_path / "a.png")
    assert isinstance(result.exception, ConfigError)
    assert "--format" in str(result.exception)
    assert ".svg" in str(result.exception)


def test_a_span_without_a_profile_names_the_reason(filled: Run) -> None:
    """The reason and what to do."""
    result = filled("span", IDS[0], "99")
    assert isinstance(result.exception, NoProfile)
    assert result.exception.reason == "unknown span"


def test_no_server_and_no_lake(run: Run) -> None:
    """Both ways out are named."""
    result = run("services")
    assert isinstance(result.exception, ConfigError)
    assert "--url" in str(result.exception)
    url = CliRunner().invoke(app, ["services", "--url", "http://127.0.0.1:9"])
    assert isinstance(url.exception, ConfigError)
    assert "nothing answers at http://127.0.0.1:9" in str(url.exception)


def test_errors_end_the_process_with_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """No traceback: one sentence on standard error, exit code 1."""
    monkeypatch.setattr(sys, "argv", ["correlate", "services", "--config", str(tmp_path / "none.yaml")])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert capsys.readouterr().err == f"correlate: the configuration file {tmp_path}/none.yaml does not exist\n"


def test_every_mistake_of_a_configuration_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """At once, each with its setting."""
    (tmp_path / "c.yaml").write_text("retention_days: -1\nnonsense: 2\n")
    monkeypatch.setattr(sys, "argv", ["correlate", "services", "--config", str(tmp_path / "c.yaml")])
    with pytest.raises(SystemExit):
        main()
    told = capsys.readouterr().err
    assert "2 mistake(s)" in told
    assert "retention_days" in told
    assert "nonsense" in told


def test_wrong_options_exit_with_2() -> None:
    """As commands do; the known values are listed."""
    result = CliRunner().invoke(app, ["span", "1", "1", "--scope", "all"])
    assert result.exit_code == 2
    assert "subtree" in result.output
    assert CliRunner().invoke(app, ["span", "1"]).exit_code == 2
    assert CliRunner().invoke(app, ["import"]).exit_code == 2


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("", ["correlate demo", "4317", "serve", "import", "CORRELATE_RETENTION_DAYS"]),
        ("serve", ["--data-dir", "--otlp-grpc", "127.0.0.1:4317"]),
        ("demo", ["--once", "flame graph"]),
        ("import", ["FILES", "--service", "--now", "not stored again"]),
        ("span", ["TRACE_ID", "--format", "--output", "-o", "subtree", "collapsed"]),
        ("services", ["--url", "--data-dir"]),
    ],
)
def test_help_is_worth_reading(command: str, words: list[str]) -> None:
    """It says what to try first, what goes where, and the defaults."""
    result = CliRunner().invoke(app, [*command.split(), "--help"])
    assert result.exit_code == 0
    assert [word for word in words if word.lower() not in result.output.lower()] == []


def test_the_version() -> None:
    """Of the package."""
    assert CliRunner().invoke(app, ["--version"]).output == f"correlate {__version__}\n"
