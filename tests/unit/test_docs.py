"""The documents say what is true: files, functions, settings, columns and examples are those of the code."""

import re
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest
from pydantic import BaseModel

from correlate import bootstrap, settings
from correlate.demo import loading
from correlate.settings import GrafanaSettings, Settings
from correlate.settings_detectors import DetectorSettings
from correlate.tables.schema import DERIVED, TABLES

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
WALKED = re.compile(r"^\| `([\w/]+\.py)` \| ((?:`\w+`(?:, )?)*) ?\|", re.MULTILINE)


def text_of(name: str) -> str:
    """A document by its path in the repository."""
    return (ROOT / name).read_text()


def blocks(name: str, language: str) -> list[str]:
    """The examples of a document in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text_of(name), re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_every_file_that_is_named_is_there(name: str) -> None:
    """A path in backticks or in a command leads somewhere."""
    named = set(
        re.findall(
            r"(?<![\w/.-])((?:correlate|connectors|workers|tests|scripts|examples)/[\w./-]+\.\w+)", text_of(name)
        )
    )
    assert sorted(path for path in named if not (ROOT / path).exists()) == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_relative_link_leads_somewhere(path: Path) -> None:
    """Links between documents hold wherever the repository is read."""
    links = {link.partition("#")[0] for link in re.findall(r"\]\((?!https?://)([^)\s]+)\)", path.read_text())}
    assert sorted(link for link in links if link and not (path.parent / link).exists()) == []


def test_every_function_on_the_road_is_where_it_is_said_to_be() -> None:
    """The walk through the code names functions and classes that its files define."""
    walked = WALKED.findall(text_of("CONTRIBUTING.md"))
    assert len(walked) > 40
    wanting = [
        f"{path}: {name}"
        for path, names in walked
        for name in re.findall(r"\w+", names)
        if not re.search(rf"^(?: *(?:async )?(?:def|class) {name}\b|{name}(?::| =))", text_of(path), re.MULTILINE)
    ]
    assert wanting == []


def shown(default: object) -> str:
    """A default as the table writes it."""
    return f"`{default}`" if default not in ("", None, [], {}) else "empty"


def test_every_setting_is_described_with_its_default() -> None:
    """One row per setting: name, default, meaning; and no row too many."""
    sections: dict[str, type[BaseModel]] = {"grafana": GrafanaSettings, "detectors": DetectorSettings}
    fields = {name: field for name, field in Settings.model_fields.items() if name not in sections}
    for section, model in sections.items():
        fields |= {f"{section}.{name}": field for name, field in model.model_fields.items()}
    defaults = {name: shown(field.get_default(call_default_factory=True)) for name, field in fields.items()}
    table = text_of("docs/configuration.md").partition("## Every setting")[2].partition("\n## ")[0]
    assert dict(re.findall(r"^\| `([\w.]+)` \| ([^|]+?) \|", table, re.MULTILINE)) == defaults


def test_the_example_configurations_are_read(tmp_path: Path) -> None:
    """Put together in one file, they are read without complaint, and say what is meant."""
    file = tmp_path / "correlate.yaml"
    file.write_text("".join(blocks("docs/configuration.md", "yaml")))
    read = settings.load(file)
    assert (read.retention_days, read.grafana.url, read.fsync) == (14, "https://grafana.example/grafana", True)


def test_every_dependency_has_its_reason() -> None:
    """Whatever is installed with the package is named in the table of decisions; optional parts need not be."""
    project = tomllib.loads(text_of("pyproject.toml"))["project"]
    needed = {re.split(r"[^\w.-]", line)[0] for line in project["dependencies"]}
    table = text_of("docs/decisions.md").partition("## Dependencies")[2]
    first_cells = re.findall(r"^\| (`[^|]+) \|", table, re.MULTILINE)
    assert {name for cell in first_cells for name in re.findall(r"`([\w-]+)`", cell)} == needed | {"hatchling"}


def test_every_column_of_every_table_is_described() -> None:
    """By name, in the section of its table, and no column too many."""
    document = text_of("docs/store.md")
    described: dict[str, set[str]] = {name: set() for name in TABLES | DERIVED}
    for name in ("spans", "samples", "profiles", "observations"):
        section = document.partition(f"### {name}\n")[2].partition("\n### ")[0]
        for row in re.findall(r"^\| (`[^|]+) \|", section, re.MULTILINE):
            described[name].update(re.findall(r"`(\w+)`", row))
    for name, row in re.findall(r"^\| (stacks|frames|series) \| ([^|]+) \|", document, re.MULTILINE):
        described[name].update(re.findall(r"`(\w+)`", row))
    assert described == {name: set(schema) for name, schema in (TABLES | DERIVED).items()}


def test_the_examples_of_the_store_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Read with Polars, and with DuckDB where it is installed, the tables say what the recording holds."""
    folder = tmp_path / "correlate-data"
    with bootstrap.running(loading.settings_within(folder)) as services:
        loading.load_shipped(services.ingest, services.clock.now_ns())
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for example in blocks("docs/store.md", "python"):
        if "import duckdb" not in example or find_spec("duckdb"):
            exec(example, names)
    printed = capsys.readouterr().out
    assert "POST /checkout" in printed
    assert "16940.0" in printed
    assert "GET /items" in printed
