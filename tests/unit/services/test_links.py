"""Links out of an answer."""

from urllib.parse import parse_qs, urlsplit

import orjson
import pytest

from correlate.model.answers import Scope, SpanInfo
from correlate.model.ids import TraceId
from correlate.model.profile_type import ProfileType
from correlate.services.links import LinkMaker

CPU = ProfileType.parse("process_cpu:cpu:nanoseconds:cpu:nanoseconds")
HEAP = ProfileType.parse("memory:inuse_space:bytes:space:bytes")
SPAN = SpanInfo(TraceId(0, 0xABC), 0xDEF, 0, 'shop "eu"', "GET /", 2, 0, 1_795_000_000_000_000_001, 5_000_000)
MAKER = LinkMaker("https://correlate.example", "https://grafana.example/sub", "t-uid", "p-uid", 3)


def panes(link: str | None) -> dict[str, object]:
    """The panes of an Explore link."""
    assert link is not None
    url = urlsplit(link)
    query = parse_qs(url.query)
    assert (url.path, query["schemaVersion"], query["orgId"]) == ("/sub/explore", ["1"], ["3"])
    found: dict[str, object] = orjson.loads(query["panes"][0])
    return found


def test_a_trace_link_focuses_on_the_span() -> None:
    """Padded hexadecimal ids, the Tempo datasource by uid, a minute around the span."""
    pane = panes(MAKER.of_span(SPAN, CPU, Scope.SUBTREE)["grafana_trace"])["trace"]
    assert pane == {
        "datasource": "t-uid",
        "queries": [
            {
                "refId": "A",
                "datasource": {"type": "tempo", "uid": "t-uid"},
                "queryType": "traceql",
                "limit": 20,
                "tableType": "traces",
                "query": f"{0xABC:032x}",
            }
        ],
        "range": {"from": "1794999940000", "to": "1795000060006"},
        "panelsState": {"trace": {"spanId": f"{0xDEF:016x}"}},
    }


@pytest.mark.parametrize(
    ("ref", "selector"), [("", f"{0xDEF:016x}"), ("00000000000000aa", "00000000000000aa"), ("x", None)]
)
def test_a_profile_link_selects_what_the_profiler_stamped(ref: str, selector: str | None) -> None:
    """The attribute pyroscope.profile.id where it is a span id, else the span's own id; label values are quoted."""
    span = SpanInfo(*(getattr(SPAN, name) for name in SPAN.__slots__[:-1]), profile_ref=ref)
    pane = panes(MAKER.of_span(span, HEAP, Scope.SPAN)["grafana_profile"])["profile"]
    query = pane["queries"][0]  # type: ignore[index]
    assert query["spanSelector"] == [selector or f"{0xDEF:016x}"]
    assert query["labelSelector"] == '{service_name="shop \\"eu\\""}'
    assert query["profileTypeId"] == str(HEAP)


def test_our_own_links_say_only_what_is_unusual() -> None:
    """CPU of the subtree is what one gets anyway."""
    usual, other = MAKER.of_span(SPAN, CPU, Scope.SUBTREE), MAKER.of_span(SPAN, HEAP, Scope.TRACE)
    assert usual["page"] == f"https://correlate.example/spans/{0xABC:032x}/{0xDEF:016x}"
    assert parse_qs(urlsplit(other["pprof"] or "").query) == {
        "type": [str(HEAP)],
        "scope": ["trace"],
        "format": ["pprof"],
    }


def test_without_grafana_there_are_no_grafana_links() -> None:
    """None, not a broken address."""
    links = LinkMaker("http://x").of_span(SPAN, CPU, Scope.SUBTREE)
    assert (links["grafana_trace"], links["grafana_profile"]) == (None, None)
