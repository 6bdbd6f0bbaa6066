"""The plain pages."""

import re
from collections.abc import Callable

import pytest

from tests.support.asgi import AppClient
from tests.support.rows import SECOND, T0, profile, spans, with_series
from tests.unit.api.conftest import CHILD, ELSEWHERE, HOSTILE, ROOT, TRACE_HEX

IMAGE = "<img src=x onerror=alert(1)>"


def page(client: AppClient, path: str, status: int = 200) -> str:
    """The HTML of a page."""
    answer = client.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "text/html; charset=utf-8")
    return answer.text


def test_the_start_page_lists_services_and_operations(client: AppClient) -> None:
    """With links to the spans of each."""
    html = page(client, "/")
    assert "checkout" in html
    assert "payments" in html
    assert "83 % of CPU names a" in html
    (path,) = re.findall(r'href="(/operations\?service=checkout&operation=SELECT)"', html)
    assert CHILD in page(client, path)


def test_the_start_page_of_an_empty_lake_says_what_to_do(client_of: Callable[..., AppClient]) -> None:
    """Where to send, and the demo."""
    html = page(client_of(), "/")
    assert "Nothing has arrived yet" in html
    assert "http://here:8080/v1/traces" in html


def test_the_spans_of_an_operation(client: AppClient) -> None:
    """Newest or slowest, each with its flame graph and trace."""
    html = page(client, "/operations?service=checkout&order=slowest")
    assert html.index(f"/spans/{TRACE_HEX}/{ROOT}") < html.index(f"/spans/{TRACE_HEX}/{CHILD}")
    assert "No such spans" in page(client, "/operations?service=nobody")


def test_a_trace_is_a_waterfall(client: AppClient) -> None:
    """Children are indented, bars are placed by time, errors are marked."""
    html = page(client, f"/traces/{TRACE_HEX}")
    depths = re.findall(r'padding-left: ([\d.]+)rem"><a href="/spans/[0-9a-f]+/([0-9a-f]+)"', html)
    assert {ident: float(depth) for depth, ident in depths} == {ROOT: 0, CHILD: 1.1, ELSEWHERE: 2.2}
    assert "left: 25.00%; width: 50.00%" in html
    assert html.count('<span class="error">error</span>') == 1


def test_a_span_is_a_flame_graph(client: AppClient) -> None:
    """With its facts, and the plotting library from our own server."""
    html = page(client, f"/spans/{TRACE_HEX}/{ROOT}")
    assert "/static/plotly.min.js" in html
    assert "POST /checkout" in html
    assert client.get("/static/plotly.min.js").headers["content-type"].startswith("text/javascript")
    assert client.get("/static/style.css").status_code == 200


def test_a_span_without_a_profile_gets_a_page_with_the_reason(client: AppClient) -> None:
    """And a link to the local root where that has samples."""
    html = page(client, f"/spans/{TRACE_HEX}/{CHILD}?method=label", 404)
    assert "Labelled at its local root only" in html
    assert f'href="/spans/{TRACE_HEX}/{ROOT}"' in html


@pytest.mark.parametrize(("path", "status"), [("/spans/x/1", 400), ("/traces/zz", 400), ("/traces/1", 404)])
def test_what_cannot_be_shown_gets_a_page_too(client: AppClient, path: str, status: int) -> None:
    """With the sentence of the error."""
    assert "trace" in page(client, path, status)


@pytest.mark.parametrize("path", ["/", "/operations", f"/traces/{TRACE_HEX}", f"/spans/{TRACE_HEX}/{ROOT}"])
def test_hostile_names_are_text(client_of: Callable[..., AppClient], path: str) -> None:
    """Names of services, spans and functions never become markup, wherever they stand."""
    row = {"span": 1, "service": HOSTILE, "name": HOSTILE}
    sample = {"stack": f"main;{HOSTILE.replace(';', ':')}", "value": 10_000_000, "span": 1}
    client = client_of(with_series(spans(row)), profile([sample], service=HOSTILE))
    answer = client.get(path, params={"service": HOSTILE, "operation": HOSTILE} if path == "/operations" else {})
    assert answer.status_code == 200
    assert "<script>alert" not in answer.text
    assert 'alert("x")' not in answer.text
    assert f"/spans/{TRACE_HEX}/{ROOT}" in answer.text or path == "/"


@pytest.mark.parametrize("path", [f"/traces/{IMAGE}", f"/spans/{IMAGE}/1", f"/spans/1/{IMAGE}"])
def test_hostile_addresses_are_text(client: AppClient, path: str) -> None:
    """What is quoted from an address never becomes markup."""
    assert "<img" not in page(client, path, 400)


def test_links_to_hostile_operations_lead_there(client_of: Callable[..., AppClient]) -> None:
    """A link made from a name with every special character finds the operation again."""
    name = 'a&b=c#d?e/f%g+h "i" <j>'
    client = client_of(with_series(spans({"span": 1, "name": name})))
    (path, *_) = re.findall(r'<td class="name"><a href="([^"]+)"', page(client, "/"))
    assert ROOT in page(client, path)


def test_a_trace_with_a_cycle_and_orphans_is_drawn(client_of: Callable[..., AppClient]) -> None:
    """Spans that are their own ancestors, or whose parent is missing, are still listed."""
    rows = ({"span": 1, "parent": 2}, {"span": 2, "parent": 1}, {"span": 3, "parent": 3}, {"span": 4, "parent": 9})
    html = page(client_of(with_series(spans(*rows))), f"/traces/{TRACE_HEX}")
    assert len(set(re.findall(rf"/spans/{TRACE_HEX}/([0-9a-f]{{16}})\"", html))) == 4


def test_a_long_trace_is_cut_and_says_so(client_of: Callable[..., AppClient]) -> None:
    """2,000 spans are shown."""
    rows = ({"span": ident, "start_ns": T0 + ident, "duration_ns": SECOND} for ident in range(1, 2006))
    assert "5 more spans are not shown" in page(client_of(with_series(spans(*rows))), f"/traces/{TRACE_HEX}")
