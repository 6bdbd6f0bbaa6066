"""The pages of cohorts, comparisons, breakdowns and functions."""

import re
from collections.abc import Callable, Mapping
from html import unescape
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote

import pytest

from correlate.api.pages.html import Here
from tests.support.asgi import AppClient
from tests.support.rows import SECOND, T0, TRACE, profile, spans, with_series
from tests.unit.api.conftest import CHILD, HOSTILE, ROOT, TRACE_HEX

CHECKOUT = '{ resource.service.name = "checkout" }'
FAST, SLOW = 30, 8
MS = 1_000_000


class Fields(HTMLParser):
    """What can be filled in on a page, whether it has a label, and where links lead."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.values: dict[str, str] = {}
        self.unlabelled: list[str] = []
        self.links: dict[str, str] = {}
        self._labels, self._name, self._link = 0, "", ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = {key: value or "" for key, value in attrs}
        self._labels += tag == "label"
        if tag in ("input", "select", "textarea"):
            self._name = told.get("name", "")
            if not (self._labels or "aria-label" in told or told.get("type") == "hidden"):
                self.unlabelled.append(str(told))
        if tag == "input" and self._name:
            self.values[self._name] = told.get("value", "")
        if tag == "option" and "selected" in told:
            self.values[self._name] = told["value"]
        self._link = told.get("href", "") if tag == "a" else ""

    def handle_endtag(self, tag: str) -> None:
        self._labels -= tag == "label"
        self._link = "" if tag == "a" else self._link
        self._name = "" if tag == "textarea" else self._name

    def handle_data(self, data: str) -> None:
        if self._link:
            self.links[data.strip()] = self._link
        elif self._name and self.lasttag == "textarea":
            self.values[self._name] = data


def shop(name: str = "POST /checkout", service: str = "checkout", function: str = "rank") -> list[Any]:
    """Many quick spans and some slow ones; the slow ones spend their time in one function more."""
    rows = [
        {
            "span": number + 1,
            "trace_lo": number + 1,
            "service": service,
            "name": name,
            "start_ns": T0 + number * SECOND // 10,
            "duration_ns": (900 if number < SLOW else 100) * MS + number * MS,
        }
        for number in range(FAST + SLOW)
    ]
    hits = [
        {
            "stack": "main;handle",
            "value": (20 + number % 3 * 10) * MS,
            "span": number + 1,
            "trace": (TRACE[0], number + 1),
        }
        for number in range(FAST + SLOW)
    ]
    hits += [
        {"stack": f"main;handle;{function}", "value": (300 + number * 10) * MS, "span": number + 1}
        | {"trace": (TRACE[0], number + 1)}
        for number in range(SLOW)
    ]
    return [with_series(spans(*rows)), profile(hits, service=service)]


@pytest.fixture
def many(client_of: Callable[..., AppClient]) -> AppClient:
    """A client of a shop with quick and slow spans."""
    return client_of(*shop())


def page(client: AppClient, path: str, params: Mapping[str, str] | None = None, status: int = 200) -> str:
    """The HTML of a page."""
    answer = client.get(path, params=params or None)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "text/html; charset=utf-8"), answer.text
    return answer.text


def test_a_cohort_is_a_flame_graph_with_limits(many: AppClient) -> None:
    """How many spans, by what evidence, and the share of each function with its interval."""
    html = page(many, "/cohorts", {"q": CHECKOUT})
    assert f"Profile of {FAST + SLOW} spans" in html
    assert "label (exact)" in html
    assert 'id="figure"' in html
    row = re.search(r'data-name="rank".*?</tr>', html, re.DOTALL)
    assert row is not None
    assert len(re.findall(r"[\d.]+ % to [\d.]+ %", row.group())) == 1
    assert len(re.findall(r"[\d.]+ ms to [\d.]+ ms", row.group())) == 1


def test_without_a_query_there_is_a_box_and_examples_that_work(many: AppClient) -> None:
    """Each example is the cohort of an operation, in the time in which it was seen."""
    html = page(many, "/cohorts")
    example = Fields(html).links["POST /checkout"]
    assert "from=20" in example
    assert f"Profile of {FAST + SLOW} spans" in page(many, example)


@pytest.mark.parametrize(
    ("asked", "status", "words"),
    [
        ({"q": "{ name = "}, 400, "ends too early"),
        ({"q": CHECKOUT, "from": "yesterday"}, 400, "yesterday"),
        ({"q": CHECKOUT, "focus": "("}, 400, "focus"),
        ({"q": CHECKOUT, "type": "nonsense"}, 400, "nonsense"),
        ({"q": '{ name = "nothing" }'}, 404, "Unknown span"),
        ({"q": CHECKOUT, "limit": "0"}, 422, "limit"),
    ],
)
def test_a_wrong_question_is_named_and_shown_again(
    many: AppClient, asked: dict[str, str], status: int, words: str
) -> None:
    """With the box as it was filled in."""
    html = page(many, "/cohorts", asked, status)
    assert words in unescape(html)
    filled = Fields(html).values
    assert {name: filled[name] for name in asked} == asked


@pytest.mark.parametrize(
    "path", ["/operations/slow?service=checkout&operation=POST+/checkout", "/operations/checkout/POST%20/checkout/slow"]
)
def test_slow_spans_are_compared_with_the_rest(many: AppClient, path: str) -> None:
    """Sentences first, then both sides as cohorts, the flame graph, and the functions with q."""
    html = page(many, path)
    sentence = "The slow side spends"
    assert sentence in html
    assert html.index(sentence) < html.index('id="flame"') < html.index('data-name="rank"')
    assert "significant" in html
    links = Fields(html).links
    slow_side = next(url for text, url in links.items() if "duration >=" in text)
    assert re.search(r"Profile of \d+ spans", page(many, slow_side))
    assert "function=rank" in links["rank"]


def test_a_comparison_of_two_queries(many: AppClient) -> None:
    """Without queries the boxes; with them what differs; a mistake keeps the boxes as they were."""
    assert '<textarea name="left"' in page(many, "/compare")
    asked = {"left": "{ duration < 500ms }", "right": "{ duration >= 500ms }", "basis": "share"}
    html = page(many, "/compare", asked)
    assert "rank" in Fields(html).links
    assert "share of the whole" in html
    assert "The right side spends" in html
    assert Fields(html).values.items() >= asked.items()
    wrong = page(many, "/compare", asked | {"right": "{ duration > }"}, 400)
    assert Fields(wrong).values["right"] == "{ duration > }"
    edited = page(many, "/compare", asked | {"edit": "1"})
    assert "flame" not in re.findall(r'id="(\w+)"', edited)


def test_a_span_is_compared_with_its_operation(many: AppClient) -> None:
    """One slow span against the others, with the way back."""
    trace = f"{TRACE[0]:016x}{1:016x}"
    html = page(many, f"/spans/{trace}/{1:016x}/compare")
    assert "What this POST /checkout did differently from the others" in html
    assert "single span" in html
    assert Fields(html).links["the span"] == f"/spans/{trace}/{1:016x}"


def test_a_span_leads_to_everything_about_it(many: AppClient) -> None:
    """Trace, breakdown, operation, comparison; each link leads to a page."""
    trace = f"{TRACE[0]:016x}{1:016x}"
    html = page(many, f"/spans/{trace}/{1:016x}")
    links = Fields(html).links
    wanted = ["whole trace", "where its time went", "compare with its operation", "profile of all POST /checkout"]
    wanted += ["what the slow ones do differently", "all its spans", "rank", "JSON"]
    for text in wanted:
        assert many.get(links[text]).status_code == 200, text
    assert "on the CPU" in html
    assert "unexplained" in html


def test_a_span_can_be_looked_at_in_part(many: AppClient) -> None:
    """The form keeps what was asked for, and the page says how much is shown."""
    asked = {"scope": "span", "focus": "rank", "callees_of": "handle"}
    html = page(many, f"/spans/{TRACE[0]:016x}{1:016x}/{1:016x}", asked)
    assert "Only a part of the stacks is shown" in html
    assert "<details" in html
    assert Fields(html).values.items() >= asked.items()
    assert "total 300 ms" in html


def test_an_inferred_answer_says_so_before_anything_else(client: AppClient) -> None:
    """Method, error bound and reason stand above the flame graph."""
    html = page(client, f"/spans/{TRACE_HEX}/{CHILD}")
    warning = re.search(r'<p class="note warning">.*?</p>', html, re.DOTALL)
    assert warning is not None
    assert "Inferred, not exact" in warning.group()
    assert re.search(r"up to <strong>\d+ %</strong> of the total may belong elsewhere", warning.group())
    assert html.index("Inferred, not exact") < html.index('id="flame"')
    assert "note warning" not in page(client, f"/spans/{TRACE_HEX}/{ROOT}")


def test_the_time_of_a_span(client: AppClient) -> None:
    """Parts with numbers, the evidence, what is missing and why, and the children."""
    html = page(client, f"/spans/{TRACE_HEX}/{ROOT}/breakdown")
    assert "Where the 1 s of POST /checkout went" in html
    assert "in children of the same service" in html
    assert "has sent no profile of this type" in html
    assert Fields(html).links["SELECT"] == f"/spans/{TRACE_HEX}/{CHILD}"


def test_a_function_leads_to_the_spans_that_paid(many: AppClient) -> None:
    """With how many of them exist; without a function, those there are."""
    html = page(many, "/frames/traces", {"function": "rank", "service": "checkout"})
    assert f"for {SLOW} spans" in html
    assert "all of them exist" in html
    assert len(re.findall(r'href="/spans/', html)) == SLOW
    assert Fields(page(many, "/frames/traces")).links["rank"].startswith("/frames/traces?function=rank")
    assert "has no function" in page(many, "/frames/traces", {"function": "nope", "service": "checkout"}, 404)


PATHS = [
    "/cohorts?q={}",
    "/cohorts",
    "/compare?left={}&right={}",
    "/operations/slow?service=S&operation=S",
    "/operations?service=S&operation=S",
    "/frames/traces?service=S",
    "/frames/traces?function=S&service=S",
    f"/spans/{TRACE[0]:016x}{1:016x}/{1:016x}",
    f"/spans/{TRACE[0]:016x}{1:016x}/{1:016x}/compare",
    f"/spans/{TRACE[0]:016x}{1:016x}/{1:016x}/breakdown",
]


@pytest.mark.parametrize("path", PATHS)
def test_hostile_names_are_text(client_of: Callable[..., AppClient], path: str) -> None:
    """Names of services, spans and functions never become markup; links made from them lead where they say."""
    function = HOSTILE.replace(";", ":")
    client = client_of(*shop(HOSTILE, HOSTILE, function))
    value = function if "function" in path else HOSTILE
    answer = client.get(path.replace("=S", f"={quote(value)}"))
    html = answer.text
    assert answer.status_code in (200, 404), html
    assert "<script>alert" not in html
    assert 'alert("x")' not in html
    for url in {url for url in Fields(html).links.values() if url.startswith(("/cohorts", "/frames", "/operations"))}:
        assert client.get(url).status_code == 200, url


@pytest.mark.parametrize("name", ['="main"', "!~x", "'quoted'", "~tilde", ' "a" ', "=x'y\"z`", "a\\b"])
def test_a_function_of_any_name_is_found_by_its_link(client_of: Callable[..., AppClient], name: str) -> None:
    """Also when its name looks like an operator or a quotation."""
    client = client_of(*shop(function=name))
    links = Fields(page(client, f"/spans/{TRACE[0]:016x}{1:016x}/{1:016x}")).links
    assert f"for {SLOW} spans" in page(client, links[name.strip()])


@pytest.mark.parametrize("path", [*PATHS[:7], "/", "/doctor"])
def test_every_field_has_a_label(many: AppClient, path: str) -> None:
    """So that whoever hears the page knows what to write where."""
    assert Fields(many.get(path.replace("=S", "=checkout")).text).unlabelled == []


@pytest.mark.parametrize(
    "asked", [{"q": IMAGE} for IMAGE in ("<img src=x onerror=alert(1)>", '"><svg onload=alert(1)>')]
)
@pytest.mark.parametrize("path", ["/cohorts", "/compare", "/frames/traces", "/operations/slow"])
def test_hostile_questions_are_text(many: AppClient, path: str, asked: dict[str, str]) -> None:
    """Whatever parameter they come in."""
    text = asked["q"]
    names = ["q", "left", "right", "from", "to", "type", "focus", "function", "service", "operation", "scope", "limit"]
    html = many.get(path, params=dict.fromkeys(names, text)).text
    assert "<img" not in html
    assert "<svg" not in html


@pytest.mark.parametrize("scope", ["trace", "window"])
def test_scopes_of_single_spans_are_refused_for_many(many: AppClient, scope: str) -> None:
    """Rather than answered as if the spans alone had been asked for."""
    asked = {"q": CHECKOUT, "scope": scope}
    assert "choose their roots" in unescape(page(many, "/cohorts", asked, 400))
    assert many.get("/api/v1/cohorts/profile", params=asked).status_code == 400


def test_the_start_page_leads_to_cohorts(many: AppClient) -> None:
    """Of each operation, as does the operation's own page."""
    for path in ("/", "/operations?service=checkout&operation=POST+/checkout"):
        links = Fields(page(many, path)).links
        wanted = [url for text, url in links.items() if text.startswith(("profile of all", "what"))]
        assert [many.get(url).status_code for url in wanted] == [200, 200]


def test_addresses_keep_what_was_asked() -> None:
    """A variation changes its own parameter and drops it when it is empty."""
    here = Here("/cohorts", {"q": "{}", "focus": "a&b"})
    assert here.to(type="wall") == "/cohorts?q=%7B%7D&focus=a%26b&type=wall"
    assert here.to("/compare", focus="") == "/compare?q=%7B%7D"
    assert here.asked("focus", "ignore") == {"focus": "a&b"}
