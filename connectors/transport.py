"""Connections that keep to a deadline whatever the server does.

httpx limits each single read; a server that sends a byte now and then is waited for without end, in the middle of
its headers even where nobody looks between two reads. Here every operation on the socket gets what is left of the
request's time.
"""

import math
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import httpcore
import httpx


class Budget(threading.local):
    """How long the request of the current thread may still take."""

    ends_s: float = math.inf

    def __init__(self, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._monotonic_s = monotonic_s

    @contextmanager
    def of(self, seconds_s: float) -> Iterator[None]:
        """Everything this thread does on the network inside the block ends within some seconds."""
        self.ends_s = self._monotonic_s() + seconds_s
        try:
            yield
        finally:
            self.ends_s = math.inf

    def left_s(self) -> float:
        """Seconds left, infinite outside of a block, negative when it is over."""
        return self.ends_s - self._monotonic_s()

    def clip_s(self, timeout_s: float | None, over: type[Exception]) -> float | None:
        """The shorter of a timeout and what is left.

        Raises:
            Exception: of the class `over`, when nothing is left.
        """
        left_s = self.left_s()
        if left_s <= 0:
            raise over("the deadline of the request is over")
        shortest_s = left_s if timeout_s is None else min(timeout_s, left_s)
        return None if math.isinf(shortest_s) else shortest_s


class _Stream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream, budget: Budget) -> None:
        self._inner = inner
        self._budget = budget

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._budget.clip_s(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._budget.clip_s(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left_s = self._budget.clip_s(timeout, httpcore.ConnectTimeout)
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, left_s), self._budget)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _Backend(httpcore.NetworkBackend):
    def __init__(self, budget: Budget) -> None:
        self._inner = httpcore.SyncBackend()
        self._budget = budget

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        left_s = self._budget.clip_s(timeout, httpcore.ConnectTimeout)
        return _Stream(self._inner.connect_tcp(host, port, left_s, local_address, socket_options), self._budget)


class BoundedTransport(httpx.HTTPTransport):
    """httpx's transport over connections that keep to a `Budget`."""

    def __init__(self, context: ssl.SSLContext, budget: Budget, *, max_connections: int = 16) -> None:
        super().__init__(verify=context, trust_env=False)
        # httpx has no public way to hand in a network backend; that this one is used is checked by a test.
        self._pool = httpcore.ConnectionPool(
            ssl_context=context,
            max_connections=max_connections,
            max_keepalive_connections=max_connections,
            keepalive_expiry=30.0,
            network_backend=_Backend(budget),
        )
