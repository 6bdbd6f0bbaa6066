"""Worker and clock within `correlate serve`: as threads, over queues in memory unless a broker is configured."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from celery.beat import Service
from celery.worker import WorkController, state

from correlate.bootstrap import Services
from workers import names, schedule
from workers.app import App, create_app
from workers.runtime import runtime_of

_LOG: Final = logging.getLogger(__name__)
_START_S: Final = 10.0


@contextmanager
def running(services: Services) -> Iterator[None]:
    """Pull the configured sources and tell the configured receivers until the block is left; without any: nothing.

    Raises:
        ConfigError: the sources or receivers are wrong; the message lists every mistake.
        StoreError: the state database failed.
    """
    with runtime_of(services) as runtime:
        if not (runtime.plans or runtime.recipients):
            yield
            return
        app = create_app(services.settings.broker_url, runtime)
        entries = [*schedule.pulls(list(runtime.plans.values())), *(schedule.NOTIFYING if runtime.recipients else ())]
        with _worker(app, services), _clock(schedule.beat(app, entries)):
            schedule.ask_now(app, entries)
            yield


@contextmanager
def _worker(app: App, services: Services) -> Iterator[None]:
    ready = threading.Event()
    worker = WorkController(
        app=app,
        hostname=f"embedded@{services.pull.holder}",
        pool_cls="threads",
        concurrency=services.settings.worker_threads,
        queues=[names.QUEUE],
        ready_callback=lambda _consumer: ready.set(),
        without_heartbeat=True,
        without_mingle=True,
        without_gossip=True,
    )
    state.should_stop = state.should_terminate = None
    thread = threading.Thread(target=worker.start, name="worker", daemon=True)
    thread.start()
    if not ready.wait(_START_S):
        _LOG.warning("the worker waits for its broker")
    try:
        yield
    finally:
        services.pull.stop()
        services.notify.stop()
        state.should_stop = 0  # how Celery tells a worker's loop to end
        thread.join()
        services.pull.close()


@contextmanager
def _clock(service: Service) -> Iterator[None]:
    thread = threading.Thread(target=service.start, name="beat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        service.stop()
        thread.join()
