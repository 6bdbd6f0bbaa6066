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
from workers.runtime import Runtime, runtime_of

_LOG: Final = logging.getLogger(__name__)
_START_S: Final = 10.0


@contextmanager
def running(services: Services) -> Iterator[None]:
    """Watch services, pull the configured sources and tell the configured receivers until the block is left.

    Raises:
        ConfigError: the sources or receivers are wrong; the message lists every mistake.
        StoreError: the state database failed.
    """
    with runtime_of(services) as runtime:
        entries = [*schedule.pulls(list(runtime.plans.values())), *schedule.watching(services.settings.detectors)]
        if not (entries or runtime.recipients):
            yield
            return
        app = create_app(services.settings.broker_url, runtime)
        with _telling(runtime), _worker(app, services), _clock(schedule.beat(app, entries)):
            schedule.ask_now(app, entries)
            yield


@contextmanager
def _telling(runtime: Runtime) -> Iterator[None]:
    """Tell receivers about alerts in a thread of its own: long work in all threads of the worker must not delay it."""
    stop = threading.Event()

    def tell() -> None:
        while not stop.wait(schedule.NOTIFY_S):
            try:
                runtime.notify()
            except Exception:  # noqa: BLE001 the thread must live; the next turn comes soon
                _LOG.exception("telling receivers about alerts stumbled")

    thread = threading.Thread(target=tell, name="notify", daemon=True)
    if runtime.recipients:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        if runtime.recipients:
            thread.join()


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
