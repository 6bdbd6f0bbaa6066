"""The parts of a ``multipart/form-data`` body (RFC 7578)."""

import re

from correlate.errors import Malformed

_BOUNDARY = re.compile(r'boundary="?([^";,]{1,70})"?', re.IGNORECASE)
_NAME = re.compile(rb'content-disposition:[^\r\n]*?[; ]name="?([^";\r\n]*)"?', re.IGNORECASE)

MAX_PARTS = 32


def parts(body: bytes, content_type: str) -> dict[str, bytes]:
    """Split a body into its parts by name; of a name that occurs twice the last part counts.

    Raises:
        Malformed: no boundary, no end, no names, or more than MAX_PARTS parts.
    """
    found = _BOUNDARY.search(content_type)
    if found is None:
        raise Malformed(f"the content type {content_type[:200]!r} names no boundary between the parts")
    pieces = (b"\r\n" + body).split(b"\r\n--" + found[1].strip().encode("latin-1", "replace"))
    if len(pieces) < 3 or not pieces[-1].startswith(b"--"):
        raise Malformed("the multipart body is not closed by its boundary: it may have been cut off")
    if len(pieces) - 2 > MAX_PARTS:
        raise Malformed(f"the multipart body has {len(pieces) - 2} parts (limit {MAX_PARTS})")
    return dict(_part(piece) for piece in pieces[1:-1])


def _part(piece: bytes) -> tuple[str, bytes]:
    head, separator, content = piece.partition(b"\r\n\r\n")
    name = _NAME.search(head)
    if not separator or name is None:
        raise Malformed("a part of the multipart body has no name in its Content-Disposition")
    return name[1].decode("utf-8", "replace"), content
