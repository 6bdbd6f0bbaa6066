"""The log of refusals."""

import logging

import pytest

from correlate.api.receivers.telemetry import RefusalLog
from correlate.errors import CorrelateError, Malformed, StoreError, TooLarge
from correlate.tables.tables import Reject
from tests.fakes.ingest import FakeClock


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG, "correlate.api.receivers")
    return caplog


def test_each_kind_has_a_line_per_spell(lines: pytest.LogCaptureFixture) -> None:
    """Repeats within a spell are counted and reported by the first line after it."""
    clock = FakeClock()
    log = RefusalLog(clock, every_s=10)
    for _ in range(5):
        log.refused("a", "agent", Malformed("no"))
        log.refused("b", "agent", Malformed("no"))
        log.refused("a", "agent", TooLarge("no"))
    assert len(lines.messages) == 3
    clock.now += 10_000_000_000
    log.refused("a", "agent", Malformed("no"))
    assert lines.messages[-1].endswith("suppressed=4")
    assert "door=a outcome=Malformed sender='agent' reason='no'" in lines.messages[-1]


def test_a_clock_that_is_set_back_does_not_silence_the_log(lines: pytest.LogCaptureFixture) -> None:
    """After a step of an hour backwards, the next refusal is written at once."""
    clock = FakeClock()
    log = RefusalLog(clock)
    log.refused("a", "", Malformed("no"))
    clock.now -= 3_600_000_000_000
    log.refused("a", "", Malformed("no"))
    assert len(lines.messages) == 2


def test_our_faults_are_errors_with_their_cause(lines: pytest.LogCaptureFixture) -> None:
    """What a sender got wrong is a warning; what we got wrong is an error with a traceback."""
    log = RefusalLog(FakeClock())
    ours = CorrelateError("an internal error")
    ours.__cause__ = ValueError("the detail")
    log.refused("a", "", ours)
    log.refused("a", "", StoreError("the disk is full"))
    log.refused("a", "", Malformed("no"))
    assert [record.levelname for record in lines.records] == ["ERROR", "ERROR", "WARNING"]
    assert "the detail" in lines.text


def test_lines_are_short_and_single(lines: pytest.LogCaptureFixture) -> None:
    """Neither a long reason nor line ends of a sender get into the log as they are."""
    log = RefusalLog(FakeClock())
    log.partly_refused("a", "x\n" * 999, [Reject("spans", 2, "y\n" * 999), Reject("spans", 1, "z")])
    (line,) = lines.messages
    assert len(line) < 1000
    assert "\n" not in line
    assert "2 spans: y" in line
