"""The queue on disk of a forwarding target."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from correlate.errors import ConfigError, StoreError
from correlate.model.payload import Encoding, PayloadKind, RawPayload
from correlate.storage.outbox import DiskOutbox
from correlate.storage.outbox_log import SegmentLog
from correlate.storage.parcels import pack, unpack


def payload(number: int, size_bytes: int = 10) -> RawPayload:
    """Something that can be told from the others."""
    body = number.to_bytes(4, "big") + os.urandom(size_bytes)
    return RawPayload(PayloadKind.OTLP_TRACES, body, number, sender="tests")


def number_of(one: RawPayload | None) -> int:
    """Which one it is."""
    assert one is not None
    return int.from_bytes(one.body[:4], "big")


def outbox(folder: Path, **options: int) -> DiskOutbox:
    """A queue with small files."""
    return DiskOutbox(folder, **{"max_bytes": 1 << 20, "segment_bytes": 500} | options, fsync=False)


def drained(queue: DiskOutbox) -> list[int]:
    """Everything that waits, in order."""
    numbers = []
    while (one := queue.first(wait_s=0)) is not None:
        numbers.append(number_of(one))
        queue.done()
    return numbers


@given(
    st.binary(max_size=300),
    st.sampled_from(PayloadKind),
    st.sampled_from(Encoding),
    st.text(max_size=20),
    st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3),
)
def test_what_is_written_is_read(
    body: bytes, kind: PayloadKind, encoding: Encoding, text: str, params: dict[str, str]
) -> None:
    """A payload comes back byte for byte with everything that is known of it."""
    one = RawPayload(kind, body, 12345678901234567, encoding, text, text, params)
    assert unpack(pack(one)) == one


def test_first_in_first_out_through_many_files(tmp_path: Path) -> None:
    """Order is kept over the borders of files, and files that are done are deleted."""
    queue = outbox(tmp_path)
    for number in range(50):
        assert queue.put(payload(number, 100), wait_s=0)
    assert len(list(tmp_path.glob("*.seg"))) > 5
    assert queue.waiting_count == 50
    assert drained(queue) == list(range(50))
    assert (queue.waiting_count, queue.waiting_bytes) == (0, 0)
    assert len(list(tmp_path.glob("*.seg"))) == 1
    queue.close()


def test_what_waits_survives_a_restart(tmp_path: Path) -> None:
    """A queue that is opened again goes on where it was."""
    first = outbox(tmp_path)
    for number in range(20):
        first.put(payload(number, 100), wait_s=0)
    for _ in range(7):
        first.first(wait_s=0)
        first.done()
    waiting = first.waiting_bytes
    first.close()
    again = outbox(tmp_path)
    assert (again.waiting_count, again.waiting_bytes) == (13, waiting)
    again.put(payload(20), wait_s=0)
    assert drained(again) == list(range(7, 21))
    again.close()


@settings(max_examples=60)
@given(st.lists(st.sampled_from(["put", "take", "reopen", "peek"]), max_size=40), st.integers(1, 400))
def test_it_behaves_like_a_list(tmp_path_factory: pytest.TempPathFactory, steps: list[str], segment_bytes: int) -> None:
    """Whatever is done to it in whatever order, restarts included, it gives what a list would."""
    folder = tmp_path_factory.mktemp("queue")
    log, model = SegmentLog(folder, segment_bytes=segment_bytes, fsync=False), list[bytes]()
    for number, step in enumerate(steps):
        if step == "put":
            model.append(b"%d" % number * (number % 7))
            log.append(model[-1])
        elif step == "take" and model:
            assert log.first() == model.pop(0)
            log.done()
        elif step == "reopen":
            log.close()
            log = SegmentLog(folder, segment_bytes=segment_bytes, fsync=False)
        assert log.first() == (model[0] if model else None)
        assert log.pending_count == len(model)
    log.close()


@pytest.mark.parametrize("torn", [1, 5, 11, 12, 40])
def test_a_torn_end_is_cut_off(tmp_path: Path, torn: int) -> None:
    """The last record was being written when the process died: it is gone, the others and new ones are there."""
    queue = outbox(tmp_path, segment_bytes=1 << 20)
    for number in range(3):
        queue.put(payload(number), wait_s=0)
    queue.close()
    (file,) = tmp_path.glob("*.seg")
    whole = file.read_bytes()
    file.write_bytes(whole + whole[:torn])
    again = outbox(tmp_path)
    again.put(payload(3), wait_s=0)
    assert drained(again) == [0, 1, 2, 3]
    again.close()


def test_damage_costs_one_file_at_most(tmp_path: Path) -> None:
    """A disk that forgets bits is noticed, and what is in the other files is delivered."""
    queue = outbox(tmp_path)
    for number in range(20):
        queue.put(payload(number, 100), wait_s=0)
    queue.close()
    second = sorted(tmp_path.glob("*.seg"))[1]
    data = bytearray(second.read_bytes())
    data[20] ^= 255
    second.write_bytes(data)
    again = outbox(tmp_path)
    left = drained(again)
    assert left == sorted(left)
    assert {0, 19} <= set(left)
    assert again.lost_count > 0
    assert again.waiting_count == 0
    again.close()


def test_a_full_queue_says_so_within_the_time_given(tmp_path: Path) -> None:
    """Beyond its size nothing is taken; who waits is let in when room comes free."""
    queue = outbox(tmp_path, max_bytes=300)
    while queue.put(payload(1, 100), wait_s=0):
        pass
    assert not queue.put(payload(2), wait_s=0.01)
    taken = threading.Timer(0.05, lambda: (queue.first(wait_s=0), queue.done()))
    taken.start()
    assert queue.put(payload(3), wait_s=5.0)
    taken.join()
    queue.close()


def test_only_one_process_uses_a_queue(tmp_path: Path) -> None:
    """The second one is told what to do."""
    queue = outbox(tmp_path)
    with pytest.raises(ConfigError, match="data_dir of its own"):
        outbox(tmp_path)
    queue.close()


def test_a_folder_that_cannot_be_used_is_an_error(tmp_path: Path) -> None:
    """A file in the way is a fault of the store, in words."""
    (tmp_path / "taken").write_text("")
    with pytest.raises(StoreError, match="cannot be opened"):
        outbox(tmp_path / "taken")


def test_what_is_refused_can_be_looked_at(tmp_path: Path) -> None:
    """One line of JSON with the reason and the body."""
    queue = outbox(tmp_path)
    queue.refuse(payload(7), "no such thing")
    line = orjson.loads((tmp_path / "refused.jsonl").read_bytes())
    assert line["reason"] == "no such thing"
    assert line["body_b64"].startswith("AAAAB")
    queue.close()


def test_nothing_acknowledged_is_lost_by_kill_9(tmp_path: Path) -> None:
    """A process that is killed while it writes: what it said was kept is there, in order."""
    code = """
        import sys
        from pathlib import Path
        from correlate.model.payload import PayloadKind, RawPayload
        from correlate.storage.outbox import DiskOutbox
        queue = DiskOutbox(Path(sys.argv[1]), max_bytes=1 << 30, fsync=False, segment_bytes=5000)
        for number in range(10**9):
            body = number.to_bytes(4, "big") + bytes(number % 251 for number in range(number % 997))
            queue.put(RawPayload(PayloadKind.OTLP_TRACES, body, number), wait_s=0)
            print(number, flush=True)
            if number % 3 == 0:
                queue.first(wait_s=0), queue.done()
    """
    script = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "queue")]
    with subprocess.Popen(script, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) >= 300:
                break
        process.send_signal(signal.SIGKILL)
        told = max([300, *(int(rest) for rest in process.stdout.read().split())])
    queue = outbox(tmp_path / "queue")
    left = drained(queue)
    queue.close()
    assert left == list(range(left[0], left[-1] + 1))
    assert left[-1] >= told
    assert left[0] <= told // 3 + 1
