"""From code to requests and back over HTTP: functions, who paid for them, where a span's time went."""

from collections.abc import Callable
from typing import Any

import pytest

from correlate.api.schemas.breakdown import SpanBreakdownModel
from correlate.api.schemas.frames import FrameTraces, FunctionList
from correlate.demo import traffic
from correlate.demo.loading import load_shipped
from correlate.services.ingest import AcceptedTimes, Ingest
from tests.fakes.ingest import FakeClock
from tests.fakes.lake import FakeLake
from tests.support.asgi import AppClient
from tests.support.recordings import Truth, cpu_ns, only_label, truth
from tests.support.rows import CPU, SECOND, T0
from tests.unit.api.conftest import ROOT, TRACE_HEX, World, cpu

FRAMES, PAYERS = "/api/v1/frames", "/api/v1/frames/traces"
MS = 1_000_000


def get(client: AppClient, path: str, **params: Any) -> Any:
    """The JSON of a successful answer."""
    answer = client.get(path, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_functions_of_a_service(client: AppClient) -> None:
    """By own value, or with what they call."""
    answer = get(client, FRAMES, service="checkout")
    assert (answer["profile_type"], answer["total"], answer["function_count"]) == (CPU, 60 * MS, 4)
    assert answer["functions"][0] == {"name": "work", "place": "", "self": 50 * MS, "total": 50 * MS}
    by_total = get(client, FRAMES, order="total", limit=1, q="MAI")
    assert [row["name"] for row in by_total["functions"]] == ["main"]
    assert FunctionList.model_validate(answer).model_dump(by_alias=True) == answer


def test_spans_that_paid_for_a_function(client: AppClient) -> None:
    """With links, the share of the span, and how sure it is that they exist."""
    answer = get(client, PAYERS, function="main", service="checkout")
    (payer,) = answer["spans"]
    assert (payer["span"]["trace_id"], payer["span"]["span_id"]) == (TRACE_HEX, ROOT)
    assert (payer["value"], payer["samples"], payer["span_value"], payer["share"]) == (50 * MS, 5, 50 * MS, 1.0)
    assert payer["links"]["page"] == f"http://here:8080/spans/{TRACE_HEX}/{ROOT}"
    assert (answer["total"], answer["unnamed"], answer["span_count"]) == (60 * MS, 10 * MS, 1)
    assert (answer["checked"], answer["dead"], answer["dead_share"], answer["notes"]) == (1, 0, 0.0, [])
    assert FrameTraces.model_validate(answer).model_dump(by_alias=True) == answer


def test_spans_that_do_not_exist_are_counted_and_not_linked(client_of: Callable[..., AppClient]) -> None:
    """Profiles whose spans never came: every link would be dead."""
    answer = get(client_of(cpu()), PAYERS, function="work")
    assert (answer["spans"], answer["checked"], answer["dead_share"]) == ([], 1, 1.0)


@pytest.mark.parametrize(
    ("params", "status", "says"),
    [
        ({"function": "nope"}, 404, "has no function 'nope'"),
        ({"function": "work", "service": "nobody"}, 404, "no profiles of type 'cpu'"),
        ({"function": "work", "type": "nonsense"}, 400, "nonsense"),
        ({"function": "=~("}, 400, "function: '('"),
        ({"function": '!="work"'}, 400, "function: !="),
        ({"function": "work", "from": "yesterday"}, 400, "yesterday"),
        ({"function": "work", "limit": "0"}, 422, "limit"),
        ({}, 422, "function"),
    ],
)
def test_bad_questions_are_answered_with_a_reason(
    client: AppClient, params: dict[str, str], status: int, says: str
) -> None:
    """A problem document that names what is wrong."""
    answer = client.get(PAYERS, params=params)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert says in answer.json()["detail"]


def test_where_the_time_of_a_span_went(client: AppClient) -> None:
    """Half of it is the child's; of five hits, as many belong to it as its time at work says."""
    answer = get(client, f"/api/v1/spans/{TRACE_HEX}/{ROOT}/breakdown")
    parts = {part["name"]: part["time_ns"] for part in answer["parts"] if part["time_ns"]}
    assert parts == {"on_cpu": 25 * MS, "children": 500 * MS, "unexplained": 475 * MS}
    assert sum(part["time_ns"] for part in answer["parts"]) == answer["wall_ns"] == SECOND
    assert (answer["cpu_ns"], answer["child_count"]) == (50 * MS, 1)
    assert answer["children"][0]["name"] == "SELECT"
    assert answer["evidence"][0]["confidence"]["level"] == "exact"
    assert SpanBreakdownModel.model_validate(answer).model_dump(by_alias=True) == answer


def test_an_unknown_span_has_no_breakdown(client: AppClient) -> None:
    """Its reason is machine-readable."""
    answer = client.get(f"/api/v1/spans/{TRACE_HEX}/77/breakdown")
    assert (answer.status_code, answer.json()["reason"]) == (404, "unknown span")
    assert client.get("/api/v1/spans/nonsense/1/breakdown").status_code == 400


@pytest.fixture(scope="module")
def recorded() -> World:
    """A world with a minute of a real service in it."""
    lake = FakeLake()
    load_shipped(Ingest(lake, FakeClock(T0 + 600 * SECOND), AcceptedTimes()), T0 + 500 * SECOND)
    return World(lake)


@pytest.fixture(scope="module")
def known() -> Truth:
    """What the recording says, read slowly."""
    return truth(traffic.shipped())


def test_a_slow_function_leads_to_the_requests_that_missed_the_cache(recorded: World, known: Truth) -> None:
    """Every span that ran `rank_items`, and to the nanosecond what it paid; no other operation, no dead link."""
    answer = get(recorded.client(), PAYERS, function="rank_items", service="checkout", limit=1000)
    spent: dict[str, int] = {}
    for sample in known.cpu_samples:
        if "rank_items" in sample.stack:
            span = only_label(sample, "span_id")
            spent[span] = spent.get(span, 0) + cpu_ns(sample)
    assert answer["unnamed"] == spent.pop("", 0)
    assert {payer["span"]["span_id"]: payer["value"] for payer in answer["spans"]} == spent
    assert len(spent) > 10
    for payer in answer["spans"]:
        span = known.spans[payer["span"]["span_id"]]
        assert (span.name, span.attributes["cache.hit"]) == ("GET /items", False)
        assert payer["span_value"] == known.cpu_ns_by_span()[span.span]
    assert (answer["dead"], answer["checked"]) == (0, len(spent))


def test_the_time_of_a_checkout_contains_the_charging_of_the_card(recorded: World, known: Truth) -> None:
    """All of it, with the 40 ms of waiting in it, is time of children."""
    client = recorded.client()
    for true in [span for span in known.spans.values() if span.name == "POST /checkout"][:20]:
        answer = get(client, f"/api/v1/spans/{true.trace}/{true.span}/breakdown")
        parts = {part["name"]: part["time_ns"] for part in answer["parts"]}
        assert sum(parts.values()) == answer["wall_ns"] == true.end_ns - true.start_ns
        charge = next(child for child in answer["children"] if child["name"] == "charge card")
        assert parts["remote"] == charge["inside_ns"] >= 40 * MS
        assert parts["children"] + parts["remote"] == sum(child["inside_ns"] for child in answer["children"])
        assert answer["cpu_ns"] in (None, known.cpu_ns_by_span().get(true.span, 0))
