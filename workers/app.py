"""The Celery application: how tasks travel."""

import logging
from typing import Any, Final

from celery import Celery

from workers import names
from workers.runtime import Runtime

_OPTIONS: Final[dict[str, dict[str, Any]]] = {
    # Queues within the process are polled; half a second of delay is nothing to what happens every few seconds.
    "memory": {"polling_interval": 0.5},
    # Without limits a broker that hangs would hang whoever asks it.
    "redis": {
        "socket_timeout": 10.0,
        "socket_connect_timeout": 5.0,
        "socket_keepalive": True,
        "retry_on_timeout": True,
        "visibility_timeout": 600,
        "global_keyprefix": "correlate:",
    },
}


class App(Celery):  # type: ignore[misc]  # Celery has no types
    """A Celery application whose tasks find what they work with.

    Attributes:
        runtime: set by whoever composes the process; beat, which does nothing itself, has none.
    """

    runtime: Runtime | None = None


def quieten() -> None:
    """Leave what happens every few seconds out of the log; warnings and errors stay."""
    for name in ("celery", "kombu", "httpx", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)


def create_app(broker_url: str, runtime: Runtime | None = None) -> App:
    """Build the application.

    Nothing waits for results. A task is acknowledged when it is done, and may come twice or not at all: what is due
    follows from the state database, and the next turn of the clock asks again.

    Args:
        broker_url: ``memory://``, ``redis://…``, ``amqp://…``.
        runtime: what tasks work with.
    """
    quieten()
    # Without a host kombu warns that it makes one up.
    url = f"{broker_url}localhost" if broker_url == "memory://" else broker_url
    app = App("correlate", broker=url, include=["workers.tasks"], set_as_current=False)
    app.set_default()  # how the threads of a worker find it: what is current belongs to one thread
    app.runtime = runtime
    scheme = broker_url.partition("://")[0].partition("+")[0].replace("rediss", "redis").replace("valkey", "redis")
    app.conf.update(
        task_default_queue=names.QUEUE,
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        task_acks_late=True,
        worker_prefetch_multiplier=1,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_send_task_events=False,
        worker_enable_remote_control=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options=_OPTIONS.get(scheme, {}),
        task_publish_retry_policy={"max_retries": 3, "interval_start": 0.2, "interval_step": 0.5},
        enable_utc=True,
        timezone="UTC",
    )
    return app
