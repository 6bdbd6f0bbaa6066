"""Recorded traffic with the labels taken off its samples, as a client without a span bridge would send it."""

import gzip
from collections.abc import Iterable, Iterator
from dataclasses import replace

from correlate.demo.traffic import Recorded
from correlate.formats.proto import pprof_pb2, pyroscope_push_pb2

GZIP_MAGIC = b"\x1f\x8b"


def without_labels(requests: Iterable[Recorded]) -> Iterator[Recorded]:
    """The same requests; samples of pushed profiles have no labels at all."""
    for request in requests:
        yield _stripped(request) if request.carries_profiles else request


def _stripped(request: Recorded) -> Recorded:
    push = pyroscope_push_pb2.PushRequest.FromString(_plain(request.body))
    for series in push.series:
        for raw in series.samples:
            profile = pprof_pb2.Profile.FromString(_plain(raw.raw_profile))
            for sample in profile.sample:
                del sample.label[:]
            raw.raw_profile = profile.SerializeToString()
    headers = {name: value for name, value in request.headers.items() if name != "content-encoding"}
    return replace(request, headers=headers, body=push.SerializeToString())


def _plain(body: bytes) -> bytes:
    return gzip.decompress(body) if body.startswith(GZIP_MAGIC) else body
