"""Protobuf bytes to Arrow columns and back: the only module that knows the decoder library.

The decoder (ptars) is fast and young. When it refuses a call, the payloads are decoded one by one so that the broken
one is named and the others are kept, and each refused payload gets a second opinion from the generated class.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import DecodeError, Message
from ptars import HandlerPool, PtarsConfig

from correlate.errors import Malformed

I64 = npt.NDArray[np.int64]

# 64-bit offsets: a few large payloads decoded together may hold more than 2**31 list items or string bytes.
_CONFIG = PtarsConfig(use_large_string=True, use_large_binary=True, use_large_list=True)


@dataclass(frozen=True, slots=True)
class Decoded:
    """What became of several payloads.

    Attributes:
        batch: one row per payload that could be decoded, one column per field of the message.
        payload: which payload each row came from, ascending.
        errors: payload and reason of those that could not.
    """

    batch: pa.RecordBatch
    payload: I64
    errors: tuple[tuple[int, Malformed], ...] = ()


def decode(message: type[Message], payloads: Sequence[bytes]) -> pa.RecordBatch:
    """Decode protobuf messages to columns, one row per payload. Lists and strings have 64-bit offsets.

    Raises:
        Malformed: a payload is broken; the message says which.
    """
    decoded = decode_each(message, payloads)
    if decoded.errors:
        raise decoded.errors[0][1]
    return decoded.batch


def decode_each(message: type[Message], payloads: Sequence[bytes]) -> Decoded:
    """Decode what can be decoded; a broken payload costs only itself."""
    try:
        return Decoded(_fast(message, payloads), np.arange(len(payloads), dtype=np.int64))
    except Malformed:
        return _one_by_one(message, payloads)


def slow_decode(message: type[Message], payload: bytes) -> pa.RecordBatch:
    """Decode one payload by way of the generated class: a second opinion where the fast decoder refuses.

    Raises:
        Malformed: the generated class refuses it too.
    """
    try:
        parsed = message.FromString(payload)
    except DecodeError as error:
        raise Malformed(
            f"{len(payload)} bytes are cut off, or of another format: they do not decode as the protobuf message "
            f"{message.DESCRIPTOR.full_name} ({error})"
        ) from error
    parsed.DiscardUnknownFields()
    return _fast(message, [parsed.SerializeToString()])


def encode(message: type[Message], batch: pa.RecordBatch) -> list[bytes]:
    """Encode rows of columns, laid out as `decode` gives them, to protobuf messages."""
    encoded: list[bytes] = _handler(message).record_batch_to_array(batch).to_pylist()
    return encoded


def empty(message: type[Message]) -> pa.RecordBatch:
    """No rows, with the columns of a message."""
    return _fast(message, [])


def schema(message: type[Message]) -> pa.Schema:
    """The columns a message decodes to, and must have to be encoded."""
    return _handler(message).schema()


def _one_by_one(message: type[Message], payloads: Sequence[bytes]) -> Decoded:
    batches, kept, errors = [empty(message)], [], []
    for index, payload in enumerate(payloads):
        try:
            batches.append(_either(message, payload))
            kept.append(index)
        except Malformed as error:
            prefix = f"message {index + 1} of {len(payloads)}: " if len(payloads) > 1 else ""
            errors.append((index, Malformed(f"{prefix}{error}")))
    return Decoded(pa.concat_batches(batches), np.array(kept, np.int64), tuple(errors))


def _either(message: type[Message], payload: bytes) -> pa.RecordBatch:
    try:
        return _fast(message, [payload])
    except Malformed:
        return slow_decode(message, payload)


def _fast(message: type[Message], payloads: Sequence[bytes]) -> pa.RecordBatch:
    try:
        return _handler(message).list_to_record_batch(list(payloads))
    except ValueError as error:
        raise Malformed(f"not a {message.DESCRIPTOR.full_name} message: {error}") from error


def _handler(message: type[Message]) -> Any:
    return _handler_of(message.DESCRIPTOR)


@cache
def _handler_of(descriptor: Descriptor) -> Any:
    return HandlerPool([descriptor.file], config=_CONFIG).get_for_message(descriptor)
