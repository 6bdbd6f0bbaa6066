"""Recorded traffic of a real client with all labels stripped, over real sockets: what unmixing makes of it."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from correlate.demo import traffic
from correlate.demo.replay import replay
from tests.support.recordings import Truth, cpu_ns, only_label, truth
from tests.support.server import served
from tests.support.unlabelled import without_labels

OPERATIONS = ("POST /checkout", "GET /items", "rules evaluate")
LONG_AGO = {"retention_days": "36500", "commit_linger_s": "0.05"}
ALL_TIME = {"from": "2000-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z"}


def recorded(shared_data: Path, name: str) -> list[traffic.Recorded]:
    """The requests of a recording."""
    return list(traffic.read(shared_data / "recorded-clients" / name))


@pytest.fixture
def ask(tmp_path: Path) -> Iterator[Any]:
    """Stores requests in a new server and gives a client of it."""
    with served(tmp_path / "lake", **LONG_AGO) as running, httpx.Client(base_url=running.url, timeout=60) as client:

        def store(requests: list[traffic.Recorded]) -> httpx.Client:
            assert replay(requests, running.url, order="shuffled", seed=3).rejected == 0
            return client

        yield store


def profile_of(client: httpx.Client, operation: str, **params: str) -> httpx.Response:
    """The profile of an operation's cohort."""
    query = f'{{ resource.service.name = "checkout" && name = "{operation}" }}'
    return client.get("/api/v1/cohorts/profile", params={"q": query, **ALL_TIME, **params})


def leaves(answer: dict[str, Any]) -> dict[str, float]:
    """Shares of leaf functions in a flame graph."""
    graph = answer["flamegraph"]
    sums: Counter[str] = Counter()
    for name, own in zip(graph["name"], graph["self"], strict=True):
        sums[name] += own
    return {name: own / sums.total() for name, own in sums.items() if own}


def true_leaves(known: Truth, operation: str) -> dict[str, float]:
    """Shares of leaf functions in the samples whose label names a span of the operation."""
    sums: Counter[str] = Counter()
    for sample in known.cpu_samples:
        span = known.spans.get(only_label(sample, "span_id"))
        if span is not None and span.name == operation:
            sums[sample.stack[-1] if sample.stack else "[no stack]"] += cpu_ns(sample)
    return {name: own / sums.total() for name, own in sums.items()}


def apart(left: dict[str, float], right: dict[str, float]) -> float:
    """Half the L1 distance of two sets of shares."""
    return sum(abs(left.get(name, 0) - right.get(name, 0)) for name in left.keys() | right.keys()) / 2


def test_varying_load_gives_each_operation_its_own_profile(ask: Any, shared_data: Path) -> None:
    """Within 0.08 of what the labels say, where sharing windows out is 0.28 to 0.33 away."""
    requests = recorded(shared_data, "checkout-varying.jsonl.gz")
    known, client = truth(requests), ask(list(without_labels(requests)))
    for operation in OPERATIONS:
        answer = profile_of(client, operation).json()
        assert (answer["method"], answer["confidence"]["level"]) == ("unmixed", "estimated")
        assert apart(leaves(answer), true_leaves(known, operation)) <= 0.08
        assert all(each["share_low"] <= each["share"] <= each["share_high"] for each in answer["frames"])


def test_steady_load_says_nothing_and_the_answer_says_so(ask: Any, shared_data: Path) -> None:
    """Unmixing asked for by name is refused; otherwise windows are shared out, with the reason why not more."""
    client = ask(list(without_labels(recorded(shared_data, "checkout.jsonl.gz"))))
    for operation in OPERATIONS:
        refused = profile_of(client, operation, method="unmixed")
        assert (refused.status_code, refused.json()["reason"]) == (404, "evidence too weak")
        answer = profile_of(client, operation).json()
        assert (answer["method"], answer["confidence"]["level"]) == ("window", "inferred")
        assert "not unmixed" in answer["confidence"]["reason"]
        assert answer["confidence"]["error_bound"] > 0.5


@pytest.mark.parametrize("name", ["checkout.jsonl.gz", "checkout-varying.jsonl.gz"])
def test_slow_items_rank(ask: Any, shared_data: Path, name: str) -> None:
    """With labels, what the slow `GET /items` do differently is `rank_items`, first and in words."""
    client = ask(recorded(shared_data, name))
    answer = client.get("/api/v1/operations/checkout/GET%20%2Fitems/slow", params=ALL_TIME).json()
    assert (answer["frames"][0]["name"], answer["frames"][0]["significant"]) == ("rank_items", True)
    assert any("rank_items" in sentence for sentence in answer["sentences"])
    assert answer["left"]["method"] == answer["right"]["method"] == "label"
