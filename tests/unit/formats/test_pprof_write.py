"""The lossless codec: what is parsed is written again."""

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from correlate.errors import Malformed, UnknownFormat
from correlate.formats.pprof_write import PprofProfile, parse, write
from correlate.formats.proto.pprof_pb2 import Profile
from tests.support.pprof import ProfileMaker, simple

REAL = (
    "google/large.cpu",
    "parca/alloc_objects.pb.gz",
    "parca/fgprof.pb.gz",
    "parca/profile-with-labels.pb.gz",
    "pyroscope/go.cpu.labels.pprof",
    "pyroscope/heap",
    "pyroscope/profile_python",
)


def full() -> Profile:
    """A profile that uses every field of the format."""
    maker = ProfileMaker()
    maker.profile.mapping.add(
        id=4,
        memory_start=2**63,
        memory_limit=2**64 - 1,
        file_offset=3,
        filename=maker.text("/bin/x"),
        build_id=maker.text("id"),
        has_functions=True,
        has_inline_frames=True,
    )
    place = maker.location(maker.function(b"\xff\xfe"), maker.function("g"), address=9, mapping=4)
    maker.profile.location[0].is_folded = True
    maker.profile.location[0].line[0].column = 5
    maker.profile.function[0].start_line = 8
    maker.sample([place], [1, -2], {"text": "x", "number": 5})
    maker.label(maker.profile.sample[0], "size", 9, unit="bytes")
    maker.profile.comment.extend([maker.text("first"), maker.text("second")])
    for name in ("drop_frames", "keep_frames", "default_sample_type", "doc_url"):
        setattr(maker.profile, name, maker.text(name))
    return maker.profile


def test_every_field_survives() -> None:
    """By the judgement of the generated class, nothing is lost or changed."""
    written = write(parse(full().SerializeToString()))
    assert Profile.FromString(gzip.decompress(written)) == full()


def test_written_bytes_are_repeatable() -> None:
    """Equal profiles give equal bytes: no time stamp inside."""
    profile = parse(simple())
    assert write(profile) == write(parse(write(profile)))


def test_equality_sees_every_column() -> None:
    """A changed value makes profiles unequal; other types are never equal."""
    assert parse(simple("a", 3)) == parse(simple("a", 3))
    assert parse(simple("a", 3)) != parse(simple("a", 4))
    assert parse(simple()) != "profile"


def test_text_shows_strings() -> None:
    """Bytes that are not UTF-8 are shown as such."""
    profile = parse(full().SerializeToString())
    assert "\ufffd\ufffd" in [profile.text(at) for at in range(len(profile.strings))]


def test_parse_refuses_like_reading() -> None:
    """Broken and foreign files are told apart."""
    with pytest.raises(Malformed):
        parse(b"\x0a\xff\xff")
    with pytest.raises(UnknownFormat, match="heap profile"):
        parse(b"heap profile: 1: 2 [3: 4] @ heap/1\n")


@pytest.mark.parametrize("name", REAL)
def test_real_profiles_survive(shared_data: Path, name: str) -> None:
    """Parse ∘ write ∘ parse is parse."""
    profile = parse((shared_data / "pprof" / name).read_bytes())
    assert parse(write(profile)) == profile


@given(
    st.lists(
        st.tuples(
            st.lists(st.integers(1, 3), max_size=4),
            st.integers(-(2**63), 2**63 - 1),
            st.dictionaries(st.text(max_size=3), st.text(max_size=3) | st.integers(-(2**63), 2**63 - 1), max_size=2),
        ),
        max_size=5,
    )
)
def test_any_profile_survives(samples: list[tuple[list[int], int, dict[str, str | int]]]) -> None:
    """Round trips are exact for all values, stacks and labels."""
    maker = ProfileMaker([("v", "count")])
    for name in "abc":
        maker.location(maker.function(name))
    for locations, value, labels in samples:
        maker.sample(locations, [value], labels)
    profile: PprofProfile = parse(maker.bytes())
    written = write(profile)
    assert parse(written) == profile
    assert Profile.FromString(gzip.decompress(written)) == maker.profile
