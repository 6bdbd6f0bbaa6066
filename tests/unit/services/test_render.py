"""Every outward form of a profile says the same."""

import gzip

import orjson
import pytest

from correlate.formats.proto.pprof_pb2 import Profile as Pprof
from correlate.model.answers import Scope
from correlate.model.ids import TraceId
from correlate.services.explain import Explain
from correlate.services.links import LinkMaker
from correlate.services.render import Format, Rendered, render
from tests.fakes.lake import FakeLake
from tests.support.rows import SECOND, TRACE, profile, spans, with_series

MS = 1_000_000
HOSTILE = "</script><img src=x onerror=alert(1)>"
LINKS = LinkMaker("http://127.0.0.1:8080")


def rendered(wanted: Format, **kwargs: object) -> Rendered:
    """A span with two stacks, one of them hostile, in some form."""
    samples = profile(
        [
            {"stack": f"main;{HOSTILE}", "value": 30 * MS, "span": 1, "trace": TRACE},
            {"stack": "main;work", "value": 20 * MS, "span": 1, "trace": TRACE},
        ]
    )
    lake = FakeLake(with_series(spans({"span": 1, "name": HOSTILE})), samples)
    found = Explain(lake, skew_ns=SECOND).span_profile(TraceId(*TRACE), 1, scope_wanted=Scope.SPAN)
    return render(found, wanted, links=LINKS, max_nodes=100, **kwargs)  # type: ignore[arg-type]


def test_json_carries_the_evidence_and_the_flame_graph() -> None:
    """Samples, coverage, method, confidence, links, and parents before children."""
    answer = orjson.loads(rendered(Format.JSON).body)
    assert answer["total"] == 50 * MS
    assert answer["coverage"]["samples"] == 5
    assert (answer["method"], answer["confidence"]["level"]) == ("label", "exact")
    assert answer["flamegraph"]["name"] == ["total", "main", HOSTILE, "work"]
    assert answer["flamegraph"]["parent"] == [-1, 0, 1, 1]
    assert answer["flamegraph"]["total"] == [50 * MS, 50 * MS, 30 * MS, 20 * MS]
    assert set(answer["links"]) == {"page", "pprof", "grafana_trace", "grafana_profile"}


def test_pprof_can_be_read_by_its_own_message() -> None:
    """gzip, with the span's label, and the same total."""
    answer = rendered(Format.PPROF)
    read = Pprof.FromString(gzip.decompress(answer.body))
    cpu = [read.string_table[t.type] for t in read.sample_type].index(b"cpu")
    assert sum(sample.value[cpu] for sample in read.sample) == 50 * MS
    assert b"span_id" in read.string_table
    assert answer.file_name == f"{1:016x}.pb.gz"


@pytest.mark.parametrize("wanted", list(Format))
def test_every_form_is_whole_and_hostile_names_do_no_harm(wanted: Format) -> None:
    """Markup from names never reaches a page or a picture unescaped."""
    answer = rendered(wanted)
    assert answer.body
    if wanted in (Format.HTML, Format.SVG):
        assert HOSTILE.encode() not in answer.body
        assert b"work" in answer.body


def test_collapsed_stacks_add_up() -> None:
    """One line a stack, the value last."""
    lines = rendered(Format.COLLAPSED).body.decode().splitlines()
    assert sum(int(line.rpartition(" ")[2]) for line in lines) == 50 * MS


def test_a_saved_page_is_whole() -> None:
    """It holds the plotting library, so it works offline."""
    assert len(rendered(Format.HTML).body) > 1_000_000
