"""Profile files of one span: all samples name it, whatever they said themselves."""

import pytest

from correlate.errors import Malformed
from correlate.formats import registry
from correlate.model.ids import parse_span_id, parse_trace_id
from correlate.model.payload import Encoding, PayloadKind, RawPayload
from correlate.tables.schema import EVIDENCE_LABEL, EVIDENCE_NONE, SAMPLES
from correlate.tables.tables import Tables
from tests.support.pprof_bytes import cpu_profile

SPAN, TRACE = "9a517183f26a089d", "5fc8f3e0a1b2c3d4e5f60718293a4b5c"
NOW = 1_790_000_000_000_000_000
PPROF = cpu_profile([(("main", "work"), 30, {}), (("main", "gc"), 20, {"span_id": "0102030405060708"})], NOW)
COLLAPSED = b"main;work 30\nmain;gc 20\n"


def read(kind: PayloadKind, **params: str) -> Tables:
    """Tables of the same samples in one of the two formats."""
    body = PPROF if kind is PayloadKind.PPROF else COLLAPSED
    encoding = Encoding.PROTOBUF if kind is PayloadKind.PPROF else Encoding.RAW
    return registry.read(RawPayload(kind, body, NOW, encoding, params={"service": "shop", "from": str(NOW)} | params))


@pytest.mark.parametrize("kind", [PayloadKind.PPROF, PayloadKind.COLLAPSED])
def test_all_samples_name_the_span_that_the_file_is_of(kind: PayloadKind) -> None:
    """With the evidence of a label."""
    tables = read(kind, span_id=SPAN, trace_id=TRACE)
    trace = parse_trace_id(TRACE)
    ids = tables.samples.select("span", "trace_hi", "trace_lo", "evidence").unique().rows()
    assert ids == [(parse_span_id(SPAN), trace.hi, trace.lo, EVIDENCE_LABEL)]
    assert dict(tables.samples.schema) == dict(SAMPLES)
    assert tables.profiles["labelled"].to_list() == tables.profiles["total"].to_list()


@pytest.mark.parametrize("kind", [PayloadKind.PPROF, PayloadKind.COLLAPSED])
def test_the_same_samples_of_two_spans_are_two_profiles(kind: PayloadKind) -> None:
    """And of the same span one, however often they come."""
    one, again, other = (read(kind, span_id=span).profiles["profile"] for span in (SPAN, SPAN, SPAN[::-1]))
    assert one.to_list() == again.to_list()
    assert one.to_list() != other.to_list()


def test_without_ids_samples_keep_their_own() -> None:
    """The options are for files that cannot say it themselves."""
    assert sorted(read(PayloadKind.PPROF).samples["evidence"].to_list()) == [EVIDENCE_NONE, EVIDENCE_LABEL]


@pytest.mark.parametrize("params", [{"span_id": "xyz"}, {"trace_id": "0" * 32}])
def test_ids_that_are_none_are_refused(params: dict[str, str]) -> None:
    """With the option that is wrong."""
    with pytest.raises(Malformed, match=next(iter(params))):
        read(PayloadKind.COLLAPSED, **params)
