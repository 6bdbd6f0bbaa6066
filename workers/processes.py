"""`correlate worker` and `correlate beat`: processes of a service that runs on several machines."""

import signal
from typing import Final

from celery import signals

from correlate import bootstrap
from correlate.errors import ConfigError
from correlate.settings import Settings
from workers import names, schedule
from workers.app import create_app
from workers.runtime import runtime_of, sources_of

_MEMORY: Final = "memory://"


def run_worker(settings: Settings) -> None:
    """Do tasks until SIGTERM or SIGINT; what is under way is ended in time, or left to be done again.

    Raises:
        ConfigError: the configuration is wrong, or names no broker that processes could share.
        StoreError: the lake or the state database cannot be opened.
    """
    _check_broker(settings)
    with bootstrap.running(settings, maintain=False) as services, runtime_of(services) as runtime:
        app = create_app(settings.broker_url, runtime)

        def stop(**_: object) -> None:
            services.pull.stop()
            services.notify.stop()

        signals.worker_shutting_down.connect(stop)
        app.Worker(
            hostname=f"correlate@{services.pull.holder}",
            pool_cls="threads",
            concurrency=settings.worker_threads,
            queues=[names.QUEUE],
            quiet=True,
            without_mingle=True,
            without_gossip=True,
            without_heartbeat=True,
        ).start()
        services.pull.close()


def run_beat(settings: Settings) -> None:
    """Ask for what is due until SIGTERM or SIGINT.

    Raises:
        ConfigError: the configuration is wrong, or names no broker that processes could share.
    """
    _check_broker(settings)
    with sources_of(settings, bootstrap.SystemClock()) as sources:
        told = schedule.NOTIFYING if settings.receivers else ()
        watching = schedule.watching(settings.detectors)
        entries = [*schedule.pulls(sources), *schedule.MAINTENANCE, *watching, *told]
        app = create_app(settings.broker_url)
        service = schedule.beat(app, entries)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: service.stop())
        schedule.ask_now(app, entries)
        service.start()


def _check_broker(settings: Settings) -> None:
    if settings.broker_url.startswith(_MEMORY):
        raise ConfigError(
            "broker_url is memory://, which processes cannot share: set broker_url to redis://… or amqp://…, or run "
            "`correlate serve`, which needs no broker"
        )
