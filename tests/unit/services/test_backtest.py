"""Backtests: stored history judged again, with what was observed or without."""

from pathlib import Path

from correlate.demo import traffic
from correlate.model.queries import TimeRange
from correlate.services.judging import Manner
from tests.support.observed import SECOND, read
from tests.support.watching import watching
from tests.unit.services.test_watch import BUCKET, MANNER, START, Says, busy

DEMO = Manner(10 * SECOND, 0, 1 / 500)


def test_the_recorded_leak_would_have_fired(tmp_path: Path, shared_data: Path) -> None:
    """First a watch, then an alert; the same when nothing was ever observed, and nothing is written."""
    tables = read(traffic.read(shared_data / "recorded-clients" / "checkout.jsonl.gz"))
    end_ns = int(tables.spans["start_ns"].to_numpy().max())
    with watching(tmp_path, tables, end_ns + 60 * SECOND, DEMO) as it:
        ever = TimeRange(0, 1 << 62)
        fresh = it.backtest.run(ever)
        assert it.observations.rows.is_empty()
        it.watch.once()
        again = it.backtest.run(ever)
    assert again == fresh
    assert [alert.verdict.subject for alert in fresh.fired] == ["remember_session"]
    steps = [each.event.kind for each in fresh.happened if each.alert.verdict.detector == "memory-leak"]
    assert steps == ["watch", "firing"]
    assert (fresh.services, fresh.judgements) == (("checkout",), 13)


def test_only_the_window_is_judged_and_what_was_before_is_known(tmp_path: Path) -> None:
    """Buckets that overlap it, of the services that are asked for; progress is told."""
    told: list[tuple[int, int]] = []
    with watching(tmp_path, busy("shop", 60), START + 20 * BUCKET, MANNER, detectors=[Says()]) as it:
        window = TimeRange(START + 7 * BUCKET + 1, START + 9 * BUCKET)
        found = it.backtest.run(window, ["shop"], lambda done, total: told.append((done, total)))
        assert it.backtest.run(window, ["other"]).services == ()
    assert [alert.verdict.subject for alert in found.alerts] == ["8+1", "9+1"]
    assert told == [(1, 2), (2, 2)]


def test_an_empty_lake_has_no_history(tmp_path: Path) -> None:
    """Nothing is judged."""
    with watching(tmp_path, busy("shop", 1), START, MANNER, detectors=[Says()]) as it:
        found = it.backtest.run(TimeRange(START + 100 * BUCKET, START + 200 * BUCKET))
    assert (found.services, found.judgements, found.happened) == ((), 0, ())
