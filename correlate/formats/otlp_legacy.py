"""Profiles requests in layouts that are not read: what they carry in a known format is handed on, the rest refused.

Before OTLP 1.8 a profile could (and those of 1.3 did) carry its original next to, or instead of, the tables of the
day. Such a pprof is put into a request of the current layout, which the ordinary reader takes from there.
"""

from typing import Final, NamedTuple

from google.protobuf.message import DecodeError

from correlate.errors import Malformed, TooLarge, UnknownFormat
from correlate.formats.otlp_json import Json, profiles, samples
from correlate.formats.otlp_layout import Field, Layout, Walk
from correlate.formats.proto.otlp_profiles_pb2 import Request_1_10, ResourceProfiles_1_10

_PAYLOAD_FIELDS: Final = {Layout.V1_3: (6, 7), Layout.V1_4: (20, 21), Layout.V1_6: (12, 13)}
"""Numbers of ``original_payload_format`` and ``original_payload``."""

# The search is plain Python; nobody sends large requests in layouts this old.
_MAX_FIELDS: Final = 500_000

_PAYLOAD_KEYS: Final = frozenset(
    ("originalPayloadFormat", "original_payload_format", "originalPayload", "original_payload")
)
_OLD_KEYS: Final = ("timeNanos", "time_nanos", "stringTable", "string_table", "profile")
_OLD_SAMPLE_KEYS: Final = ("locationsStartIndex", "locations_start_index")


class Carried(NamedTuple):
    """A request of the current layout with the originals that an old one carried, and how many profiles had none."""

    body: bytes
    refused: int


def carried(body: bytes, layout: Layout) -> Carried:
    """Put the pprof originals of an old request into one of the current layout.

    Raises:
        UnknownFormat: there is none; the message names the layout.
        Malformed: the bytes are broken.
        TooLarge: there are too many fields to search.
    """
    request, walk = Request_1_10(), Walk(body, _MAX_FIELDS)
    kept = refused = 0
    for resource, profile in walk.profiles():
        payload_format, payload = (_last(walk, profile, number) for number in _PAYLOAD_FIELDS[layout])
        if payload_format != b"pprof" or not payload:
            refused += 1
            continue
        kept += 1
        target = request.resource_profiles.add()
        _copy_resource(target, _last(walk, resource, 1))
        target.scope_profiles.add().profiles.add(original_payload_format=payload_format, original_payload=payload)
    if walk.left < 0:
        raise TooLarge(f"a request in the layout of {layout} has more than {_MAX_FIELDS:,} fields")
    if refused and not kept:
        raise _unreadable(layout)
    return Carried(request.SerializeToString(), refused)


def json_layout(request: Json) -> Layout:
    """Tell the layout of a JSON request by the names of its fields; 1.9 and later are alike."""
    seen = {key for profile in profiles(request) for key in profile}
    if "profile" in seen:
        return Layout.V1_3
    sample_keys = {key for profile in profiles(request) for sample in samples(profile) for key in sample}
    if seen.intersection(_OLD_KEYS) or sample_keys.intersection(_OLD_SAMPLE_KEYS):
        return Layout.V1_6
    return Layout.V1_8 if "sample" in seen else Layout.V1_10


def carried_in_json(request: Json, layout: Layout) -> int:
    """Strip the profiles of an old JSON request, in place, to their pprof originals; return how many have none.

    Raises:
        UnknownFormat: there is none; the message names the layout.
    """
    kept = refused = 0
    for profile in profiles(request):
        for key in profile.keys() - _PAYLOAD_KEYS:
            del profile[key]
        original = profile.get("originalPayloadFormat", profile.get("original_payload_format"))
        kept += original == "pprof"
        refused += original != "pprof"
        if original != "pprof":
            profile.clear()
    request.pop("dictionary", None)
    if refused and not kept:
        raise _unreadable(layout)
    return refused


def _copy_resource(target: ResourceProfiles_1_10, resource: bytes) -> None:
    try:
        target.resource.ParseFromString(resource)
    except DecodeError as error:
        raise Malformed(f"a resource of the request is broken: {error}") from error


def _last(walk: Walk, message: Field, number: int) -> bytes:
    """The content of a field of bytes; the last one counts, b"" where there is none."""
    found = b""
    for part in walk.messages(message, number):
        found = walk.body[part.start : part.end]
    return found


def _unreadable(layout: Layout) -> UnknownFormat:
    return UnknownFormat(
        f"profiles in the layout of {layout} are not read, unless they carry an original payload in pprof; "
        "update the sender to OTLP 1.8 or later"
    )
