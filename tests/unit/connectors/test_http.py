"""Requests: what is sent, when it is sent again, and what each answer means."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from connectors.http import Call, Endpoint, HttpSource
from correlate.errors import (
    ConfigError,
    SourceError,
    SourceMalformed,
    SourceRefused,
    SourceTooSlow,
    SourceUnreachable,
)
from tests.fakes.timing import FakeTime

Handler = Callable[[httpx.Request], httpx.Response]
SECRETS = {"bearer_token": "s3cret-token", "basic_password": "s3cret-pass", "headers": {"X-Key": "s3cret-key"}}


def source(handle: Handler, time: FakeTime | None = None, **options: Any) -> HttpSource:
    """A source that a function answers."""
    endpoint = Endpoint(options.pop("url", "http://tempo:3200"), **options)
    return HttpSource("tempo", endpoint, transport=httpx.MockTransport(handle), timing=(time or FakeTime()).timing())


class Answers:
    """Answers one after the other, the last one for ever; remembers the requests."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def ok() -> httpx.Response:
    return httpx.Response(200, json={"fine": True})


def test_tenant_credentials_and_prefix_are_sent() -> None:
    """The endpoint's address, tenant and token are part of each request, the caller's parameters too."""
    answers = Answers(ok())
    tempo = source(answers, url="https://host/tempo/", tenant="a|b", bearer_token="t0ken", headers={"X-Extra": "1"})
    assert tempo.get("/api/search", {"q": '{ name = "a&b" }', "limit": 5}).json() == {"fine": True}
    request = answers.requests[0]
    assert str(request.url.copy_with(query=None)) == "https://host/tempo/api/search"
    assert dict(request.url.params) == {"q": '{ name = "a&b" }', "limit": "5"}
    wanted = {"x-scope-orgid": "a|b", "authorization": "Bearer t0ken", "x-extra": "1", "accept-encoding": "gzip"}
    assert wanted.items() <= dict(request.headers).items()


@pytest.mark.parametrize("endpoint", [{"basic_user": "u", "basic_password": "p"}, {"url": "http://u:p@tempo:3200"}])
def test_basic_authentication_from_fields_or_url(endpoint: dict[str, str]) -> None:
    """User and password are taken from either place, and the URL that is asked has neither."""
    answers = Answers(ok())
    source(answers, **endpoint).get("/x")
    assert answers.requests[0].headers["authorization"] == "Basic dTpw"
    assert str(answers.requests[0].url) == "http://tempo:3200/x"


def test_own_headers_win() -> None:
    """A header given by hand replaces the one that would be made."""
    answers = Answers(ok())
    source(answers, bearer_token="x", headers={"Authorization": "Custom y"}).get("/x")
    assert answers.requests[0].headers["authorization"] == "Custom y"


def test_no_secret_is_ever_written() -> None:
    """Neither the endpoint's text nor an error holds token, password or header values."""
    endpoint = Endpoint("http://user:s3cret-url@tempo:3200/?key=s3cret-query", **SECRETS)  # type: ignore[arg-type]
    assert repr(endpoint) == str(endpoint) == "Endpoint('http://tempo:3200')"
    refusing = HttpSource("tempo", endpoint, transport=httpx.MockTransport(lambda _: httpx.Response(401)))
    with pytest.raises(SourceRefused) as caught:
        refusing.get("/x", {"q": "s3cret-param"})
    assert "s3cret" not in str(caught.value)
    with pytest.raises(ConfigError) as bad:
        HttpSource("tempo", Endpoint("http://tempo", bearer_token="s3cret\n"))
    assert "s3cret" not in str(bad.value)
    assert "Authorization" in str(bad.value)


@pytest.mark.parametrize("url", ["", "tempo:3200", "ftp://tempo", "http://", "grpc://tempo:9095", "http://[::1"])
def test_an_unusable_url_is_a_configuration_error(url: str) -> None:
    """It is said before anything is sent, with an example."""
    with pytest.raises(ConfigError, match="url"):
        HttpSource("tempo", Endpoint(url))


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_overload_is_waited_out_with_full_jitter(status: int) -> None:
    """Pauses are drawn below a bound that doubles up to the cap."""
    time = FakeTime()
    answers = Answers(*[httpx.Response(status)] * 4, ok())
    assert source(answers, time).get("/x").status == 200
    assert time.slept_s == [0.5, 1.0, 2.0, 2.0]


@pytest.mark.parametrize(
    "exc",
    [httpx.ConnectError("x"), httpx.ReadError("x"), httpx.ConnectTimeout("x"), httpx.RemoteProtocolError("closed")],
)
def test_a_broken_connection_is_tried_again(exc: httpx.HTTPError) -> None:
    """What may be chance is repeated, up to the number of retries."""
    assert source(Answers(exc, ok())).get("/x").status == 200
    answers = Answers(exc)
    with pytest.raises(SourceError) as caught:
        source(answers, max_retries=2).get("/x")
    assert len(answers.requests) == 3
    assert caught.value.__cause__ is exc


def test_who_is_too_slow_is_asked_once_more_only() -> None:
    """Asking a struggling server the same again and again makes it slower still."""
    answers = Answers(httpx.ReadTimeout("x"))
    with pytest.raises(SourceTooSlow):
        source(answers, max_retries=10).get("/x")
    assert len(answers.requests) == 2


@pytest.mark.parametrize(
    ("exc", "requests"), [(httpx.ReadError("x"), 1), (httpx.ConnectError("x"), 5), (httpx.PoolTimeout("x"), 5)]
)
def test_what_may_have_been_done_is_not_done_twice(exc: httpx.HTTPError, requests: int) -> None:
    """A POST is repeated when it cannot have arrived, or when the caller says that it does no harm."""
    answers = Answers(exc)
    with pytest.raises(SourceError):
        source(answers).send(Call("POST", "/x", content=b"{}"))
    assert len(answers.requests) == requests
    answers = Answers(exc, httpx.Response(503), ok())
    assert source(answers).send(Call("POST", "/x", content=b"{}", idempotent=True)).status == 200


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422, 500])
def test_a_clear_no_is_not_repeated(status: int) -> None:
    """Asking again would change nothing."""
    answers = Answers(httpx.Response(status, text="no"))
    with pytest.raises(SourceError):
        source(answers).get("/x")
    assert len(answers.requests) == 1


@pytest.mark.parametrize(
    ("headers", "pause_s"),
    [
        ({"retry-after": "7"}, 7.5),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:09 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 9.5),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT", "date": "Wed, 21 Oct 2026 07:28:30 GMT"}, 0.5),
        ({"retry-after": "soon"}, 0.5),
    ],
)
def test_the_pause_that_is_asked_for_is_kept(headers: dict[str, str], pause_s: float) -> None:
    """Seconds or a date by the server's own clock; what cannot be read counts as not said."""
    time = FakeTime()
    source(Answers(httpx.Response(429, headers=headers), ok()), time).get("/x")
    assert time.slept_s == [pause_s]


def test_a_pause_beyond_the_deadline_is_not_begun() -> None:
    """The caller learns at once, with what the server asked for."""
    time = FakeTime()
    with pytest.raises(SourceTooSlow) as caught:
        source(Answers(httpx.Response(429, headers={"retry-after": "120"})), time).get("/x")
    assert (caught.value.retry_after_s, time.slept_s) == (120.0, [])


def test_retries_end_with_the_deadline() -> None:
    """However many retries are allowed, their pauses end in time."""
    time = FakeTime(luck=0.99)
    with pytest.raises(SourceTooSlow):
        source(Answers(httpx.Response(503)), time, max_retries=10_000, deadline_s=20.0).get("/x")
    assert sum(time.slept_s) <= 20.0


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (httpx.Response(401, text="no org id"), SourceRefused, "set tenant"),
        (httpx.Response(401), SourceRefused, "check tenant and credentials"),
        (httpx.Response(403, text="denied"), SourceRefused, "bearer_token"),
        (httpx.Response(404, text="404 page not found"), SourceRefused, "answered 404 to /x: 404 page not found"),
        (httpx.Response(407), SourceRefused, "a proxy in between"),
        (httpx.Response(400, text="Client sent an HTTP request to an HTTPS server."), SourceRefused, "use https://"),
        (httpx.Response(400, text="invalid TraceQL\n query"), SourceRefused, "invalid TraceQL query"),
        (httpx.Response(500, text="panic"), SourceUnreachable, "see its log"),
        (httpx.Response(502, html="<html>Bad Gateway</html>"), SourceUnreachable, "an HTML page"),
        (httpx.Response(503), SourceTooSlow, "overloaded"),
        (httpx.Response(200, html="<html>Sign in</html>"), SourceMalformed, "a login page"),
        (httpx.Response(301, headers={"location": "https://other/x"}), SourceRefused, "https://other/x"),
        (httpx.Response(302, headers={"location": "/oauth2/start"}), SourceRefused, "likely a login page"),
        (httpx.Response(302, headers={"location": "http://[bad"}), SourceRefused, "tempo"),
        (httpx.Response(304), SourceRefused, "304"),
    ],
)
def test_each_answer_has_its_meaning(answer: httpx.Response, error: type[SourceError], words: str) -> None:
    """Class and sentence by status and content."""
    with pytest.raises(error) as caught:
        source(Answers(answer), max_retries=0).get("/x")
    assert words in str(caught.value)


def test_an_allowed_status_is_an_answer() -> None:
    """What the caller expects is given to it."""
    answers = Answers(httpx.Response(404, text="gone" * 5000))
    reply = source(answers).send(Call("GET", "/x", allow=frozenset({404})))
    assert (reply.status, reply.body) == (404, b"gone" * 5000)


def test_a_redirect_on_the_same_host_is_followed() -> None:
    """From http to https and to another path; the query comes with the new address."""

    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.scheme == "http":
            return httpx.Response(308, headers={"location": "https://tempo/y?z=1"})
        return httpx.Response(200, json={"at": str(request.url)})

    assert source(handle, url="http://tempo").get("/x", {"a": "1"}).json() == {"at": "https://tempo/y?z=1"}


@pytest.mark.parametrize(("path", "is_login"), [("/login", True), ("/oauth2/x", True), ("/processors", False)])
def test_a_login_on_the_same_host_is_recognised_by_its_path(path: str, is_login: bool) -> None:
    """Whole words of the path, not letters that happen to be in it."""
    answers = Answers(httpx.Response(302, headers={"location": path}), ok())
    if is_login:
        with pytest.raises(SourceRefused, match="login page"):
            source(answers).get("/x")
    else:
        assert source(answers).get("/x").status == 200


def test_a_redirect_never_leads_to_plain_http() -> None:
    """Credentials would go over the wire for all to read."""
    answers = Answers(httpx.Response(302, headers={"location": "http://tempo/x"}))
    with pytest.raises(SourceRefused):
        source(answers, url="https://tempo").get("/x")
    assert len(answers.requests) == 1


def test_a_post_is_not_redirected() -> None:
    """It might be done in two places."""
    with pytest.raises(SourceRefused, match="set the url to where it really is"):
        source(Answers(httpx.Response(307, headers={"location": "/y"}))).send(Call("POST", "/x"))


def test_json_must_be_an_object_where_one_is_expected() -> None:
    """An array is not an answer."""
    reply = source(Answers(httpx.Response(200, json=[1]))).get("/x")
    assert reply.json() == json.loads("[1]")
    with pytest.raises(SourceMalformed, match="not an object"):
        reply.json_object()


def test_a_body_may_be_as_large_as_the_limit_and_no_larger() -> None:
    """To the byte."""
    whole = httpx.Response(200, content=b"x" * 100)
    assert len(source(Answers(whole), max_response_bytes=100).get("/x").body) == 100
    with pytest.raises(SourceRefused, match="more than 99 bytes"):
        source(Answers(httpx.Response(200, content=b"x" * 100)), max_response_bytes=99).get("/x")
