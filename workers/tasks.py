"""The tasks: each asks one service for one thing, and asking twice changes nothing."""

from celery import shared_task

from correlate.errors import ConfigError
from workers import names
from workers.app import App
from workers.retry import Handled
from workers.runtime import Runtime


@shared_task(bind=True, base=Handled, name=names.PULL)
def pull(task: Handled, source: str) -> None:
    """Pull what is due of a source, unless another process does."""
    _runtime(task).pull(source)


@shared_task(bind=True, base=Handled, name=names.COMPACT)
def compact(task: Handled) -> None:
    """Merge small files of the lake, unless another process does."""
    _runtime(task).services.upkeep.compact()


@shared_task(bind=True, base=Handled, name=names.EXPIRE)
def expire(task: Handled) -> None:
    """Drop what is too old, unless another process does."""
    _runtime(task).services.upkeep.expire()


@shared_task(bind=True, base=Handled, name=names.REPLAY)
def replay(task: Handled, source: str | None = None) -> None:
    """Try dead letters again."""
    _runtime(task).services.replay.all(source)


@shared_task(bind=True, base=Handled, name=names.WATCH)
def watch(task: Handled, shard: str) -> None:
    """Observe what is due of a part of the services, and judge it, unless another process does."""
    _runtime(task).watch(shard)


@shared_task(bind=True, base=Handled, name=names.NOTIFY)
def notify(task: Handled) -> None:
    """Decide who is to be told about alerts, and tell them what is due."""
    _runtime(task).notify()


def _runtime(task: Handled) -> Runtime:
    app = task.app
    if not isinstance(app, App) or app.runtime is None:
        raise ConfigError("this process was composed without services; start workers by `correlate worker`")
    return app.runtime
