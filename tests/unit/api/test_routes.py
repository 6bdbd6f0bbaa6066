"""The REST endpoints: what they answer, in every format."""

import gzip
from collections.abc import Callable
from typing import Any

import pytest

from correlate.api.schemas import SpanProfile
from correlate.formats.proto.pprof_pb2 import Profile
from correlate.services.render import Format
from tests.support.asgi import AppClient
from tests.support.rows import CPU, SECOND, T0, profile
from tests.unit.api.conftest import CHILD, ELSEWHERE, ROOT, TRACE_HEX, World, cpu, shop

PROFILE = f"/api/v1/spans/{TRACE_HEX}/{ROOT}/profile"


def get(client: AppClient, path: str, **params: Any) -> Any:
    """The JSON of a successful answer."""
    answer = client.get(path, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_profile_of_a_span(client: AppClient) -> None:
    """The span, what is known about the evidence, the flame graph as columns, and links."""
    answer = get(client, PROFILE)
    assert answer["span"] == {
        "trace_id": TRACE_HEX,
        "span_id": ROOT,
        "parent_span_id": None,
        "service": "checkout",
        "name": "POST /checkout",
        "kind": 2,
        "status": 0,
        "start_ns": T0,
        "duration_ns": SECOND,
    }
    assert (answer["profile_type"], answer["unit"], answer["total"]) == (CPU, "nanoseconds", 50_000_000)
    assert (answer["scope"], answer["span_count"], answer["method"]) == ("subtree", 3, "label")
    assert (answer["confidence"]["level"], answer["confidence"]["error_bound"]) == ("exact", 0)
    coverage = answer["coverage"]
    assert (coverage["samples"], coverage["expected_samples"], coverage["ratio"]) == (5, 100, 0.05)
    assert coverage["unattributed"] == 10_000_000
    assert answer["flamegraph"] == {
        "name": ["total", "main", "handle", "work"],
        "parent": [-1, 0, 1, 2],
        "self": [0, 0, 0, 50_000_000],
        "total": [50_000_000] * 4,
        "samples": [5] * 4,
    }
    assert SpanProfile.model_validate(answer).model_dump(by_alias=True) == answer
    assert answer["links"]["page"] == f"http://here:8080/spans/{TRACE_HEX}/{ROOT}"
    assert answer["links"]["grafana_trace"].startswith("http://grafana:3000/explore?")


def test_ids_may_be_short_or_in_capitals(client: AppClient) -> None:
    """Leading zeros may be left out, as Tempo allows."""
    short = f"/api/v1/spans/{TRACE_HEX.lstrip('0').upper()}/1/profile"
    assert get(client, short)["span"]["span_id"] == ROOT


MEDIA = {
    "json": "application/json",
    "flamebearer": "application/json",
    "nested-set": "application/json",
    "pprof": "application/vnd.google.protobuf+gzip",
    "collapsed": "text/plain; charset=utf-8",
    "speedscope": "application/json",
    "html": "text/html; charset=utf-8",
    "svg": "image/svg+xml",
}


@pytest.mark.parametrize("path", [PROFILE, f"/api/v1/traces/{TRACE_HEX}/profile"])
@pytest.mark.parametrize("form", list(Format))
def test_every_format(client: AppClient, path: str, form: str) -> None:
    """Every format has its media type; those meant to be saved have a file name."""
    answer = client.get(path, params={"format": form})
    assert (answer.status_code, answer.headers["content-type"]) == (200, MEDIA[form])
    saved = answer.headers.get("content-disposition", "")
    assert saved == {"pprof": f'attachment; filename="{ROOT}.pb.gz"'}.get(
        form, f'attachment; filename="{ROOT}.speedscope.json"' if form == "speedscope" else ""
    )
    assert b"work" in (gzip.decompress(answer.content) if form == "pprof" else answer.content)


def test_pprof_holds_the_same_value(client: AppClient) -> None:
    """The downloaded profile has the total of the answer."""
    parsed = Profile.FromString(gzip.decompress(client.get(PROFILE, params={"format": "pprof"}).content))
    at = [parsed.string_table[kind.type] for kind in parsed.sample_type].index(b"cpu")
    assert sum(sample.value[at] for sample in parsed.sample) == 50_000_000


def test_max_nodes_keeps_the_largest(client_of: Callable[..., AppClient]) -> None:
    """What is left out becomes one node, and the total stays."""
    stacks = {f"main;{name}": 10_000_000 * hits for name, hits in (("a", 5), ("b", 3), ("c", 1), ("d", 1))}
    samples = [{"stack": stack, "value": value, "span": 1} for stack, value in stacks.items()]
    graph = get(client_of(shop(), profile(samples)), PROFILE, max_nodes=3)["flamegraph"]
    assert graph["name"] == ["total", "main", "a", "b", "other"]
    assert graph["total"][0] == sum(graph["self"]) == 100_000_000


def test_a_trace_lists_its_spans_by_start(client: AppClient) -> None:
    """With parents and the hits that name each."""
    listed = get(client, f"/api/v1/traces/{TRACE_HEX}")["spans"]
    assert {span["span_id"]: (span["parent_span_id"], span["samples"]) for span in listed} == {
        ROOT: (None, 5),
        CHILD: (ROOT, 0),
        ELSEWHERE: (CHILD, 0),
    }
    assert [span["start_ns"] for span in listed] == sorted(span["start_ns"] for span in listed)


def test_services_operations_and_profile_types(client: AppClient) -> None:
    """What is there, with counts, coverage, first and last seen."""
    checkout, payments = get(client, "/api/v1/services")["services"]
    assert (checkout["service"], checkout["span_count"], checkout["profile_count"]) == ("checkout", 2, 1)
    assert checkout["cpu_labelled_ratio"] == pytest.approx(5 / 6)
    assert (payments["error_count"], payments["cpu_labelled_ratio"], payments["first_ns"]) == (1, None, T0)
    names = [row["name"] for row in get(client, "/api/v1/operations", service="checkout")["operations"]]
    assert sorted(names) == ["POST /checkout", "SELECT"]
    (kind,) = get(client, "/api/v1/profile-types", service="checkout")["profile_types"]
    assert (kind["type"], kind["alias"], kind["total"], kind["period"]) == (CPU, "cpu", 60_000_000, 10_000_000)
    assert get(client, "/api/v1/profile-types", service="payments") == {"profile_types": []}


def test_spans_of_a_service_or_operation(client: AppClient) -> None:
    """Newest or slowest first, within a time range, as many as asked for."""
    usual = {"service": "checkout"}
    newest = get(client, "/api/v1/spans", **usual)["spans"]
    assert [span["span_id"] for span in newest] == [CHILD, ROOT]
    slowest = get(client, "/api/v1/spans", order="slowest", limit=1, **usual)["spans"]
    assert [(span["span_id"], span["samples"]) for span in slowest] == [(ROOT, 5)]
    assert [s["span_id"] for s in get(client, "/api/v1/spans", operation="SELECT", **usual)["spans"]] == [CHILD]
    assert get(client, "/api/v1/spans", **usual, **{"from": "now-5s"})["spans"] == []
    assert len(get(client, "/api/v1/spans", **usual, **{"from": "now-1h", "to": "now"})["spans"]) == 2
    assert get(client, "/api/v1/spans", service="nobody") == {"spans": []}


def test_coverage_adds_up(client: AppClient) -> None:
    """Every part of a service's value is accounted for."""
    report = get(client, "/api/v1/coverage", service="checkout")
    assert (report["total"], report["attributed"], report["unlabelled"]) == (60_000_000, 50_000_000, 10_000_000)
    parts = ("attributed", "orphaned", "trace_only", "ambiguous", "unlabelled")
    assert sum(report[part] for part in parts) == report["total"]


def test_samples_whose_span_never_came_are_orphans(client_of: Callable[..., AppClient]) -> None:
    """Profiles without any span: all that is labelled is orphaned."""
    report = get(client_of(cpu()), "/api/v1/coverage", service="checkout")
    assert (report["orphaned"], report["orphan_spans"]) == (50_000_000, 1)


def test_an_empty_lake_answers_empty_lists(client_of: Callable[..., AppClient]) -> None:
    """Nothing has arrived: no error."""
    client = client_of()
    for name in ("services", "operations", "profile-types"):
        assert get(client, f"/api/v1/{name}") == {name.replace("-", "_"): []}


def test_liveness_and_readiness(client: AppClient, world: World) -> None:
    """Alive is one word; not ready is 503 with what is wrong, by name."""
    assert client.get("/healthz").text == "ok\n"
    assert get(client, "/readyz") == {"ready": True, "problems": {}}
    world.probe.says = "the disk is full"
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()) == (503, {"ready": False, "problems": {"lake": "the disk is full"}})


def test_metrics_count_requests_at_the_doors(client: AppClient) -> None:
    """Prometheus text with one counter per door and outcome."""
    client.post("/v1/traces", content=b"", headers={"Content-Type": "application/x-protobuf"})
    client.post("/v1/traces", content=b"{", headers={"Content-Type": "application/json"})
    text = client.get("/metrics").text
    assert 'correlate_receiver_requests_total{door="otlp_http_traces",outcome="stored"} 1.0' in text
    assert 'correlate_receiver_requests_total{door="otlp_http_traces",outcome="Malformed"} 1.0' in text


def test_the_openapi_document_names_every_endpoint(client: AppClient) -> None:
    """And every error that an endpoint may answer."""
    paths = get(client, "/openapi.json")["paths"]
    assert set(paths) >= {
        "/api/v1/services",
        "/api/v1/operations",
        "/api/v1/profile-types",
        "/api/v1/coverage",
        "/api/v1/spans",
        "/api/v1/spans/{trace_id}/{span_id}/profile",
        "/api/v1/traces/{trace_id}",
        "/api/v1/traces/{trace_id}/profile",
    }
    for path, item in paths.items():
        answers = [each for method in item.values() for each in method["responses"].items()]
        for code, response in answers:
            if code.startswith("4"):
                assert list(response["content"]) == ["application/problem+json"], (path, code)
