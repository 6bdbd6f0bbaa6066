"""What OTLP senders get back."""

import json

from google.rpc import status_pb2

from correlate.formats.otlp_response import export_response, status
from correlate.formats.proto import otlp_messages_pb2 as messages
from correlate.model.payload import Encoding
from correlate.tables.tables import Reject

REJECTS = (Reject("spans", 2, "no id"), Reject("spans", 1, "no time"), Reject("profiles", 4, "broken"))


def test_full_success_is_an_empty_message() -> None:
    """partial_success stays unset: no bytes, and an empty object."""
    assert export_response((), "spans", Encoding.PROTOBUF) == b""
    assert export_response((), "profiles", Encoding.JSON) == b"{}"
    assert export_response(REJECTS[2:], "spans", Encoding.JSON) == b"{}"


def test_what_was_refused_is_counted_and_explained() -> None:
    """Counts of one signal add up; the message names every reason."""
    traces = messages.TraceResponse.FromString(export_response(REJECTS, "spans", Encoding.PROTOBUF))
    assert traces.partial_success.rejected_spans == 3
    assert traces.partial_success.error_message == "2 spans: no id; 1 spans: no time"
    profiles = messages.ProfilesResponse.FromString(export_response(REJECTS, "profiles", Encoding.PROTOBUF))
    assert profiles.partial_success.rejected_profiles == 4


def test_json_writes_camel_case_and_numbers_as_text() -> None:
    """The JSON form follows protobuf's mapping."""
    assert json.loads(export_response(REJECTS, "spans", Encoding.JSON)) == {
        "partialSuccess": {"rejectedSpans": "3", "errorMessage": "2 spans: no id; 1 spans: no time"}
    }


def test_a_warning_has_a_message_and_counts_nothing() -> None:
    """A reject of nothing is a warning."""
    response = messages.TraceResponse.FromString(
        export_response((Reject("spans", 0, "careful"),), "spans", Encoding.PROTOBUF)
    )
    assert response.HasField("partial_success")
    assert (response.partial_success.rejected_spans, response.partial_success.error_message) == (0, "careful")


def test_errors_are_a_google_rpc_status() -> None:
    """The code and the message, in the encoding of the request."""
    parsed = status_pb2.Status.FromString(status(3, "bad", Encoding.PROTOBUF))
    assert (parsed.code, parsed.message) == (3, "bad")
    assert json.loads(status(3, "bad", Encoding.JSON)) == {"code": 3, "message": "bad"}
