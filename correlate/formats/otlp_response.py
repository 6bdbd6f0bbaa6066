"""What OTLP senders get back: export responses and error bodies, protobuf or JSON.

Source: opentelemetry-proto ``docs/specification.md``: everything accepted leaves ``partial_success`` unset, so that the
protobuf body is empty and the JSON body ``{}``; a warning has a message and counts nothing; errors are
``google.rpc.Status``.
"""

from collections.abc import Sequence

import orjson
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.rpc import status_pb2

from correlate.formats.proto import otlp_messages_pb2 as messages
from correlate.model.payload import Encoding
from correlate.tables.tables import Reject

_MAX_MESSAGE_CHARS = 2000


def export_response(rejects: Sequence[Reject], signal: str, encoding: Encoding) -> bytes:
    """Write the response to an export request that was accepted, if only in part.

    Args:
        rejects: what was refused; rejects of other signals are left out.
        signal: ``"spans"`` or ``"profiles"``.
        encoding: that of the request.
    """
    own = [reject for reject in rejects if reject.signal == signal]
    count = sum(reject.count for reject in own)
    reasons = "; ".join(
        f"{reject.count} {signal}: {reject.reason}" if reject.count else reject.reason for reject in own
    )
    message = _trace_response(count, reasons) if signal == "spans" else _profiles_response(count, reasons)
    return _write(message, encoding)


def status(code: int, message: str, encoding: Encoding) -> bytes:
    """Write an error body.

    Args:
        code: of ``google.rpc.Code``, for instance 3 for INVALID_ARGUMENT.
        message: one sentence for the sender.
        encoding: that of the request.
    """
    return _write(status_pb2.Status(code=code, message=message), encoding)


def _trace_response(count: int, reasons: str) -> Message:
    response = messages.TraceResponse()
    if count or reasons:
        response.partial_success.rejected_spans = count
        response.partial_success.error_message = reasons[:_MAX_MESSAGE_CHARS]
    return response


def _profiles_response(count: int, reasons: str) -> Message:
    response = messages.ProfilesResponse()
    if count or reasons:
        response.partial_success.rejected_profiles = count
        response.partial_success.error_message = reasons[:_MAX_MESSAGE_CHARS]
    return response


def _write(message: Message, encoding: Encoding) -> bytes:
    if encoding == Encoding.JSON:
        return orjson.dumps(MessageToDict(message))
    return message.SerializeToString()
