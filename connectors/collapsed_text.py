"""Names as they are written in collapsed stacks, where a semicolon separates frames and a line feed stacks."""

import re
from typing import Final

_ESCAPED: Final = re.compile(r"%(?=3B|0A|0D|25)|[;\n\r]")
"""What separates, and percent signs that would be taken for the beginning of an escape."""


def frame_name(name: str) -> str:
    """A name with what separates written as ``%3B``, ``%0A``, ``%0D``; nothing else is changed."""
    return _ESCAPED.sub(lambda found: f"%{ord(found[0]):02X}", name)
