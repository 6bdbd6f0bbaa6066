"""Files of the collector's file exporter, pulled into a store."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from connectors.otlp_file import OtlpFileSource
from correlate.formats import registry
from correlate.model.payload import RawPayload
from correlate.model.queries import TimeRange
from correlate.services.ingest import AcceptedTimes, Ingest
from correlate.services.pull import Pull
from correlate.services.pull_run import Means
from correlate.services.pulling import Books, Outcome, Plan
from correlate.storage.state import open_state
from correlate.storage.state_letters import SqlDeadLetters
from correlate.storage.state_pulls import SqlLeases, SqlWatermarks
from correlate.storage.state_sources import SqlSourceStatuses
from tests.fakes.lake import FakeLake
from tests.support.exporter import append, span_json
from tests.support.rows import T0
from tests.support.store import FixedClock

S = 1_000_000_000


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Books]:
    """Empty books."""
    clock = FixedClock(T0 + S)
    with open_state(f"sqlite:///{tmp_path}/state.db", clock=clock) as state:
        yield Books(
            SqlWatermarks(state, clock),
            SqlLeases(state, clock),
            SqlSourceStatuses(state),
            SqlDeadLetters(state, clock),
        )


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("at", [0, 66])
def test_every_span_is_stored_exactly_once_through_a_restart(books: Books, tmp_path: Path, at: int) -> None:
    """Killed at some record, with a rotation and a broken line on the way, and two pullers in turn afterwards."""
    clock, lake, file = FixedClock(T0 + S), FakeLake(), tmp_path / "traces.json"
    ingest = Ingest(lake, clock, AcceptedTimes(), registry.read)
    numbers = count(1)

    def puller(holder: str) -> tuple[Pull, Plan, OtlpFileSource]:
        source = OtlpFileSource("files", [str(file.with_name("traces*.json"))], clock)
        plan = Plan(source, step_s=None, backfill_s=10.0)
        return Pull(Means(ingest, lake, books, clock, lambda _: None), holder=holder), plan, source

    def write(path: Path, records: int) -> None:
        append(path, *(span_json(next(numbers)) for _ in range(records)))

    def dying(window: TimeRange) -> Iterator[RawPayload]:
        for number, payload in enumerate(fetch(window)):
            if number == at:
                raise Killed
            yield payload

    pull, plan, source = puller("a")
    write(file, 10)
    assert pull.once(plan).spans == 10
    write(file, 60)
    append(file, b'{"resourceSpans": [{"resou\n', span_json(next(numbers)))
    file.rename(file.with_name("traces-1.json"))
    write(file, 20)
    clock.at_ns += 5 * S
    fetch, source.fetch = source.fetch, dying  # type: ignore[method-assign]
    with pytest.raises(Killed):
        pull.once(plan)
    clock.at_ns += 60 * S
    pairs = [puller("b"), puller("c")]
    for turn in range(4):
        again, its_plan, _ = pairs[turn % 2]
        write(file, 3)
        clock.at_ns += 5 * S
        assert again.once(its_plan).outcome == Outcome.DONE
    last = next(numbers) - 1
    assert sorted(lake.tables.spans["span"].to_list()) == list(range(1, last + 1))
    assert len(books.letters.list()) == 1
