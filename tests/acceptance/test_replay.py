"""Recorded traffic of real clients, replayed over real sockets: every figure exact, whatever happens on the way."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from correlate.demo import traffic
from correlate.demo.replay import replay
from tests.support.recordings import Truth, truth
from tests.support.server import Served, served

SOME = 300
LONG_AGO = {"retention_days": "36500", "commit_linger_s": "0.05"}


@pytest.fixture(scope="module", params=["shipped", "checkout"])
def requests(request: pytest.FixtureRequest) -> list[traffic.Recorded]:
    """The recording that ships with the package, and the longer one beside the repository."""
    if request.param == "shipped":
        return list(traffic.shipped())
    path = Path(__file__).parents[3] / "shared/data/recorded-clients/checkout.jsonl.gz"
    if not path.is_file():
        pytest.skip("needs the real data in shared/data beside the repository")
    return list(traffic.read(path))


@pytest.fixture(scope="module")
def known(requests: list[traffic.Recorded]) -> Truth:
    """What the recording says, read slowly."""
    return truth(requests)


@pytest.fixture(scope="module")
def server(requests: list[traffic.Recorded], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server that got everything, in any order, a third of it twice."""
    with served(tmp_path_factory.mktemp("lake"), **LONG_AGO) as running:
        report = replay(requests, running.url, order="shuffled", repeat_share=0.34, seed=7)
        assert report.rejected == 0
        yield running


def totals(client: httpx.Client, known: Truth, at_most: int) -> tuple[dict[str, int], dict[str, int]]:
    """Answered and true CPU time by span, for labelled spans that arrived: all of them, or evenly chosen ones."""
    labelled = sorted(span for span in known.cpu_ns_by_span() if span in known.spans)
    chosen = labelled[:: -(-len(labelled) // at_most)]
    true = {span: ns for span, ns in known.cpu_ns_by_span().items() if span in set(chosen)}
    answered = {}
    for span in true:
        trace = known.spans[span].trace
        answer = client.get(f"/api/v1/spans/{trace}/{span}/profile", params={"scope": "span"})
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert (body["method"], body["confidence"]["level"]) == ("label", "exact")
        assert body["flamegraph"]["total"][0] == sum(body["flamegraph"]["self"]) == body["total"]
        answered[span] = body["total"]
    return answered, true


@pytest.mark.parametrize("at_most", [SOME, pytest.param(1_000_000, marks=pytest.mark.slow)], ids=["some", "every"])
def test_every_labelled_span_has_its_samples_to_the_nanosecond(server: Served, known: Truth, at_most: int) -> None:
    """The answer's total is the sum of the span's samples in the pushes; nothing is lost, nothing counted twice."""
    with httpx.Client(base_url=server.url, timeout=30) as client:
        answered, true = totals(client, known, at_most)
    assert len(true) > 100
    assert answered == true


def test_the_stored_cpu_time_is_the_sent_one(server: Served, known: Truth) -> None:
    """Labelled or not, all of it, and every part is accounted for."""
    with httpx.Client(base_url=server.url, timeout=30) as client:
        types = client.get("/api/v1/profile-types").json()["profile_types"]
        report = client.get("/api/v1/coverage", params={"service": "checkout"}).json()
    assert {t["total"] for t in types if t["alias"] == "cpu"} == {known.total_cpu_ns}
    assert report["total"] == known.total_cpu_ns
    assert report["orphaned"] == known.orphaned_cpu_ns() == 0
    parts = ("attributed", "orphaned", "trace_only", "ambiguous", "unlabelled")
    assert sum(report[part] for part in parts) == report["total"]


def test_every_span_is_stored_once(server: Served, known: Truth) -> None:
    """Operations count each span once, though a third of the exports came twice."""
    with httpx.Client(base_url=server.url, timeout=30) as client:
        operations = client.get("/api/v1/operations").json()["operations"]
    assert sum(operation["span_count"] for operation in operations) == len(known.spans)


def test_spans_that_never_came_are_reported_as_orphans(requests: list[traffic.Recorded], tmp_path: Path) -> None:
    """With every tenth trace export left out, the samples that name its spans are counted as orphans."""
    exports = [request for request in requests if request.carries_spans]
    missing = exports[::10]
    kept = [request for request in requests if request not in missing]
    known = truth(requests)
    gone = set(known.spans) - set(truth(kept).spans)
    assert gone
    with served(tmp_path / "lake", **LONG_AGO) as running:
        replay(kept, running.url, order="shuffled", seed=3)
        report = httpx.get(f"{running.url}/api/v1/coverage", params={"service": "checkout"}, timeout=30).json()
    assert report["orphaned"] == known.orphaned_cpu_ns(gone) > 0
    assert report["orphan_spans"] == len(known.orphans(gone))


def test_kill_minus_nine_loses_nothing_acknowledged_and_doubles_nothing(
    requests: list[traffic.Recorded], known: Truth, tmp_path: Path
) -> None:
    """Killed in the middle of the replay, started again, everything sent again: every figure as if nothing happened."""
    acknowledged: list[traffic.Recorded] = []
    with served(tmp_path / "lake", **LONG_AGO) as running:
        with httpx.Client(base_url=running.url, timeout=30) as client:
            for number, request in enumerate(requests):
                if number == len(requests) // 2:
                    running.process.kill()
                try:
                    answer = client.post(request.path, content=request.body, headers=dict(request.headers))
                except httpx.HTTPError:
                    break
                if answer.is_success:
                    acknowledged.append(request)
        running.kill()
    assert len(requests) // 2 <= len(acknowledged) < len(requests)
    with served(tmp_path / "lake", **LONG_AGO) as running:
        with httpx.Client(base_url=running.url, timeout=30) as client:
            answered, true = totals(client, truth(acknowledged), SOME)
            assert answered == true
            replay(requests, running.url, client=client)
            answered, true = totals(client, known, SOME)
            report = client.get("/api/v1/coverage", params={"service": "checkout"}).json()
            operations = client.get("/api/v1/operations").json()["operations"]
        assert running.terminate() == 0
    assert answered == true
    assert report["total"] == known.total_cpu_ns
    assert sum(operation["span_count"] for operation in operations) == len(known.spans)
