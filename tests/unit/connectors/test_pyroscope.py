"""The contract with Pyroscope and Phlare, against a fake with the habits of the real ones."""

import base64
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.endpoint import Endpoint
from connectors.pyroscope import PyroscopeOptions, PyroscopeSource
from connectors.pyroscope_steps import whole_steps
from connectors.pyroscope_wire import collapsed_of, has_samples, pprof_of, timed_pprof
from correlate.errors import BadQuery, SourceError, SourceMalformed, SourceRefused, SourceUnreachable
from correlate.formats import registry
from correlate.model.payload import PayloadKind, RawPayload
from correlate.model.queries import TimeRange
from tests.fakes.pyroscope import CPU, Age, FakePyroscope, Stored, _flamegraph, _tree, varint
from tests.support.pprof_bytes import Stack, collapsed_stacks, cpu_profile, stacks_of

NOW_MS = 1_790_000_010_000
STEP_MS = 15_000
FIRST_MS = NOW_MS // STEP_MS * STEP_MS - 8 * STEP_MS
WINDOW = TimeRange(FIRST_MS * 10**6, (FIRST_MS + 4 * STEP_MS) * 10**6)
ONE, OTHER, TRACE = "9a517183f26a089d", "0102030405060708", "5fc8f3e0a1b2c3d4e5f60718293a4b5c"
SAMPLES = (
    (("main", "checkout"), 30, ONE, TRACE),
    (("main", "checkout", "hash; twice"), 50, ONE, TRACE),
    (("main", "items"), 20, OTHER, ""),
    (("sweep",), 70, "", ""),
)


class Clock:
    def now_ns(self) -> int:
        return NOW_MS * 10**6


def server(age: Age = Age.HEAD, **further: object) -> FakePyroscope:
    profiles = [Stored("shop", FIRST_MS + step * STEP_MS + 1000, SAMPLES) for step in (0, 2, 3)]
    return FakePyroscope(profiles, age, **further)  # type: ignore[arg-type]


def source(fake: FakePyroscope, options: PyroscopeOptions | None = None, **endpoint: str) -> PyroscopeSource:
    where = Endpoint("http://pyroscope:4040", max_retries=0, **endpoint)  # type: ignore[arg-type]
    return PyroscopeSource("pyro", where, Clock(), options=options, transport=fake.transport)


def stacks(payload: RawPayload | None) -> dict[Stack, int]:
    assert payload is not None
    if payload.kind is PayloadKind.PPROF:
        return stacks_of(payload.body)
    return {tuple(name.replace("%3B", ";") for name in stack): n for stack, n in collapsed_stacks(payload.body).items()}


def of_span(span: str) -> dict[Stack, int]:
    return {stack: 3 * value for stack, value, labelled, _ in SAMPLES if labelled == span}


AGES_WITH_SPANS = [Age.HEAD, Age.V2_1, Age.V1_0]


@pytest.mark.parametrize("age", AGES_WITH_SPANS)
def test_a_span_profile_holds_the_samples_of_the_span(age: Age) -> None:
    """Whatever the server offers, exactly the span's samples come back; pprof where it can be had."""
    fake = server(age)
    payload = source(fake).span_profile([ONE.upper()], CPU, "shop", WINDOW)
    assert stacks(payload) == of_span(ONE)
    assert payload is not None
    assert (payload.kind is PayloadKind.PPROF) == (age is Age.HEAD)
    assert payload.params["type"] == CPU
    assert payload.params["span_ids"] == ONE
    assert registry.read(payload).profiles["type"].to_list() == [CPU]
    assert registry.read(payload).samples["value"].sum() == sum(of_span(ONE).values())


@pytest.mark.parametrize("age", [Age.DROPS_SELECTORS, Age.PHLARE])
def test_a_server_that_ignores_span_selectors_is_not_believed(age: Age) -> None:
    """It answers with all samples for a span that cannot exist; so nothing it says about spans is used."""
    asked = source(server(age))
    with pytest.raises(SourceRefused, match="answer with all of them"):
        asked.span_profile([ONE], CPU, "shop", WINDOW)
    with pytest.raises(SourceRefused):
        asked.trace_profile([TRACE], CPU, "shop", WINDOW)


def test_a_server_is_tried_out_once() -> None:
    """The second question goes straight to the way that was found to be honoured."""
    fake = server(Age.V2_1)
    asked = source(fake)
    assert stacks(asked.span_profile([OTHER], CPU, "shop", WINDOW)) == of_span(OTHER)
    assert len(fake.asked) > 1
    fake.asked.clear()
    assert stacks(asked.span_profile([OTHER, ONE], CPU, "shop", WINDOW)) == of_span(OTHER) | of_span(ONE)
    assert [rpc for rpc, _ in fake.asked] == ["SelectMergeSpanProfile"]


def test_without_samples_nothing_is_concluded() -> None:
    """An empty window tells nothing about the server; it is tried out when there are samples."""
    fake = server(Age.DROPS_SELECTORS)
    profiles, fake.profiles = fake.profiles, []
    asked = source(fake)
    assert asked.span_profile([ONE], CPU, "shop", WINDOW) is None
    fake.profiles = profiles
    with pytest.raises(SourceRefused):
        asked.span_profile([ONE], CPU, "shop", WINDOW)


def test_a_span_without_samples_has_no_profile() -> None:
    """None, not an empty profile."""
    assert source(server()).span_profile(["00000000000000ff"], CPU, "shop", WINDOW) is None


@pytest.mark.parametrize(
    "ids", [[], [""], ["xyz"], [ONE[:-1]], [ONE + "0"], ["0" * 16], ["${__span.tags}abcd"], [ONE, "g" * 16]]
)
def test_wrong_span_ids_never_reach_the_server(ids: list[str]) -> None:
    """It would take no ids for "all samples"."""
    fake = server()
    with pytest.raises(BadQuery):
        source(fake).span_profile(ids, CPU, "shop", WINDOW)
    assert fake.asked == []


def test_a_trace_profile_needs_a_server_that_selects_traces() -> None:
    """Newer servers do."""
    assert sum(stacks(source(server()).trace_profile([TRACE], CPU, "shop", WINDOW)).values()) == 240
    with pytest.raises(SourceRefused, match=r"2\.2 with v2 storage for traces"):
        source(server(Age.V2_1)).trace_profile([TRACE], CPU, "shop", WINDOW)


@pytest.mark.parametrize("age", list(Age))
def test_a_pull_brings_every_profile_once(age: Age) -> None:
    """Windows in a row, cut anywhere, bring the steps of one long window, each with its own time and no other's."""
    asked = source(server(age))
    whole = list(asked.fetch(WINDOW))
    assert [int(each.params["from"]) // 10**6 for each in whole] == [FIRST_MS + step * STEP_MS for step in (0, 2, 3)]
    cuts = [WINDOW.start_ns, WINDOW.start_ns + 7 * 10**9, WINDOW.start_ns + 38 * 10**9, WINDOW.end_ns]
    parts = [each for a, b in pairwise(cuts) for each in asked.fetch(TimeRange(a, b))]
    assert [contents(each) for each in parts] == [contents(each) for each in whole]
    assert all(stacks(each) == {stack: value for stack, value, _, _ in SAMPLES} for each in whole)
    row = registry.read(whole[1]).profiles.row(0, named=True)
    assert (row["service"], row["type"]) == ("shop", CPU)
    assert (row["time_ns"], row["duration_ns"]) == ((FIRST_MS + 2 * STEP_MS) * 10**6, STEP_MS * 10**6)
    assert row["period"] == 0


def contents(payload: RawPayload) -> dict[str, object]:
    """What is stored of a profile, its content hash included."""
    row = registry.read(payload).profiles.row(0, named=True)
    return {key: value for key, value in row.items() if key != "received_ns"}


def test_a_profile_at_the_edge_of_two_steps_is_in_one() -> None:
    """The server takes both ends in; steps do not share a millisecond."""
    fake = FakePyroscope([Stored("shop", FIRST_MS + STEP_MS, SAMPLES), Stored("shop", FIRST_MS + STEP_MS - 1, SAMPLES)])
    payloads = list(source(fake).fetch(WINDOW))
    assert [sum(stacks(each).values()) for each in payloads] == [170, 170]


def test_only_wanted_services_and_types_are_pulled() -> None:
    """By service name and by the beginning of the type id; a service's name may hold anything."""
    wall = "wall:wall:nanoseconds:wall:nanoseconds"
    odd = 'a "b"\\c{}'
    fake = FakePyroscope(
        [
            Stored("shop", FIRST_MS, SAMPLES),
            Stored("shop", FIRST_MS, SAMPLES, wall),
            Stored(odd, FIRST_MS, SAMPLES),
        ]
    )
    pulled = [each.params for each in source(fake, PyroscopeOptions(profile_types=("process_cpu:cpu",))).fetch(WINDOW)]
    assert [params["service"] for params in pulled] == [odd, "shop"]
    pulled = [each.params for each in source(fake, PyroscopeOptions(services=("shop",))).fetch(WINDOW)]
    assert [params["name"] for params in pulled] == ["process_cpu", "wall"]


def test_no_question_is_longer_than_the_servers_limits() -> None:
    """Long windows are asked for in pieces, what is older than the lookback not at all."""
    fake = server()
    month = TimeRange((NOW_MS - 30 * 86_400_000) * 10**6, NOW_MS * 10**6)
    pulled = list(source(fake, PyroscopeOptions(step_s=60)).fetch(month))
    assert sum(sum(stacks(each).values()) for each in pulled) == 3 * 170
    windows = [(question["start"], question["end"]) for _, question in fake.asked if "start" in question]
    assert max(end - start for start, end in windows) <= 86_400_000
    assert min(start for start, _ in windows) >= NOW_MS - 7 * 86_400_000
    with pytest.raises(SourceRefused, match="max-query-lookback"):
        list(source(fake).fetch(TimeRange(0, month.start_ns)))
    with pytest.raises(BadQuery, match="shorter time"):
        source(fake).span_profile([ONE], CPU, "shop", month)


def test_thrown_away_profiles_are_refused_or_marked() -> None:
    """Of a service under sampling rules the totals are wrong: nothing of it is pulled unless that is wanted."""
    fake = server()
    fake.profiles += [
        Stored("busy", FIRST_MS, SAMPLES, probability=0.25),
        Stored("stripped", FIRST_MS, SAMPLES),
        Stored("stripped", FIRST_MS + 1, ((("total",), 10**6, "", ""),), stripped=True),
    ]
    asked = source(fake)
    assert {each.params["service"] for each in asked.fetch(WINDOW)} == {"shop"}
    assert "25% of its profiles" in asked.refused["busy"]
    assert "__sampled__" in asked.refused["stripped"]
    assert any(not finding.ok and "stripped" in finding.text for finding in asked.check())
    accepting = source(fake, PyroscopeOptions(accept_sampled=True))
    pulled = {each.params["service"]: each for each in accepting.fetch(WINDOW)}
    assert pulled["busy"].params["kept_share"] == "0.25"
    assert sum(stacks(pulled["stripped"]).values()) == 170
    assert accepting.refused == {}


def test_exemplars_are_listed_where_the_server_has_them() -> None:
    """Spans with samples; none on servers before 2."""
    found = source(server()).span_exemplars(CPU, "shop", WINDOW)
    assert {(each.span_id, each.trace_id) for each in found} == {(ONE, TRACE), (OTHER, "")}
    assert source(server(Age.V1_0)).span_exemplars(CPU, "shop", WINDOW) == []


@pytest.mark.parametrize(
    ("age", "kind", "spans"),
    [
        (Age.HEAD, "v2 storage", "selects samples by spans (SelectMergeStacktraces as pprof)"),
        (Age.V2_1, "v2 storage", "selects samples by spans (SelectMergeSpanProfile)"),
        (Age.V1_0, "v1 storage", "selects samples by spans (SelectMergeSpanProfile)"),
        (Age.PHLARE, "is Phlare", "ignores selectors of spans"),
        (Age.DROPS_SELECTORS, "v2 storage", "ignores selectors of spans"),
    ],
)
def test_checking_tells_what_the_server_can_do(age: Age, kind: str, spans: str) -> None:
    """Kind of server, services of the last hour, and whether it selects by span."""
    findings = source(server(age)).check()
    assert kind in findings[0].text
    assert "1 services (shop), 1 series" in findings[1].text
    assert spans in findings[2].text
    assert findings[2].ok == spans.startswith("selects")


def test_checking_an_empty_server_names_what_to_look_at() -> None:
    """No profiles is not as it should be."""
    findings = source(FakePyroscope([])).check()
    assert (findings[-1].ok, "check tenant" in findings[-1].text) == (False, True)


def test_the_tenant_is_sent_and_a_missing_one_is_named() -> None:
    """Without it a server for several tenants refuses; the message says what to set."""
    assert len(list(source(server(tenant="blue"), tenant="blue").fetch(WINDOW))) == 3
    with pytest.raises(SourceRefused, match="set tenant"):
        list(source(server(tenant="blue")).fetch(WINDOW))
    findings = source(server(tenant="blue"), tenant="red").check()
    assert [finding.ok for finding in findings] == [False]


@pytest.mark.parametrize(
    ("answer", "expected", "said"),
    [
        (httpx.Response(500, json={"code": "unknown", "message": "boom"}), SourceUnreachable, "unknown: boom"),
        (
            httpx.Response(400, json={"code": "invalid_argument", "message": "max_query_length"}),
            SourceRefused,
            "query_length",
        ),
        (httpx.Response(404, text="404 page not found"), SourceRefused, "leads to Pyroscope"),
        (httpx.Response(501, json={"code": "unimplemented", "message": "no"}), SourceRefused, "leads to Pyroscope"),
        (httpx.Response(200, text="<!doctype html><html>"), SourceMalformed, "HTML page"),
        (httpx.Response(200, json={}), SourceMalformed, "not protobuf"),
        (httpx.Response(400, text="[1]"), SourceRefused, "400"),
    ],
)
def test_errors_come_in_our_words(answer: httpx.Response, expected: type[SourceError], said: str) -> None:
    """Connect errors by their code, everything else by what it is."""
    with pytest.raises(expected, match=said):
        list(source(server(fail={"SelectMergeProfile": answer})).fetch(WINDOW))


@pytest.mark.parametrize(
    "points",
    [
        {"series": [{"points": [{"value": 1}]}]},
        {"series": [{"points": [3]}]},
        {"series": 3},
        {"series": [{"points": [{"timestamp": "x"}]}]},
    ],
)
def test_points_that_cannot_be_read_are_malformed(points: object) -> None:
    """A strange answer is an error of the source, not of ours."""
    with pytest.raises(SourceMalformed):
        list(source(server(fail={"SelectSeries": httpx.Response(200, json=points)})).fetch(WINDOW))


STACKS = st.dictionaries(
    st.lists(st.sampled_from(["a", "b", "c", "ü", "d e"]), min_size=1, max_size=5).map(tuple),
    st.integers(1, 10**12),
    max_size=12,
)


@given(STACKS)
def test_trees_and_flame_graphs_become_the_stacks_they_were_made_of(merged: dict[Stack, int]) -> None:
    """Both forms are read without loss."""
    assert collapsed_stacks(collapsed_of(_tree(merged))) == merged
    assert collapsed_stacks(collapsed_of(_flamegraph(merged))) == merged


def test_a_flame_graph_of_the_documentation() -> None:
    """Stacks a;b;e=1, a;c=2, a;c;d=1 as the server's own test draws them, names in its order."""
    names = ["total", "a", "c", "d", "b", "e"]
    levels = [[0, 4, 0, 0], [0, 4, 0, 1], [0, 1, 0, 4, 0, 3, 2, 2], [0, 1, 1, 5, 2, 1, 1, 3]]
    graph = {"flamegraph": {"names": names, "levels": [{"values": [str(n) for n in level]} for level in levels]}}
    assert collapsed_stacks(collapsed_of(graph)) == {("a", "b", "e"): 1, ("a", "c"): 2, ("a", "c", "d"): 1}


@given(st.binary(max_size=200))
def test_broken_answers_are_malformed(data: bytes) -> None:
    """Any bytes in place of a tree or a message are read or refused, and nothing else happens."""
    for read in (
        lambda: collapsed_of({"tree": base64.b64encode(data).decode()}),
        lambda: pprof_of(data),
        lambda: has_samples(data),
    ):
        with suppress(SourceMalformed):
            read()


@pytest.mark.parametrize(
    "graph",
    [
        {"names": ["total"], "levels": [{"values": ["0", "1"]}]},
        {"names": ["total"], "levels": [{}]},
        {"names": ["total"], "levels": [{"values": ["0", "4", "0", "0"]}, {"values": ["9", "1", "1", "0"]}]},
        {"names": ["total"], "levels": [{"values": ["0", "4", "0", "0"]}, {"values": ["0", "1", "1", "7"]}]},
        {"names": 3},
    ],
)
def test_a_broken_flame_graph_is_malformed(graph: dict[str, object]) -> None:
    """Levels of the wrong length, nodes without a parent, names that are not there."""
    with pytest.raises(SourceMalformed, match="broken"):
        collapsed_of({"flamegraph": graph})


def test_a_tree_that_promises_too_much_is_refused() -> None:
    """A node that claims more children than there are bytes costs nothing."""
    tree = varint(0) + varint(0) + varint(1 << 60)
    with pytest.raises(SourceMalformed):
        collapsed_of({"tree": base64.b64encode(tree).decode()})


def test_appended_times_win() -> None:
    """What the server wrote about time and period is overruled."""
    body = timed_pprof(cpu_profile([(("a",), 5, {})], 10**18), 5 * 10**17, 10**9)
    table = registry.read(RawPayload(PayloadKind.PPROF, body, 10**18)).profiles
    assert table.select("time_ns", "duration_ns", "period").row(0) == (5 * 10**17, 10**9, 0)


@given(st.lists(st.integers(0, 400_000), min_size=2, max_size=6), st.sampled_from([1000, 15_000, 60_000]))
def test_windows_in_a_row_miss_no_step(cuts: Sequence[int], step_ms: int) -> None:
    """However time is cut, the steps of the pieces are those of the whole, each once."""
    edges = [cut * 10**6 for cut in sorted(cuts)]
    pieces = [whole_steps(TimeRange(a, b), step_ms) for a, b in pairwise(edges)]
    whole = whole_steps(TimeRange(edges[0], edges[-1]), step_ms)
    firsts = [piece.first_ms + k * step_ms for piece in pieces for k in range(piece.count)]
    assert firsts == [whole.first_ms + k * step_ms for k in range(whole.count)]
    chunks = list(whole.chunks(4 * step_ms + 1))
    assert sum(chunk.count for chunk in chunks) == whole.count
    assert all(chunk.end_ms - chunk.first_ms < 4 * step_ms + 1 for chunk in chunks)


def test_the_last_minute_is_not_settled() -> None:
    """Agents upload afterwards."""
    assert source(server()).settled_until_ns(10**12) == 10**12 - 60 * 10**9
