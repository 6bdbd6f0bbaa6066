"""Forwarding at work in a process: a thread and a courier for each target."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol

from connectors.forward_grpc import GrpcCourier
from connectors.forward_http import HttpCourier
from correlate.model.forward import Target, TargetKind


class Running(Protocol):
    """What a process has running; `correlate.bootstrap.Services` is one."""

    @property
    def forward(self) -> Any:
        """A `correlate.services.forward.Forward`."""
        ...


def courier_for(target: Target) -> HttpCourier | GrpcCourier:
    """Who carries payloads to a target.

    Raises:
        ConfigError: its address or certificates cannot be used.
    """
    return GrpcCourier(target) if target.kind is TargetKind.OTLP_GRPC else HttpCourier(target)


@contextmanager
def running(services: Running) -> Iterator[None]:
    """Deliver what is queued, until the block is left; what still waits then is kept for the next start.

    Raises:
        ConfigError: a target cannot be used, or another process delivers from the same data_dir.
        StoreError: a queue cannot be opened.
    """
    with ExitStack() as stack:
        for lane in services.forward.lanes:
            delivery = services.forward.delivery(lane, courier_for(lane.target))
            stack.callback(delivery.stop)
            delivery.start()
        yield
