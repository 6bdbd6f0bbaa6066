"""OTLP in JSON: requests become protobuf bytes, so that everything after is written once.

Source: opentelemetry-proto ``docs/specification.md``, "JSON Protobuf Encoding". It is protobuf's own JSON mapping with
two changes that `json_format` would get silently wrong: ids are hexadecimal, not base64 (the digits are a subset of
base64, so nothing would fail), and unknown fields are ignored. Both spellings of keys, numbers as text and enumerations
by name are accepted. This is the slow road: it makes Python objects for every span and sample, which the protobuf
encoding does not.
"""

import re
from base64 import b64encode
from collections.abc import Iterator
from typing import Any, Final

import orjson
from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import EncodeError, Message

from correlate.errors import Malformed
from correlate.formats.json_size import check_values
from correlate.formats.proto import otlp_messages_pb2 as messages

Json = dict[str, Any]

_HEX: Final = re.compile(r"(?:[0-9a-fA-F]{2})*")
_PROFILE_ID: Final = re.compile(r"[0-9a-fA-F]{32}")

# Request, resource, scope, span, attribute, value: the rest is left for values inside values, two levels each.
_MAX_DEPTH: Final = 50


def trace_request(body: bytes) -> bytes:
    """Encode a JSON ``ExportTraceServiceRequest`` as protobuf.

    Raises:
        Malformed: not JSON, not an object, or a field of the wrong type.
    """
    request = load(body)
    for resource in _items(request, "resourceSpans", "resource_spans"):
        for scope in _items(resource, "scopeSpans", "scope_spans"):
            for span in _items(scope, "spans"):
                _hex_to_base64(span, ("traceId", "trace_id", "spanId", "span_id", "parentSpanId", "parent_span_id"))
    return _encode(request, messages.TraceRequest())


def profiles_request(request: Json) -> bytes:
    """Encode a JSON ``ExportProfilesServiceRequest`` (see `load`) as protobuf in the layout of 1.10.

    Only names of fields changed between the layouts that are read: ``sample`` and ``line`` of 1.8 are renamed.

    Raises:
        Malformed: a field of the wrong type.
    """
    for profile in profiles(request):
        _rename(profile, "sample", "samples")
        _profile_id(profile)
    dictionary = request.get("dictionary")
    if isinstance(dictionary, dict):
        for link in _items(dictionary, "linkTable", "link_table"):
            _hex_to_base64(link, ("traceId", "trace_id", "spanId", "span_id"))
        for location in _items(dictionary, "locationTable", "location_table"):
            _rename(location, "line", "lines")
    return _encode(request, messages.ProfilesRequest())


def profiles(request: Json) -> Iterator[Json]:
    """The Profile objects of a request."""
    for resource in _items(request, "resourceProfiles", "resource_profiles"):
        for scope in _items(resource, "scopeProfiles", "scope_profiles"):
            yield from _items(scope, "profiles")


def samples(profile: Json) -> Iterator[Json]:
    """The Sample objects of a profile, under either of their names."""
    return _items(profile, "samples", "sample")


def locations(request: Json) -> Iterator[Json]:
    """The Location objects of a request's dictionary."""
    dictionary = request.get("dictionary")
    if isinstance(dictionary, dict):
        yield from _items(dictionary, "locationTable", "location_table")


def load(body: bytes) -> Json:
    """Parse a JSON body.

    Raises:
        Malformed: not JSON, or not an object.
        TooLarge: it holds too many values.
    """
    check_values(body)
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Malformed(f"the body is not JSON: {error}") from error
    if not isinstance(parsed, dict):
        raise Malformed("the body is JSON, but not an object")
    return parsed


def _encode(request: Json, message: Message) -> bytes:
    try:
        ParseDict(request, message, ignore_unknown_fields=True, max_recursion_depth=_MAX_DEPTH)
        return message.SerializeToString()
    except (ParseError, EncodeError, TypeError, ValueError, AttributeError) as error:
        # json_format answers some wrong types with Python's own errors instead of ParseError.
        raise Malformed(f"the JSON is not an OTLP request: {str(error)[:300]}") from error


def _items(owner: Json, *names: str) -> Iterator[Json]:
    for name in names:
        items = owner.get(name)
        if isinstance(items, list):
            yield from (item for item in items if isinstance(item, dict))


def _rename(owner: Json, old: str, new: str) -> None:
    if old in owner and new not in owner:
        owner[new] = owner.pop(old)


def _hex_to_base64(owner: Json, names: tuple[str, ...]) -> None:
    """Rewrite ids in place; what is not hexadecimal becomes no id, and its span is refused later for that."""
    for name in names:
        text = owner.get(name)
        if isinstance(text, str):
            owner[name] = b64encode(bytes.fromhex(text) if _HEX.fullmatch(text) else b"").decode()


def _profile_id(profile: Json) -> None:
    """Profile ids come in hexadecimal (the collector) or in base64 (protobuf's own mapping): told apart by length."""
    for name in ("profileId", "profile_id"):
        text = profile.get(name)
        if isinstance(text, str) and _PROFILE_ID.fullmatch(text):
            profile[name] = b64encode(bytes.fromhex(text)).decode()
