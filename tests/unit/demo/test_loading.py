"""Loading payloads without sockets."""

import gzip
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import pytest

from correlate.demo import loading, traffic
from correlate.errors import Malformed
from correlate.model.payload import Encoding, PayloadKind, RawPayload
from correlate.ports import Receipt
from correlate.services.ingest import AcceptedTimes, Ingest
from correlate.tables.tables import Reject, Tables
from tests.support.recordings import truth

REQUEST = traffic.Recorded(1.5, "/v1/traces", {"content-type": "application/json", "user-agent": "sdk"}, b"{}")
FOREVER = AcceptedTimes(retention_days=36_500)


class CountingSink:
    """Acknowledges at once, and counts the rows it got."""

    def __init__(self) -> None:
        self.waiting: list[Future[Receipt]] = []
        self.sample_rows = 0

    def submit(self, tables: Tables) -> "Future[Receipt]":
        """Count."""
        future: Future[Receipt] = Future()
        future.set_result(Receipt(len(tables.spans), len(tables.samples), len(tables.profiles), duplicates=1))
        self.waiting.append(future)
        self.sample_rows += len(tables.samples)
        return future


class Noon:
    """A clock that stands still."""

    def now_ns(self) -> int:
        """Some time in 2026."""
        return 1_790_000_000_000_000_000


def test_the_shipped_recording_is_loaded_completely_and_dated() -> None:
    """All spans and samples arrive, the latest of them shortly before the end that was asked for."""
    seen: list[Tables] = []

    class Keeping(CountingSink):
        def submit(self, tables: Tables) -> "Future[Receipt]":
            seen.append(tables)
            return super().submit(tables)

    sink = Keeping()
    end_ns = Noon().now_ns()
    loaded = loading.load_shipped(Ingest(sink, Noon(), FOREVER), end_ns)
    assert loaded.receipt.spans == len(truth(traffic.shipped()).spans)
    assert loaded.receipt.samples == sink.sample_rows > 0
    assert loaded.receipt.duplicates == len(sink.waiting)
    assert loaded.refused == {}
    latest = max(int((t.spans["start_ns"] + t.spans["duration_ns"]).to_numpy().max(initial=0)) for t in seen)
    assert end_ns - 60_000_000_000 < latest <= end_ns


def test_refusals_of_the_same_reason_are_added_up() -> None:
    """What was refused is told by reason, and the payloads that follow are loaded nevertheless."""

    def read(payload: RawPayload) -> Tables:
        return Tables(rejects=(Reject("spans", 2, "too old"), Reject("spans", 1, "too old"), Reject("spans", 5, "odd")))

    calls: list[int] = []
    ingest = Ingest(CountingSink(), Noon(), FOREVER, read)
    loaded = loading.load(ingest, [loading.payload_of(REQUEST)] * 3, lambda: calls.append(1))
    assert loaded.refused == {"too old": 9, "odd": 15}
    assert len(calls) == 3


def test_a_recorded_request_becomes_what_its_receiver_would_hand_on() -> None:
    """Path, query, headers and body are all used, and compression is undone."""
    headers = {"content-type": "application/proto", "content-encoding": "gzip", "user-agent": "py"}
    request = traffic.Recorded(1.5, "/ingest?name=shop.cpu&from=1", headers, gzip.compress(b"body"))
    made = loading.payload_of(request)
    assert (made.kind, made.body, made.encoding) == (PayloadKind.PYROSCOPE_INGEST, b"body", Encoding.PROTOBUF)
    assert (made.received_ns, made.sender, made.params) == (1_500_000_000, "py", {"name": "shop.cpu", "from": "1"})
    assert loading.payload_of(REQUEST).encoding is Encoding.JSON


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (replace(REQUEST, path="/v1/metrics"), "'/v1/metrics', where no spans or profiles go"),
        (replace(REQUEST, headers={"content-encoding": "br"}), "only gzip"),
    ],
)
def test_a_request_that_no_receiver_takes_is_refused_with_its_reason(request_: traffic.Recorded, words: str) -> None:
    """A recording may hold more than spans and profiles; the message says what."""
    with pytest.raises(Malformed, match=words):
        loading.payload_of(request_)


def test_a_demonstration_stays_in_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has a production server in the environment does not find demo data there; other settings still count."""
    monkeypatch.setenv("CORRELATE_LAKE_URL", "s3://production/lake")
    monkeypatch.setenv("CORRELATE_STATE_URL", "postgresql://production/state")
    monkeypatch.setenv("CORRELATE_RETENTION_DAYS", "7")
    made = loading.settings_within(tmp_path, http="127.0.0.1:0", otlp_http=None)
    assert made.resolved_lake_url == str(tmp_path / "lake")
    assert made.resolved_state_url == f"sqlite:///{tmp_path / 'state.db'}"
    assert (made.retention_days, made.http, made.otlp_http) == (7, "127.0.0.1:0", "127.0.0.1:4318")
