"""Alerts and notifications to tell receivers, and a receiver on a socket that behaves as it is told."""

import http.server
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson

from correlate.alerting.fingerprint import fingerprint
from correlate.model.alerts import Alert, AlertStatus, Notification, Reason, Severity
from correlate.model.verdicts import Guard, Site, Tier, Verdict

S = 1_000_000_000
START_NS = 1_790_000_000 * S
HOSTILE = 'f<!channel>&`@here`|"><script>\x1b[31m\u202e\ud800' + "x" * 5000


def leak(service: str = "checkout", subject: str = "session.py:41 remember_session", **more: Any) -> Verdict:
    """A verdict about a leak."""
    given: dict[str, Any] = {
        "detector": "memory-leak",
        "service": service,
        "subject": subject,
        "tier": Tier.PAGE,
        "headline": "remember_session keeps 12.5 MiB per hour",
        "figures": {"growth_bytes_per_hour": 12.5 * 2**20, "limit_in_hours": 18.0, "p_ratio": 0.0004},
        "sites": (
            Site(
                "remember_session",
                "session.py",
                41,
                12.5 * 2**20,
                0.93,
                ("main", "serve", "checkout", "remember_session"),
                ("POST /checkout",),
            ),
        ),
        "guards": (Guard("plateau", passed=True, reason="it still grows"),),
        "minimum_detectable": 1048576.0,
    }
    return Verdict(**given | more)


def alert(verdict: Verdict | None = None, **more: Any) -> Alert:
    """A firing alert with evidence."""
    verdict = verdict or leak()
    given: dict[str, Any] = {
        "fingerprint": fingerprint(*verdict.identity),
        "episode": 1,
        "status": AlertStatus.FIRING,
        "verdict": verdict,
        "severity": Severity.CRITICAL,
        "owner": "team-shop",
        "started_ns": START_NS + 123_456_789,
        "since_ns": START_NS + 300 * S,
        "confirmed_ns": START_NS + 300 * S,
        "last_seen_ns": START_NS + 600 * S,
        "judged_until_ns": START_NS + 600 * S,
        "evidence": {
            "flame_graph": "https://correlate.example/cohorts?q=a&b=c",
            "difference": "https://correlate.example/compare?left=x",
            "grafana": "https://grafana.example/explore?x=1",
            "trace_1": "https://grafana.example/explore?trace=1",
        },
    }
    return Alert(**given | more)


def resolved(one: Alert, at_ns: int = START_NS + 3600 * S) -> Alert:
    """The same alert, gone."""
    from dataclasses import replace

    return replace(one, status=AlertStatus.RESOLVED, resolved_ns=at_ns, since_ns=at_ns)


def notification(*alerts: Alert, **more: Any) -> Notification:
    """A notification of some alerts, of one that fires unless said."""
    told = alerts or (alert(),)
    given: dict[str, Any] = {
        "id": 7,
        "key": "0123456789abcdef0123456789abcdef",
        "receiver": "hook",
        "group": '{}:{alertname="memory-leak", service="checkout"}',
        "reason": Reason.FIRST,
        "alerts": told,
        "created_ns": START_NS + 330 * S,
        "labels": {"alertname": "memory-leak", "service": "checkout"},
        "group_labels": {"alertname": "memory-leak", "service": "checkout"},
    }
    return Notification(**given | more)


@dataclass
class Request:
    """What a receiver got."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def key(self) -> str:
        """The idempotency key."""
        return self.headers.get("idempotency-key", "")

    def json(self) -> Any:
        """The body."""
        return orjson.loads(self.body)


@dataclass
class Answer:
    """How a receiver behaves: its answer, after a pause."""

    status: int = 200
    body: bytes = b"ok"
    headers: Mapping[str, str] = field(default_factory=dict)
    pause_s: float = 0.0


class Told:
    """A receiver that behaves as it is told, and remembers what it was asked and what it took."""

    def __init__(self) -> None:
        self.behave: Callable[[Request], Answer] = lambda _: Answer()
        self.asked: list[Request] = []
        self.taken: list[Request] = []
        self.url = ""

    @property
    def statuses(self) -> list[str]:
        """Firing or resolved, of what it took, repeats left out."""
        return [each.json()["status"] for each in {each.key: each for each in reversed(self.taken)}.values()][::-1]


@contextmanager
def receiver_on_socket(port: int = 0) -> Iterator[Told]:
    """Run a receiver while the block lasts."""
    told = Told()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _any(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.command, self.path, headers, body)
            told.asked.append(request)
            answer = told.behave(request)
            time.sleep(answer.pause_s)
            if 200 <= answer.status < 300:
                told.taken.append(request)
            try:
                self.send_response(answer.status)
                for name, value in {"content-length": str(len(answer.body)), **answer.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer.body)
            except OSError:
                self.close_connection = True  # whoever asked is gone

        do_POST = do_PUT = do_PATCH = do_GET = _any  # noqa: N815 the names are http.server's

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    told.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield told
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
