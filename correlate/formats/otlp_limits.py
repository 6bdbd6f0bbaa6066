"""How many items an OTLP request may hold, told before memory is spent on them.

An empty message takes two bytes on the wire and some hundred in columns, so that a body within the limit of bytes
(which compresses to next to nothing) could ask for many times as much memory.
"""

from typing import Final

import pyarrow as pa
from google.protobuf.message import Message

from correlate.errors import TooLarge
from correlate.formats import wire
from correlate.formats.arrow import ragged

MAX_ITEMS: Final = 2_000_000
"""Items of one kind (spans, samples, locations …) in one request."""

_MAX_ATTRIBUTES: Final = 4_000_000
_SMALLEST_ITEM_BYTES: Final = 2


def check_counts(skeleton: type[Message], body: bytes) -> None:
    """Count the items of a request, unless the body is too short to hold too many.

    Args:
        skeleton: a message of ``otlp_skeleton.proto``.
        body: the request.

    Raises:
        TooLarge: there are too many of one kind, which is named.
        Malformed: the bytes are not the message.
    """
    if len(body) > _SMALLEST_ITEM_BYTES * MAX_ITEMS:
        batch = wire.decode(skeleton, [body])
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            _check(name, column)


def _check(name: str, column: pa.Array) -> None:
    if isinstance(column, pa.StructArray):
        for at, child in enumerate(column.type):
            _check(child.name, column.field(at))
    elif isinstance(column, pa.LargeListArray):
        items = ragged(column).values
        limit = _MAX_ATTRIBUTES if name == "attributes" else MAX_ITEMS
        if len(items) > limit:
            raise TooLarge(f"the request holds {len(items):,} {name} (limit {limit:,}); send smaller batches")
        _check(name, items)
