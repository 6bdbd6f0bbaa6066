"""The examples of docs/cohorts.md work on the data that they are written for."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from correlate import bootstrap
from correlate.api.app import create_app
from correlate.cli.main import app
from correlate.demo import loading
from tests.fakes.server import serving

DOCUMENT = (Path(__file__).parents[2] / "docs" / "cohorts.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```", DOCUMENT, re.DOTALL | re.MULTILINE)
EXAMPLES = [line for block in BLOCKS for line in block.splitlines()]
SAID = re.findall(r"^```text\n(.*?)^```", DOCUMENT, re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Demo:
    """A server over the recorded traffic, and one of its spans."""

    url: str
    trace_id: str
    span_id: str

    def fill_in(self, example: str) -> list[str]:
        """The words of an example, for this server."""
        here = example.replace("http://127.0.0.1:8080", self.url)
        return shlex.split(here.replace("TRACE_ID", self.trace_id).replace("SPAN_ID", self.span_id))


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """What `correlate demo` serves."""
    settings = loading.settings_within(tmp_path_factory.mktemp("demo") / "data")
    with bootstrap.running(settings) as services:
        loading.load_shipped(services.ingest, services.clock.now_ns())
        with serving(create_app(services)) as port:
            url = f"http://127.0.0.1:{port}"
            found = httpx.get(f"{url}/api/v1/frames/traces", params={"function": "rank_items"}).json()
            span = found["spans"][0]["span"]
            yield Demo(url, span["trace_id"], span["span_id"])


def test_there_are_examples_of_every_command() -> None:
    """Nothing is described that is not shown."""
    assert {example.split()[1] for example in EXAMPLES if example.startswith("correlate ")} == {
        *("cohort", "slow", "compare", "breakdown", "frames")
    }


@pytest.mark.parametrize("example", [each for each in EXAMPLES if each.startswith("correlate ")])
def test_every_command_works(demo: Demo, example: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As it is written."""
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, [*demo.fill_in(example)[1:], "--url", demo.url])
    assert result.exit_code == 0, result.output + str(result.exception)


@pytest.mark.parametrize("example", [each for each in EXAMPLES if each.startswith("curl ")])
def test_every_address_answers(demo: Demo, example: str) -> None:
    """With JSON."""
    words = demo.fill_in(example)[1:]
    url = next(word for word in words if word.startswith("http"))
    data = [words[at + 1] for at, word in enumerate(words) if word in ("-d", "--data-urlencode")]
    answer = httpx.get(url, params=dict(each.split("=", 1) for each in data) or None)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"


def test_the_sentences_are_those_of_the_demo(demo: Demo) -> None:
    """Word by word, figures included."""
    answer = httpx.get(f"{demo.url}/api/v1/operations/checkout/GET%20%2Fitems/slow").json()
    assert SAID[0].splitlines() == answer["sentences"][:2]
