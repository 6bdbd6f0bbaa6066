"""How many values a JSON body holds, told before memory is spent on them."""

from correlate.errors import TooLarge
from correlate.formats.limits import MAX_JSON_VALUES


def check_values(body: bytes) -> None:
    """Count the marks that come before values; those inside of strings are counted too, which does no harm.

    Raises:
        TooLarge: there are more than MAX_JSON_VALUES.
    """
    count = sum(body.count(mark) for mark in (b",", b"[", b"{"))
    if count > MAX_JSON_VALUES:
        raise TooLarge(
            f"the JSON holds {count:,} values (limit {MAX_JSON_VALUES:,}); send smaller batches, or protobuf"
        )
