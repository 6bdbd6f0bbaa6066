"""Watermarks, leases, source status and dead letters, on SQLite and PostgreSQL."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from correlate.errors import NotFound
from correlate.model.payload import Encoding, PayloadKind, RawPayload
from correlate.ports import Part, SourceStatus
from correlate.storage.state import State, metadata, open_state
from correlate.storage.state_letters import LetterLimits, SqlDeadLetters
from correlate.storage.state_pulls import SqlLeases, SqlWatermarks
from correlate.storage.state_sources import SqlSourceStatuses
from tests.support.postgres import postgres
from tests.support.store import FixedClock

S = 1_000_000_000


@pytest.fixture(scope="module")
def postgres_url() -> Iterator[str]:
    """One server for the module."""
    with postgres() as url:
        yield url


@pytest.fixture
def clock() -> FixedClock:
    """Any time."""
    return FixedClock(100 * S)


@pytest.fixture(params=["sqlite", "postgresql"])
def state(request: pytest.FixtureRequest, tmp_path: Path, clock: FixedClock) -> Iterator[State]:
    """An empty state database."""
    url = f"sqlite:///{tmp_path}/state.db" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    with open_state(url, clock=clock) as state:
        with state.transaction() as connection:
            for table in metadata.sorted_tables:
                connection.execute(sa.delete(table))
        yield state


def raw(body: bytes = b"bad", **more: str) -> RawPayload:
    """A payload."""
    return RawPayload(PayloadKind.PPROF, body, 7, Encoding.RAW, "text/x", "me", more)


def test_the_tables_are_those_of_the_migrations(state: State) -> None:
    """Columns, and which of them may be null."""
    with state.transaction() as connection:
        found = sa.inspect(connection)
        for table in metadata.sorted_tables:
            columns = {column["name"]: column["nullable"] for column in found.get_columns(table.name)}
            assert columns == {column.name: bool(column.nullable) for column in table.columns}


def test_a_watermark_moves_only_from_where_it_was_seen(state: State, clock: FixedClock) -> None:
    """Of two who saw the same position one moves it; scopes and sources do not touch each other."""
    marks = SqlWatermarks(state, clock)
    assert marks.until_ns("tempo") is None
    assert marks.advance("tempo", "", None, 10)
    assert not marks.advance("tempo", "", None, 20)
    assert marks.advance("tempo", "", 10, 20)
    assert not marks.advance("tempo", "", 10, 30)
    assert (marks.until_ns("tempo"), marks.until_ns("tempo", "shop")) == (20, None)


def test_a_watermark_is_moved_by_one_of_many(state: State, clock: FixedClock) -> None:
    """Threads that compete: exactly one wins each step."""
    marks = SqlWatermarks(state, clock)
    won: list[int] = []

    def run(number: int) -> None:
        won.extend(step for step in range(5) if marks.advance("s", "", step - 1 if step else None, step))

    threads = [threading.Thread(target=run, args=(n,)) for n in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert sorted(won) == [0, 1, 2, 3, 4]


def test_a_lease_has_one_holder(state: State, clock: FixedClock) -> None:
    """Neither somebody else nor the holder itself gets it a second time, until it is released or expires."""
    leases = SqlLeases(state, clock)
    held = leases.acquire("pull", "a", 10)
    assert held is not None
    assert leases.acquire("pull", "b", 10) is None
    assert leases.acquire("pull", "a", 10) is None
    assert leases.holder("pull") == "a"
    leases.release(held)
    assert leases.holder("pull") is None
    assert leases.acquire("pull", "b", 10) is not None


def test_the_lease_of_a_dead_holder_expires(state: State, clock: FixedClock) -> None:
    """And when it comes back, it cannot renew what another has."""
    leases = SqlLeases(state, clock)
    held = leases.acquire("pull", "a", 10)
    assert held is not None
    clock.at_ns += 9 * S
    assert leases.acquire("pull", "b", 10) is None
    assert leases.renew(held, 10)
    clock.at_ns += 10 * S
    other = leases.acquire("pull", "b", 10)
    assert other is not None
    assert other.term > held.term
    assert not leases.renew(held, 10)
    leases.release(held)
    assert leases.holder("pull") == "b"


def test_statuses_are_kept_and_configured_apart(state: State) -> None:
    """A pull does not change what the configuration says, nor the other way round."""
    statuses = SqlSourceStatuses(state)
    assert statuses.get("tempo") == SourceStatus("tempo")
    statuses.configure([SourceStatus("tempo", "tempo", "http://t"), SourceStatus("go", "pprof", "x")])
    statuses.put(SourceStatus("tempo", last_error="no", failures_in_a_row=2, parts=(Part("a", ok=False, text="t"),)))
    statuses.configure([SourceStatus("tempo", "tempo", "http://t2")])
    tempo = statuses.get("tempo")
    assert (tempo.place, tempo.last_error, tempo.ok) == ("http://t2", "no", False)
    assert tempo.parts == (Part("a", ok=False, text="t"),)
    assert [(status.source, status.configured) for status in statuses.all()] == [("go", False), ("tempo", True)]


def test_a_dead_letter_is_kept_once_and_comes_back_as_it_was(state: State, clock: FixedClock) -> None:
    """Body, kind and parameters; a second try is counted, a settled one is gone."""
    letters = SqlDeadLetters(state, clock)
    payload = raw(bytes(range(256)) * 10, service="shop")
    letters.add("go", payload, "broken \0 at byte 3")
    letters.add("go", payload, "broken again")
    letters.add("py", payload, "of another source")
    (letter,) = letters.list("go")
    assert (letter.reason, letter.body_bytes, letter.kept, letter.attempts) == ("broken � at byte 3", 2560, True, 1)
    assert letters.payload(letter.id) == payload
    letters.failed_again(letter.id, "still")
    assert [(x.attempts, x.reason) for x in letters.list("go")] == [(2, "still")]
    letters.remove(letter.id)
    assert letters.count() == 1
    with pytest.raises(NotFound):
        letters.payload(letter.id)


def test_an_empty_body_and_one_too_large(state: State, clock: FixedClock) -> None:
    """The empty one is replayable, of the large one only the reason is kept."""
    import os

    letters = SqlDeadLetters(state, clock, LetterLimits(max_body_bytes=100))
    letters.add("go", raw(b""), "empty")
    letters.add("go", raw(os.urandom(1000)), "large")
    large, empty = letters.list()
    assert (large.kept, empty.kept) == (False, True)
    assert letters.payload(empty.id).body == b""
    with pytest.raises(NotFound, match="too large"):
        letters.payload(large.id)


@pytest.mark.parametrize("limits", [LetterLimits(max_count=3), LetterLimits(max_bytes=35)])
def test_the_oldest_letters_make_room(state: State, clock: FixedClock, limits: LetterLimits) -> None:
    """So that what cannot be read does not fill the disk."""
    letters = SqlDeadLetters(state, clock, limits)
    for number in range(10):
        letters.add("go", raw(b"x%d" % number), f"{number}")
    kept = [letter.reason for letter in letters.list()]
    assert kept[0] == "9"
    assert len(kept) == 3
    assert replace(letters.list()[0], id=0).body_bytes == 2
