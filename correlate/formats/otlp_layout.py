"""Which layout of the OTLP profiles messages the bytes of a request are in.

The messages were renumbered several times without a change of name, and a request does not say which numbers it uses.
Read with the wrong ones it gives plausible nonsense: values of 1.9 are attribute indices in 1.10. So the bytes are
walked without a schema, and the types that fields have on the wire vote:

========  ==============================================  ===============================================
layout    Profile                                         Sample
========  ==============================================  ===============================================
<= 1.7    3 not fixed64, 4 a message, 5 a varint,         5 varint, or 6 present
          6 a message, or 13 and above present
1.8       7 comments, 8 profile id, 9 dropped, 12         2 values, 3 attributes (bytes), 4 link (varint)
1.9       7 profile id, 8 dropped, 9 payload format       as 1.8
1.10      as 1.9                                          2 attributes, 3 link (varint), 4 values (bytes)
========  ==============================================  ===============================================

Packed lists are bytes; encoders that do not pack repeat a varint, which a single number such as a link never does.
Where no sample tells 1.9 from 1.10 (only stack, field 2 and timestamps are there, or single varints), both remain, and
the reader decides by which of them makes sense of every sample. A request of 1.8 whose first profile is too long to be
walked through is taken for 1.9, which costs it profile ids and attributes but no sample. Source: the tags of
opentelemetry-proto.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple

from correlate.errors import Malformed

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

# The walk is plain Python, so it is bounded; votes seldom need more than the first few hundred fields.
_MAX_FIELDS: Final = 100_000
_MAX_SAMPLES: Final = 4096
_ENOUGH_VOTES: Final = 256


class Layout(StrEnum):
    """Releases of opentelemetry-proto whose profiles messages have the same numbers, named by the first of them."""

    V1_3 = "otlp 1.3"
    V1_4 = "otlp 1.4"
    V1_6 = "otlp 1.6"
    V1_8 = "otlp 1.8"
    V1_9 = "otlp 1.9"
    V1_10 = "otlp 1.10"


class Field(NamedTuple):
    """One field on the wire: for BYTES `start` and `end` delimit the content, for VARINT `start` is the value."""

    number: int
    wire_type: int
    start: int
    end: int


@dataclass(slots=True)
class _Votes:
    """What the walk has seen: how often a layout was the only one possible."""

    seen: Counter[Layout] = field(default_factory=Counter)
    samples: int = 0
    profiles: int = 0
    undecided: int = 0  # samples that have a field whose meaning differs, and do not say which

    def enough(self) -> bool:
        """Whether going on would not change the verdict of honest bytes."""
        decided = self.profiles > 0 and self.seen.total() >= _ENOUGH_VOTES
        return decided or self.samples > _MAX_SAMPLES


@dataclass(slots=True)
class Walk:
    """A walk over the fields of a body that ends, as if the body did, when it gets too long.

    Attributes:
        body: the bytes.
        left: how many more fields may be visited; negative: the walk was cut short.
    """

    body: bytes
    left: int

    def fields(self, message: Field | None = None) -> Iterator[Field]:
        """Visit the fields of a message, or of the whole body.

        Raises:
            Malformed: a field goes beyond the end of the message.
        """
        start, end = (message.start, message.end) if message else (0, len(self.body))
        for part in fields(self.body, start, end):
            self.left -= 1
            if self.left < 0:
                return
            yield part

    def messages(self, message: Field | None, number: int) -> Iterator[Field]:
        """Visit the fields of one number that are messages, text or bytes."""
        return (part for part in self.fields(message) if part.number == number and part.wire_type == BYTES)

    def profiles(self) -> Iterator[tuple[Field, Field]]:
        """Visit the Profile (or ProfileContainer) messages of a request, each with its ResourceProfiles."""
        for resource in self.messages(None, 1):
            for scope in self.messages(resource, 2):
                for profile in self.messages(scope, 2):
                    yield resource, profile


def candidates(body: bytes) -> tuple[Layout, ...]:
    """Tell which layouts the bytes of an ``ExportProfilesServiceRequest`` can be in.

    Returns:
        One layout, or `V1_9` and `V1_10` where only the sense of the content can tell.

    Raises:
        Malformed: the bytes end within a field.
    """
    votes, walk = _Votes(), Walk(body, _MAX_FIELDS)
    for _, profile in walk.profiles():
        _vote_on_profile(walk, profile, votes)
        if votes.enough():
            break
    # Only 1.6 has tables in the request itself; from 1.7 on it has a dictionary, before it had neither.
    tables = sum(top.number > 2 for top in Walk(body, _MAX_FIELDS).fields())
    votes.seen[Layout.V1_6] += tables
    return _verdict(votes)


def fields(body: bytes, start: int, end: int) -> Iterator[Field]:
    """Walk the fields of a message at `start` to `end` of the body.

    Raises:
        Malformed: a field goes beyond the end, or has a wire type that protobuf 3 does not write.
    """
    at = start
    while at < end:
        tag, at = _varint(body, at, end)
        wire_type = tag & 7
        if wire_type == VARINT:
            value, at = _varint(body, at, end)
            yield Field(tag >> 3, wire_type, value, at)
            continue
        size, at = _size(body, at, end, wire_type)
        if at + size > end:
            raise Malformed(f"field {tag >> 3} at byte {at} needs {size} bytes, {end - at} are left")
        yield Field(tag >> 3, wire_type, at, at + size)
        at += size


def _vote_on_profile(walk: Walk, profile: Field, votes: _Votes) -> None:
    votes.profiles += 1
    for part in walk.fields(profile):
        if part.number == 2 and part.wire_type == BYTES:
            _vote_on_sample(walk, part, votes)
        else:
            layout = _layout_of_profile_field(part)
            if layout is not None:
                votes.seen[layout] += 1


def _layout_of_profile_field(part: Field) -> Layout | None:
    """The only layout (or the last of the old ones) in which a Profile has such a field, None where several have."""
    number, wire_type = part.number, part.wire_type
    if number > 12:
        return Layout.V1_6 if number < 15 else Layout.V1_4
    if wire_type == BYTES:
        if number == 7:  # profile ids are 16 bytes or none; the comments of 1.8 are a few small numbers
            return Layout.V1_8 if part.end - part.start not in (0, 16) else None
        return {3: Layout.V1_6, 4: Layout.V1_4, 6: Layout.V1_6, 8: Layout.V1_8, 12: Layout.V1_8}.get(number)
    if wire_type == VARINT:
        return {3: Layout.V1_6, 5: Layout.V1_6, 7: Layout.V1_8, 9: Layout.V1_8, 12: Layout.V1_8}.get(number)
    return None


def _vote_on_sample(walk: Walk, sample: Field, votes: _Votes) -> None:
    votes.samples += 1
    if votes.samples > _MAX_SAMPLES:
        return
    present = Counter((part.number, part.wire_type) for part in walk.fields(sample))
    layout = _layout_of_sample(present)
    if layout is not None:
        votes.seen[layout] += 1
    elif any(number in (2, 3, 4) for number, _ in present):
        votes.undecided += 1


def _layout_of_sample(present: Counter[tuple[int, int]]) -> Layout | None:
    if (5, VARINT) in present or any(number > 5 for number, _ in present):
        return Layout.V1_6
    old = (3, BYTES) in present or present[3, VARINT] > 1
    new = (4, BYTES) in present or present[4, VARINT] > 1
    if old == new:
        return None
    return Layout.V1_9 if old else Layout.V1_10


def _verdict(votes: _Votes) -> tuple[Layout, ...]:
    """Weigh the votes: first whether the numbers are those before 1.8, then those of the samples."""
    seen = votes.seen
    ancient = seen[Layout.V1_4] + seen[Layout.V1_6]
    old = seen[Layout.V1_8] + seen[Layout.V1_9]
    if ancient > old + seen[Layout.V1_10]:
        return (Layout.V1_4,) if seen[Layout.V1_4] else (Layout.V1_6,)
    if old == seen[Layout.V1_10]:
        return (Layout.V1_9, Layout.V1_10) if votes.undecided else (Layout.V1_10,)
    if old < seen[Layout.V1_10]:
        return (Layout.V1_10,)
    return (Layout.V1_8,) if seen[Layout.V1_8] else (Layout.V1_9,)


def _size(body: bytes, at: int, end: int, wire_type: int) -> tuple[int, int]:
    if wire_type == BYTES:
        return _varint(body, at, end)
    if wire_type not in (FIXED64, FIXED32):
        raise Malformed(f"wire type {wire_type} at byte {at} is not of a protobuf 3 message")
    return (8 if wire_type == FIXED64 else 4), at


def _varint(body: bytes, at: int, end: int) -> tuple[int, int]:
    """Read a varint: its value and where it ends."""
    value = shift = 0
    while at < end:
        byte = body[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            break
    raise Malformed(f"the number that ends at byte {at} is broken")
