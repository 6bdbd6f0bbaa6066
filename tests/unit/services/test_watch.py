"""Watching: what is due is observed and judged once, whatever breaks."""

import logging
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest

from correlate.demo import traffic
from correlate.detectors.port import Case
from correlate.errors import StoreError
from correlate.model.alert_policy import Policies, Policy, PolicyRule
from correlate.model.verdicts import Tier, Verdict
from correlate.services.judging import Manner
from correlate.services.watch import SOURCE, services_known
from correlate.services.wishes import Wishes
from correlate.tables.hashing import hash_one
from correlate.tables.tables import Tables, concat
from tests.fakes.lake import FakeLake
from tests.support.observed import SECOND, read
from tests.support.rows import T0, profile, spans, with_series
from tests.support.watching import watching

BUCKET = 300 * SECOND
START = T0 // (6 * BUCKET) * 6 * BUCKET
MANNER = Manner(settle_ns=60 * SECOND)


class Says:
    """A detector that says how many short and long buckets it sees."""

    name = "counter"
    by_steps = False

    def judge(self, case: Case) -> Sequence[Verdict]:
        shorts, longs = (each["time_ns"].n_unique() for each in (case.rows, case.history))
        return [Verdict(self.name, case.service, f"{shorts}+{longs}", Tier.WATCH, "")]


class Steps(Says):
    """The same at the end of long buckets only."""

    name = "stepper"
    by_steps = True


class Fails(Says):
    """A defect."""

    name = "defect"

    def judge(self, case: Case) -> Sequence[Verdict]:
        raise ZeroDivisionError(case.service)


def busy(service: str, minutes: int, *, begin: int = START) -> Tables:
    """A profile and a request a minute."""
    parts = []
    for minute in range(minutes):
        at_ns = begin + minute * 60 * SECOND
        rows = spans({"span": minute + 1, "service": service, "start_ns": at_ns, "payload": minute})
        labels = {"n": str(minute)}
        samples = [{"stack": "main;work", "value": 10**9, "span": minute + 1}]
        parts += [profile(samples, service=service, time_ns=at_ns, labels=labels), with_series(rows)]
    return concat(parts)


def test_buckets_are_observed_once_they_have_settled(tmp_path: Path) -> None:
    """Not before; and not again."""
    with watching(tmp_path, busy("shop", 12), START + BUCKET + 59 * SECOND, MANNER, detectors=[Says()]) as it:
        assert it.watch.once().services == 0
        it.clock.at_ns += SECOND
        assert it.watch.once().services == 1
        assert it.watch.once().services == 0
        assert it.marks.until_ns(SOURCE, "shop") == START + BUCKET
        assert it.said() == [("shop", "counter", "watch", "1+0")]
        assert it.rulings[0][1][0].at.judged_until_ns == START + BUCKET
        (total,) = it.observations.rows.filter(
            (pl.col("kind") == 1) & (pl.col("instance") == 0) & (pl.col("type") != "")
        )["value"]
        assert total == 5 * 10**9


def test_who_is_behind_is_judged_at_the_end_of_every_long_bucket(tmp_path: Path) -> None:
    """Detectors that look at nothing else are asked only there."""
    with watching(
        tmp_path, busy("shop", 70), START + 14 * BUCKET + 60 * SECOND, MANNER, detectors=[Says(), Steps()]
    ) as it:
        it.watch.once()
        assert [(detector, subject) for _, detector, _, subject in it.said()] == [
            ("counter", "6+1"),
            ("stepper", "6+1"),
            ("counter", "12+2"),
            ("stepper", "12+2"),
            ("counter", "14+2"),
        ]


def test_a_crash_before_the_mark_moves_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is observed again replaces what was there, and the judgement comes again with the same time."""
    with watching(tmp_path, busy("shop", 5), START + BUCKET + 60 * SECOND, MANNER, detectors=[Says()]) as it:
        with monkeypatch.context() as broken:
            broken.setattr(it.marks, "advance", _broken)
            with pytest.raises(StoreError):
                it.watch.once()
        rows = len(it.observations.rows)
        assert it.watch.once().services == 1
        assert len(it.observations.rows) == rows
        assert it.said() == [("shop", "counter", "watch", "1+0")] * 2
        assert it.rulings[0][1][0].at == it.rulings[1][1][0].at


def _broken(*_: object) -> bool:
    raise StoreError("the database is gone")


def test_shards_share_the_services_out_and_one_at_a_time_does_each(tmp_path: Path) -> None:
    """By the hash of the name."""
    names = [f"service-{number}" for number in range(7)]
    tables = concat(busy(name, 5) for name in names)
    with watching(tmp_path, tables, START + BUCKET + 60 * SECOND, MANNER, detectors=[Says()]) as it:
        lease = it.leases.acquire("watch 0/3", "other", 60)
        assert lease is not None
        assert it.watch.once(0, 3).held
        assert it.rulings == []
        it.leases.release(lease)
        for shard in range(3):
            it.rulings.clear()
            it.watch.once(shard, 3)
            assert sorted(name for name, _ in it.rulings) == sorted(
                each for each in names if hash_one(each) % 3 == shard
            )


def test_a_service_that_went_silent_is_judged_to_its_end_and_then_left_alone(tmp_path: Path) -> None:
    """Its alerts end for want of data; when it is back it is watched again."""
    with watching(tmp_path, busy("shop", 5), START + 20 * BUCKET, MANNER, detectors=[Says()]) as it:
        it.watch.once()
        judged = len(it.rulings)
        it.clock.at_ns += 10 * BUCKET
        it.watch.once()
        assert len(it.rulings) == judged
        it.lake.submit(busy("shop", 5, begin=START + 28 * BUCKET))
        it.watch.once()
        assert it.rulings[-1][1][0].at.judged_until_ns == START + 28 * BUCKET + 1 * BUCKET


def test_a_detector_that_fails_says_nothing_and_the_others_go_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """No ruling, so no alert of it goes away; the defect is logged in full once."""
    with watching(
        tmp_path, busy("shop", 12), START + 2 * BUCKET + 60 * SECOND, MANNER, detectors=[Fails(), Says()]
    ) as it:
        it.watch.once()
        assert [ruling.at.detector for _, rulings in it.rulings for ruling in rulings] == ["counter"]
    assert "detector defect failed on service shop: ZeroDivisionError('shop')" in caplog.text


def test_a_service_that_cannot_be_observed_does_not_hold_up_the_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its bucket is left out and told in the log."""
    tables = concat([busy("bad", 5), busy("good", 5)])
    with watching(tmp_path, tables, START + BUCKET + 60 * SECOND, MANNER, detectors=[Says()]) as it:
        series = it.lake.series

        def breaking(ids: Sequence[int]) -> pl.DataFrame:
            found = series(ids)
            if "bad" in found["service"]:
                raise OverflowError("absurd")
            return found

        monkeypatch.setattr(it.lake, "series", breaking)
        with caplog.at_level(logging.ERROR):
            it.watch.once()
        assert [service for service, _ in it.rulings] == ["good"]
        assert it.marks.until_ns(SOURCE, "bad") == START + BUCKET
    assert "service bad cannot be observed" in caplog.text


def test_owners_turn_detectors_off_and_make_them_listen_less(tmp_path: Path) -> None:
    """Turned off means a ruling without verdicts, so that its alerts go away."""
    rules = (PolicyRule("shop", "counter", {"enabled": False}),)
    with watching(
        tmp_path, busy("shop", 5), START + BUCKET + 60 * SECOND, MANNER, Policies(rules=rules), [Says()]
    ) as it:
        it.watch.once()
        assert [len(ruling.verdicts) for _, rulings in it.rulings for ruling in rulings] == [0]
    wishes = Wishes(Policies(Policy(sensitivity="high")), lambda _: {"hotspot": 2})
    assert (wishes("a")("hotspot").sensitivity, wishes("a")("threshold").sensitivity) == ("low", "high")


def test_deploys_are_told_with_the_judgement(tmp_path: Path) -> None:
    """When another version was first seen."""
    parts = [
        profile([{"value": 1}], time_ns=START + bucket * BUCKET, labels={"service_version": version})
        for bucket, version in enumerate(["1", "1", "2"])
    ]
    with watching(tmp_path, concat(parts), START + 3 * BUCKET + 60 * SECOND, MANNER, detectors=[Says()]) as it:
        it.watch.once()
        assert it.rulings[-1][1][0].at.deployed_ns == START + 2 * BUCKET


def test_services_are_known_from_spans_and_profiles() -> None:
    """First and last of both."""
    lake = FakeLake(concat([busy("both", 3), profile([{"value": 1}], service="profiled")]))
    known = services_known(lake)
    assert known["service"].to_list() == ["both", "profiled"]
    assert known.row(0)[:3] == ("both", START, START + 130 * SECOND)


@pytest.mark.parametrize(("manner", "tier"), [(Manner(), "watch"), (Manner(10 * SECOND, 0, 1 / 500), "page")])
def test_the_recorded_leak_is_told_with_its_operation(
    tmp_path: Path, shared_data: Path, manner: Manner, tier: str
) -> None:
    """No memory profile names a span; CPU samples of the site's caller do."""
    tables = read(traffic.read(shared_data / "recorded-clients" / "checkout.jsonl.gz"))
    end_ns = int(tables.spans["start_ns"].to_numpy().max())
    with watching(tmp_path, tables, end_ns + manner.bucket_ns + manner.settle_ns, manner) as it:
        it.watch.once()
        loud = [said for said in it.said() if said[2] == tier]
        assert set(loud) == {("checkout", "memory-leak", tier, "remember_session")}
        assert {said[2] for said in it.said() if said[1] != "memory-leak"} <= {"watch"}
        verdict = next(
            verdict for ruling in it.rulings[-1][1] for verdict in ruling.verdicts if verdict.detector == "memory-leak"
        )
        assert verdict.sites[0].operations == ("POST /checkout",)
        assert verdict.sites[0].stack[-1] == "remember_session"
        assert "its caller a_checkout" in verdict.guards[-1].reason
