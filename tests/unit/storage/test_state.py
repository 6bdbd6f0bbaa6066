"""The state database."""

import threading
from pathlib import Path

import pytest
import sqlalchemy as sa

from correlate.errors import ConfigError, StoreError
from correlate.storage.state import META, State, metadata, open_state
from tests.support.store import FixedClock


def url(folder: Path) -> str:
    """An SQLite database in a folder that does not exist yet."""
    return f"sqlite:///{folder}/deep/state.db"


def test_facts_are_kept_over_restarts(tmp_path: Path) -> None:
    """A value replaces the one before it; a key that was never put has none."""
    clock = FixedClock(5)
    with open_state(url(tmp_path), clock=clock) as state:
        assert state.get("a") is None
        state.put("a", "x")
        clock.at_ns = 6
        state.put("a", "y")
    with open_state(url(tmp_path), clock=clock) as state:
        assert state.get("a") == "y"
        with state.transaction() as connection:
            assert connection.execute(sa.select(META.c.updated_ns)).scalar_one() == 6


def test_migrations_build_the_tables_the_code_names(tmp_path: Path) -> None:
    """The tables of the newest migration are those of the program."""
    with open_state(url(tmp_path), clock=FixedClock(1)) as state, state.transaction() as connection:
        found = sa.inspect(connection)
        for table in metadata.sorted_tables:
            assert {c["name"] for c in found.get_columns(table.name)} == set(table.columns.keys())


def test_a_failed_transaction_leaves_nothing(tmp_path: Path) -> None:
    """Errors of the database are store errors, and nothing of the transaction stays."""
    row = {"key": "k", "value": "v", "updated_ns": 1}

    def put_twice(state: State) -> None:
        with state.transaction() as connection:
            connection.execute(sa.insert(META).values(row))
            connection.execute(sa.insert(META).values(row))

    with open_state(url(tmp_path), clock=FixedClock(1)) as state:
        with pytest.raises(StoreError):
            put_twice(state)
        assert state.get("k") is None


def test_processes_may_start_together_and_write_together(tmp_path: Path) -> None:
    """Migrating at the same time is done once; writers wait for each other."""
    problems: list[StoreError] = []

    def run(number: int) -> None:
        try:
            with open_state(url(tmp_path), clock=FixedClock(1)) as state:
                for i in range(10):
                    state.put(f"{number}-{i}", "x")
        except StoreError as error:
            problems.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    with open_state(url(tmp_path), clock=FixedClock(1)) as state:
        assert state.get("3-9") == "x"


@pytest.mark.parametrize("bad", ["", "nonsense", "oracle9://x"])
def test_a_url_that_is_no_use_is_a_mistake_in_the_configuration(bad: str) -> None:
    """Said so, without repeating secrets that a URL may carry."""
    with pytest.raises(ConfigError), open_state(bad, clock=FixedClock(1)):
        pass


def test_a_database_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    """Rather than misread."""
    with open_state(url(tmp_path), clock=FixedClock(1)) as state, state.transaction() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError), open_state(url(tmp_path), clock=FixedClock(1)):
        pass
