"""The way in with a pipeline."""

from concurrent.futures import Future

from correlate.api.receivers.intake import Stored
from correlate.model.payload import PayloadKind, RawPayload
from correlate.model.pipeline import Action, ActionKind, Condition, Matcher, Step
from correlate.ports import Receipt
from correlate.services.ingest import AcceptedTimes, Ingest
from correlate.tables.pipeline import Dropped
from correlate.tables.tables import Reject, Tables, concat
from tests.support.rows import T0, profile, spans, with_series
from tests.support.store import FixedClock

PAYLOAD = RawPayload(PayloadKind.OTLP_TRACES, b"", T0)


class FakeSink:
    """Remembers what it was given."""

    def __init__(self) -> None:
        self.submitted: list[Tables] = []

    def submit(self, tables: Tables) -> "Future[Receipt]":
        self.submitted.append(tables)
        done: Future[Receipt] = Future()
        done.set_result(Receipt(len(tables.spans), len(tables.samples), len(tables.profiles), 0))
        return done


def received() -> Tables:
    """A span and a profile of two services."""
    return concat([with_series(spans({"service": "shop"})), profile([{"value": 1}], service="shop-test")])


def test_what_is_left_out_is_told_and_counted_and_no_error() -> None:
    """The sender gets a remark that counts nothing; the metric counts; the request is not refused."""
    counted: list[Dropped] = []
    sink = FakeSink()
    tests = Matcher((Condition("service.name", "-test$"),), regexp=True)
    ingest = Ingest(
        sink,
        FixedClock(T0),
        AcceptedTimes(),
        lambda _: received(),
        steps=(
            Step("no tests", exclude=tests),
            Step("no shops", exclude=Matcher((Condition("service.name", "shop"),))),
        ),
        on_dropped=counted.append,
    )
    accepted = ingest.accept(PAYLOAD)
    assert [(each.step, each.signal.value, each.count) for each in counted] == [
        ("no shops", "spans", 1),
        ("no tests", "profiles", 1),
    ]
    assert [reject.count for reject in accepted.rejects] == [0, 0]
    assert "'no tests'" in accepted.rejects[1].reason
    assert not Stored(accepted.committed.result(), accepted.rejects).nothing_kept
    assert Stored(Receipt(0, 0, 0, 0), (*accepted.rejects, Reject("spans", 1, "bad"))).nothing_kept


def test_what_is_renamed_is_stored_under_its_new_name_with_its_old_hash() -> None:
    """A payload that is sent again is known, whatever the rules made of it."""
    sink = FakeSink()
    rename = Step("rename", actions=(Action(ActionKind.UPDATE, "service.name", "web"),))
    Ingest(sink, FixedClock(T0), AcceptedTimes(), lambda _: received(), steps=(rename,)).accept(PAYLOAD)
    (tables,) = sink.submitted
    assert set(tables.spans["service"]) == set(tables.profiles["service"]) == {"web"}
    assert tables.spans["payload"].to_list() == received().spans["payload"].to_list()
    assert tables.profiles["profile"].to_list() == received().profiles["profile"].to_list()
