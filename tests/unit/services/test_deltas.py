"""Counters between two scrapes: nothing twice, nothing lost, whatever fails in between."""

import gzip

import pytest

from correlate.errors import BadInput
from correlate.formats.registry import read
from correlate.model.payload import PayloadKind, RawPayload
from correlate.services.deltas import Deltas
from tests.support.pprof import ProfileMaker


def scrape(second: int, count: int, target: str = "a") -> RawPayload:
    """A profile of a counter that stands at some count."""
    maker = ProfileMaker(types=(("contentions", "count"),))
    maker.profile.time_nanos = second * 10**9
    maker.sample([maker.location(maker.function("lock"))], [count])
    body = gzip.compress(maker.bytes())
    params = {"service": "s", "cumulative": "contentions", "target": target}
    return RawPayload(PayloadKind.PPROF, body, second * 10**9, params=params)


def total(payload: RawPayload | None) -> int:
    """What it says of the counter."""
    return 0 if payload is None else int(read(payload).profiles["total"].sum())


@pytest.fixture
def deltas() -> Deltas:
    """Nothing known yet."""
    return Deltas()


def test_other_payloads_pass(deltas: Deltas) -> None:
    """As they are."""
    payload = RawPayload(PayloadKind.COLLAPSED, b"a 1", 1)
    assert deltas.apply(payload) is payload


def test_the_first_profile_counts_nothing_and_the_next_the_difference(deltas: Deltas) -> None:
    """Each target for itself."""
    counted = []
    for second, (a, b) in enumerate([(100, 5), (130, 5), (190, 9)], 1_700_000_000):
        counted.append((total(deltas.apply(scrape(second, a))), total(deltas.apply(scrape(second, b, "b")))))
        deltas.keep()
    assert counted == [(0, 0), (30, 0), (60, 4)]


def test_what_was_not_stored_is_counted_again(deltas: Deltas) -> None:
    """After a failed commit the next difference is to what was stored last."""
    deltas.apply(scrape(1_700_000_000, 100))
    deltas.keep()
    assert total(deltas.apply(scrape(1_700_000_015, 130))) == 30
    deltas.forget()
    assert total(deltas.apply(scrape(1_700_000_030, 150))) == 50


def test_a_broken_profile_changes_nothing(deltas: Deltas) -> None:
    """The one before stays in force."""
    deltas.apply(scrape(1_700_000_000, 100))
    deltas.keep()
    broken = scrape(1_700_000_015, 1)
    with pytest.raises(BadInput):
        deltas.apply(RawPayload(broken.kind, b"\xff\xff", 1, params=broken.params))
    deltas.keep()
    assert total(deltas.apply(scrape(1_700_000_030, 150))) == 50


def test_memory_is_bounded() -> None:
    """Who was not heard of for longest begins anew."""
    deltas = Deltas(limit_bytes=1000)
    for number in range(50):
        deltas.apply(scrape(1_700_000_000, 100, str(number)))
        deltas.keep()
    assert deltas.apply(scrape(1_700_000_015, 130, "0")) is None
    assert total(deltas.apply(scrape(1_700_000_015, 130, "49"))) == 30
