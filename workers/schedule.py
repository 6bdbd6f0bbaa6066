"""What is asked for, and how often; as data. The clock only asks: what is due follows from the watermarks."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from celery import Celery
from celery.beat import Scheduler, Service
from kombu.exceptions import OperationalError

from correlate.settings_detectors import DetectorSettings
from workers import names

_LOG: Final = logging.getLogger(__name__)
_MAINTENANCE_S: Final = 60.0
NOTIFY_S: Final = 2.0
"""How often it is looked whether somebody is to be told about alerts."""

_WATCH_S: Final = 15.0


@dataclass(frozen=True, slots=True)
class Entry:
    """A task, and how often it is asked for.

    Attributes:
        key: unique.
        task: its name.
        every_s: how often.
        kwargs: its arguments.
    """

    key: str
    task: str
    every_s: float
    kwargs: Mapping[str, str] = field(default_factory=dict)


MAINTENANCE: Final = (
    Entry("compact", names.COMPACT, _MAINTENANCE_S),
    Entry("expire", names.EXPIRE, _MAINTENANCE_S),
)
"""For processes that share a lake; one that serves alone does it in a thread."""


NOTIFYING: Final = (Entry("notify", names.NOTIFY, NOTIFY_S),)
"""Where somebody is to be told about alerts."""


def watching(settings: DetectorSettings) -> list[Entry]:
    """One entry per part of the services; none where nothing is watched."""
    every_s = min(_WATCH_S, float(settings.bucket_s))
    parts = [f"{shard}/{settings.shards}" for shard in range(settings.shards)] if settings.enable else []
    return [Entry(f"watch {part}", names.WATCH, every_s, {"shard": part}) for part in parts]


class Pulled(Protocol):
    """What has a name and wants to be pulled now and then."""

    @property
    def name(self) -> str:
        """Of the source."""
        ...

    @property
    def every_s(self) -> float:
        """How often to look whether something is due."""
        ...


def pulls(sources: Sequence[Pulled]) -> list[Entry]:
    """One entry per source."""
    return [Entry(f"pull {each.name}", names.PULL, each.every_s, {"source": each.name}) for each in sources]


def beat(app: Celery, entries: Sequence[Entry]) -> Service:
    """A clock for some entries; it remembers nothing, since it need not."""
    app.conf.beat_schedule = {
        # What nobody did before it is asked for again needs not be done twice.
        entry.key: _message(entry) | {"schedule": entry.every_s, "options": {"expires": max(entry.every_s, 1.0)}}
        for entry in entries
    }
    return Service(app, max_interval=1, scheduler_cls=Scheduler, remote_control=False)


def ask_now(app: Celery, entries: Sequence[Entry]) -> None:
    """Ask for everything once, instead of waiting for its first turn; without a broker it waits."""
    for entry in entries:
        try:
            app.send_task(entry.task, kwargs=dict(entry.kwargs), expires=max(entry.every_s, 1.0))
        except OperationalError as exc:
            _LOG.warning("the broker cannot be reached yet: %s", exc)
            return


def _message(entry: Entry) -> dict[str, Any]:
    return {"task": entry.task, "kwargs": dict(entry.kwargs)}
