"""Elastic Universal Profiling, against a fake Elasticsearch."""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import httpx
import orjson
import pytest

from connectors.elastic import PROFILE_TYPE, ElasticOptions, ElasticSource
from connectors.elastic_stacks import collapsed_of
from connectors.endpoint import Endpoint
from correlate.errors import SourceMalformed, SourceRefused
from correlate.formats import registry
from correlate.model.payload import PayloadKind
from correlate.model.queries import TimeRange
from tests.support.pprof_bytes import collapsed_stacks

NOW_NS = 1_790_000_040 * 10**9
MINUTE_NS = 60 * 10**9
STACKS = {
    "s1": {"frame_ids": ["f1", "f2"], "file_ids": ["x", "x"], "address_or_lines": [1, 2], "type_ids": [3, 3]},
    "s2": {
        "frame_ids": ["f1", "f3", "f4"],
        "file_ids": ["x", "x", "y"],
        "address_or_lines": [1, 3, -1],
        "type_ids": [3, 3, 4],
    },
}
FRAMES = {
    "f1": {"function_name": ["main"], "file_name": ["main.c"], "line_number": [7]},
    "f2": {"function_name": ["outer", "inlined; twice"], "file_name": [], "line_number": []},
    "f3": {"function_name": []},
}


class Clock:
    def now_ns(self) -> int:
        return NOW_NS


@dataclass
class FakeElastic:
    """Events as (second, service, stack); more than `capacity` of them are answered by a sample."""

    events: list[tuple[int, str, str]] = field(default_factory=list)
    capacity: int = 1000
    enabled: bool = True
    asked: list[tuple[str, Any]] = field(default_factory=list)

    @property
    def transport(self) -> httpx.MockTransport:
        """Instead of the network."""
        return httpx.MockTransport(self._answer)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        question = orjson.loads(request.content) if request.content else {}
        self.asked.append((request.url.path, question))
        if request.headers.get("authorization") != "ApiKey k":
            return httpx.Response(
                401, json={"error": {"type": "security_exception", "reason": "missing"}, "status": 401}
            )
        if request.url.path == "/":
            return httpx.Response(200, json={"version": {"number": "9.1.0"}})
        if request.url.path == "/_profiling/status":
            on = {"enabled": self.enabled}
            return httpx.Response(200, json={"profiling": on, "resources": {"created": self.enabled}})
        conditions = question["query"]["bool"]["filter"]
        within = conditions[-1]["range"]["@timestamp"]
        found = [event for event in self.events if within["gte"] <= event[0] * 1000 < within["lt"]]
        if request.url.path.endswith("_search"):
            names = [{"key": name} for name in {service for _, service, _ in found}]
            return httpx.Response(200, json={"aggregations": {"names": {"buckets": names}}})
        service = conditions[0]["term"]["service.name"]
        stacks = [stack for _, name, stack in found if name == service]
        rate = 1.0 if len(stacks) <= self.capacity else self.capacity / len(stacks)
        counts = {stack: stacks.count(stack) for stack in set(stacks)}
        answer = {
            "stack_trace_events": counts,
            "stack_traces": STACKS,
            "stack_frames": FRAMES,
            "executables": {"y": "vmlinux"},
        }
        return httpx.Response(200, json={**answer, "sampling_rate": rate})


def source(fake: FakeElastic, key: str = "k", **options: Any) -> ElasticSource:
    endpoint = Endpoint("http://elastic:9200", headers={"Authorization": f"ApiKey {key}"}, max_retries=0)
    return ElasticSource("elastic", endpoint, Clock(), options=ElasticOptions(**options), transport=fake.transport)


FIRST_S = NOW_NS // MINUTE_NS * 60 - 300
WINDOW = TimeRange(FIRST_S * 10**9, (FIRST_S + 120) * 10**9)


def test_a_pull_brings_collapsed_stacks_per_service_and_step() -> None:
    """Frames outermost first, inlined ones after what they are inlined into, files and addresses where no name is."""
    fake = FakeElastic(
        [(FIRST_S, "shop", "s1"), (FIRST_S, "shop", "s2"), (FIRST_S + 60, "shop", "s1"), (FIRST_S + 1, "api", "s1")]
    )
    pulled = list(source(fake).fetch(WINDOW))
    assert [(each.params["service"], int(each.params["from"]) // 10**9 - FIRST_S) for each in pulled] == [
        ("api", 0),
        ("shop", 0),
        ("shop", 60),
    ]
    assert collapsed_stacks(pulled[1].body) == {
        ("main", "outer", "inlined%3B twice"): 1,
        ("main", "[unknown]+0x3", "vmlinux+0xffffffff"): 1,
    }
    assert pulled[0].kind is PayloadKind.COLLAPSED
    assert registry.read(pulled[1]).profiles["type"].to_list() == [PROFILE_TYPE]
    assert registry.read(pulled[1]).samples["value"].sum() == 2


def test_a_window_that_is_too_full_is_halved_until_it_is_complete() -> None:
    """Nothing is left to chance: the pieces hold every event once."""
    fake = FakeElastic([(FIRST_S + second, "shop", "s1") for second in range(120)], capacity=20)
    pulled = list(source(fake, services=("shop",)).fetch(WINDOW))
    assert sum(sum(collapsed_stacks(each.body).values()) for each in pulled) == 120
    assert all("kept_share" not in each.params for each in pulled)
    edges = [(int(each.params["from"]), int(each.params["until"])) for each in pulled]
    assert all(before[1] == after[0] for before, after in pairwise(edges))


def test_a_sample_that_cannot_be_avoided_is_marked() -> None:
    """More events than fit into the shortest window."""
    fake = FakeElastic([(FIRST_S, "shop", "s1")] * 100, capacity=25)
    pulled = list(source(fake, services=("shop",)).fetch(WINDOW))
    assert [each.params["kept_share"] for each in pulled] == ["0.25"]


def test_transactions_are_found_by_the_ids_their_agent_wrote() -> None:
    """The question goes to the APM indices."""
    fake = FakeElastic([(FIRST_S, "shop", "s1")])
    payload = source(fake).transaction_profile("shop", "POST /checkout", WINDOW)
    assert payload is not None
    assert payload.params["transaction"] == "POST /checkout"
    question = fake.asked[-1][1]
    assert question["indices"] == ["traces-apm*"]
    assert {"term": {"transaction.name": "POST /checkout"}} in question["query"]["bool"]["filter"]
    assert source(fake).transaction_profile("nobody", "POST /checkout", WINDOW) is None


def test_checking_tells_version_set_up_and_data() -> None:
    """Each with its fix."""
    recent = [(NOW_NS // 10**9 - 60, "shop", "s1")]
    assert [finding.ok for finding in source(FakeElastic(recent)).check()] == [True, True, True]
    findings = source(FakeElastic(enabled=False)).check()
    assert [finding.ok for finding in findings] == [True, False, False]
    assert "Kibana" in findings[1].text
    assert [finding.ok for finding in source(FakeElastic(), key="wrong").check()] == [False]
    with pytest.raises(SourceRefused, match="credentials"):
        list(source(FakeElastic(), key="wrong").fetch(WINDOW))


def test_events_are_settled_after_two_minutes() -> None:
    """Hosts send in batches."""
    assert source(FakeElastic()).settled_until_ns(NOW_NS) == NOW_NS - 120 * 10**9


@pytest.mark.parametrize(
    "answer",
    [
        {"stack_trace_events": {"s": 1}, "stack_traces": {"s": {}}},
        {"stack_trace_events": {"s": "many"}},
        {"stack_trace_events": [3]},
        {
            "stack_trace_events": {"s": 1},
            "stack_traces": {"s": {"frame_ids": ["a"], "file_ids": [], "address_or_lines": []}},
        },
    ],
)
def test_an_answer_that_cannot_be_read_is_malformed(answer: dict[str, Any]) -> None:
    """It is the server's fault, and told so."""
    with pytest.raises(SourceMalformed, match="cannot be read"):
        collapsed_of(answer, "elastic")


def test_lost_stacks_are_counted() -> None:
    """Events whose stack is not there any more stay in the total."""
    assert collapsed_of({"stack_trace_events": {"gone": 3}}, "elastic") == b"[unknown] 3\n"
    assert collapsed_of({}, "elastic") == b""
