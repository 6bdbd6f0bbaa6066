"""A profiles request as columns, read in the layout that its bytes are in."""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from google.protobuf.message import Message

from correlate.errors import Malformed, TooLarge
from correlate.formats import wire
from correlate.formats.arrow import integers, ragged
from correlate.formats.otlp_dictionary import Dictionary, link
from correlate.formats.otlp_layout import Layout
from correlate.formats.otlp_limits import check_counts
from correlate.formats.otlp_samples import Samples, flatten, oddity
from correlate.formats.proto import otlp_profiles_pb2 as proto
from correlate.formats.proto import otlp_skeleton_pb2

I64 = npt.NDArray[np.int64]

MAX_PROFILES: Final = 100_000
"""Profiles of one request: the eBPF profiler sends one for each process."""

_MESSAGES: Final[dict[Layout, type[Message]]] = {
    Layout.V1_8: proto.Request_1_8,
    Layout.V1_9: proto.Request_1_9,
    Layout.V1_10: proto.Request_1_10,
}


class Request(NamedTuple):
    """A decoded request.

    Attributes:
        layout: the layout it was read in.
        resources: the ResourceProfiles messages.
        profiles: the Profile messages of all resources.
        resource: row of the resource of each profile.
        samples: the samples of all profiles.
        dictionary: the dictionary, linked.
    """

    layout: Layout
    resources: pa.StructArray
    profiles: pa.StructArray
    resource: I64
    samples: Samples
    dictionary: Dictionary


def decode(body: bytes, layouts: tuple[Layout, ...]) -> Request:
    """Decode a request; of several possible layouts take the one that makes the most sense, in doubt the first.

    Raises:
        Malformed: the bytes are not the message, or there are samples but no dictionary.
        TooLarge: there are more profiles, samples or frames than one request may hold.
    """
    check_counts(otlp_skeleton_pb2.Profiles, body)
    readings = [_decode(body, layout) for layout in layouts]
    return readings[0] if len(readings) == 1 else min(readings, key=_oddity)


def _decode(body: bytes, layout: Layout) -> Request:
    batch = wire.decode(_MESSAGES[layout], [body])
    resources = ragged(batch.column("resource_profiles")).values
    scopes = ragged(resources.field("scope_profiles"))
    profiles = ragged(scopes.values.field("profiles"))
    if len(profiles.values) > MAX_PROFILES:
        raise TooLarge(f"the request has {len(profiles.values):,} profiles (limit {MAX_PROFILES:,})")
    samples = flatten(profiles.values)
    dictionary = batch.column("dictionary")
    if dictionary.null_count and len(samples.profile):
        raise Malformed("the request has samples, but no dictionary (field 2) to say what they refer to")
    resource = scopes.owners()[profiles.owners()]
    return Request(layout, resources, profiles.values, resource, samples, link(dictionary))


def _oddity(request: Request) -> tuple[int, int]:
    own = integers(ragged(request.profiles.field("attribute_indices")).values)
    return oddity(request.samples, own, request.dictionary)
