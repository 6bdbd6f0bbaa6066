"""What becomes of a task that fails: read off the class of the error, in one place."""

import logging
from enum import StrEnum
from typing import Any, Final

from celery import Task

from correlate.errors import CorrelateError, Overloaded, SourceTooSlow

_LOG: Final = logging.getLogger(__name__)
_FIRST_PAUSE_S: Final = 5.0
_LONGEST_PAUSE_S: Final = 300.0
_MAX_RETRIES: Final = 8


class Fate(StrEnum):
    """What to do."""

    AGAIN = "again"
    DROP = "drop"  # trying again would end the same way, and the reason is told elsewhere
    DEFECT = "defect"  # not raised on purpose


def fate(error: BaseException) -> Fate:
    """What to do after an error."""
    if not isinstance(error, CorrelateError):
        return Fate.DEFECT
    return Fate.AGAIN if error.retry else Fate.DROP


def pause_s(error: BaseException, attempt: int) -> float:
    """How long to wait before an attempt, the first being 0: as long as was asked for, else longer each time."""
    wanted_s = error.retry_after_s if isinstance(error, Overloaded | SourceTooSlow) else None
    return wanted_s or min(_FIRST_PAUSE_S * 2.0**attempt, _LONGEST_PAUSE_S)


class Handled(Task):  # type: ignore[misc]  # Celery has no types
    """A task whose errors meet their fate."""

    max_retries = _MAX_RETRIES

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run it."""
        try:
            return self.run(*args, **kwargs)
        except CorrelateError as exc:
            if fate(exc) is Fate.AGAIN:
                raise self.retry(exc=exc, countdown=pause_s(exc, self.request.retries)) from exc
            _LOG.warning("task %s %s failed: %s", self.name, kwargs, exc)
            return None
