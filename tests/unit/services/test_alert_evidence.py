"""Addresses of an alert: of what is there to be shown."""

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from correlate.demo import traffic
from correlate.model.alerts import Alert, AlertStatus
from correlate.model.verdicts import Site, Tier, Verdict
from correlate.services.alert_evidence import AlertEvidence
from correlate.services.links import LinkMaker
from tests.fakes.lake import FakeLake
from tests.support.observed import SECOND, read

HOUR = 3600 * SECOND


def evidence(lake: FakeLake, verdict: Verdict, until_ns: int, grafana: str = "") -> dict[str, str]:
    """The addresses of an alert that began half an hour ago."""
    alert = Alert("f" * 16, 1, AlertStatus.FIRING, verdict, started_ns=until_ns - HOUR // 2, judged_until_ns=until_ns)
    return dict(AlertEvidence(lake, LinkMaker("http://here", grafana))(alert))


def asked(url: str) -> dict[str, str]:
    """The query of an address."""
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def test_a_leak_is_shown_by_its_operation_site_and_traces() -> None:
    """The flame graph of what is held while the operation ran, who calls the site, and slow requests."""
    tables = read(traffic.shipped())
    until_ns = int(tables.spans["start_ns"].to_numpy().max()) + SECOND
    site = Site("remember_session", operations=("POST /checkout",))
    found = evidence(FakeLake(tables), Verdict("memory-leak", "checkout", "x", Tier.PAGE, "", sites=(site,)), until_ns)
    assert sorted(found) == ["call_site", "flame_graph", "trace_1", "trace_2", "trace_3"]
    query = asked(found["flame_graph"])
    assert query["q"] == '{ resource.service.name = "checkout" && name = "POST /checkout" }'
    assert query["type"] == "memory:inuse_space:bytes:space:bytes"
    assert (int(query["from"]), int(query["to"])) == (until_ns - HOUR, until_ns)
    assert asked(found["call_site"])["function"] == "remember_session"
    assert found["trace_1"].startswith("http://here/spans/")


def test_a_regression_is_shown_against_the_time_before_it() -> None:
    """From when the detector says it began; the page of Grafana where there is one."""
    tables = read(traffic.shipped())
    until_ns = int(tables.spans["start_ns"].to_numpy().max())
    since_ns = until_ns - 6 * HOUR
    verdict = Verdict("regression", "checkout", "x", Tier.PAGE, "", {"since_ns": float(since_ns)}, (Site("work"),))
    found = evidence(FakeLake(tables), verdict, until_ns, "http://grafana")
    query = asked(found["difference"])
    assert abs(int(query["left_to"]) - since_ns) < SECOND
    assert int(query["right_to"]) == until_ns
    assert query["left"] == query["right"] == '{ resource.service.name = "checkout" }'
    assert found["grafana"].startswith("http://grafana/explore")


def test_a_service_without_spans_has_no_traces_to_show() -> None:
    """And no site without a function."""
    found = evidence(FakeLake(), Verdict("threshold", "nobody", "cpu", Tier.WATCH, ""), HOUR * 500_000)
    assert sorted(found) == ["flame_graph"]


def test_the_pages_that_alerts_lead_to_are_there() -> None:
    """By their routes."""
    pages = "\n".join(path.read_text() for path in Path("correlate/api/pages").glob("*.py"))
    for route in ('"/cohorts"', '"/compare"', '"/frames/traces"', '"/spans/{trace_id}/{span_id}"'):
        assert f"@router.get({route})" in pages
