"""When to try again, and after how long: values and arithmetic, no clock and no sleep."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Final

MAX_RETRY_AFTER_S: Final = 300.0
"""A server that asks for a longer pause is asked again after this one."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential backoff with full jitter (Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).

    Attributes:
        base_s: upper end of the first pause; it doubles with every further one.
        cap_s: upper end of any pause.
    """

    base_s: float = 0.25
    cap_s: float = 10.0

    def pause_s(self, attempt: int, luck: float, retry_after_s: float | None = None) -> float:
        """How long to wait after an attempt.

        Args:
            attempt: 0 after the first attempt.
            luck: a random number in [0, 1).
            retry_after_s: what the server asked for; at least that is waited, so a fleet does not come back at once
                the jitter goes on top of it.
        """
        jitter_s = luck * min(self.cap_s, self.base_s * 2.0 ** min(attempt, 30))
        return jitter_s if retry_after_s is None else retry_after_s + luck * self.base_s


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """The pause that an answer asks for, in seconds, between 0 and `MAX_RETRY_AFTER_S` (RFC 9110 §10.2.3).

    A date counts from the answer's own ``Date``, so no clock needs to be right but the server's. None when the header
    is missing or cannot be read.

    Args:
        headers: of the answer, names in lower case or case-insensitive.
    """
    text = headers.get("retry-after", "").strip()
    wanted_s = float(text) if text.isdecimal() and text.isascii() else _until_s(text, headers.get("date", ""))
    return None if wanted_s is None else min(max(wanted_s, 0.0), MAX_RETRY_AFTER_S)


def _until_s(text: str, now_text: str) -> float | None:
    then, now = _date(text), _date(now_text)
    if then is None or now is None:
        return None
    return (then.replace(tzinfo=None) - now.replace(tzinfo=None)).total_seconds()


def _date(text: str) -> datetime | None:
    try:
        return parsedate_to_datetime(text)
    except ValueError:
        return None
