"""Profile types and their aliases."""

import pytest

from correlate.errors import BadQuery
from correlate.model.profile_type import ProfileType, choose

CPU = "process_cpu:cpu:nanoseconds:cpu:nanoseconds"
HEAP = "memory:inuse_space:bytes:space:bytes"


def test_an_id_survives_parsing() -> None:
    """Five parts in, five parts out; a trailing delta is dropped."""
    assert str(ProfileType.parse(CPU)) == CPU
    assert str(ProfileType.parse(CPU + ":delta")) == CPU


@pytest.mark.parametrize("text", ["", "cpu:cpu", ":::::", "a:b:c:d:e:f", "::::"])
def test_what_is_no_id_is_refused_with_the_aliases(text: str) -> None:
    """The message lists what one may write."""
    with pytest.raises(BadQuery, match="inuse_space"):
        ProfileType.parse(text)


def test_an_alias_matches_whatever_the_agent_calls_it() -> None:
    """Ids differ per agent: the sample type decides, and the best-known name wins."""
    other = "ebpf:cpu:nanoseconds:cpu:nanoseconds"
    assert choose("cpu", [other, HEAP]) == [other]
    assert choose("cpu", [other, CPU]) == [CPU]
    assert choose("inuse_space", [CPU, HEAP]) == [HEAP]
    assert choose("wall", [CPU, HEAP]) == []


def test_a_full_id_means_just_that_one() -> None:
    """No second guess is made for an id."""
    assert choose(CPU, [CPU, HEAP]) == [CPU]
    assert choose("wall:wall:nanoseconds:wall:nanoseconds", [CPU]) == []


def test_a_type_knows_its_alias() -> None:
    """Types without an alias show their sample type."""
    assert ProfileType.parse(CPU).alias == "cpu"
    assert ProfileType.parse("process_cpu:exception:count:cpu:nanoseconds").alias == "exception"
