"""The recorder of the example writes what the replay reads."""

import runpy
import threading
from pathlib import Path

import httpx

from correlate.demo.traffic import Recorded, read

RECORD = Path(__file__).parents[3] / "examples" / "checkout-python" / "record.py"


def test_what_is_posted_is_what_is_read(tmp_path: Path) -> None:
    """Path, the headers that matter and the body as sent come back from the recording."""
    out_path = tmp_path / "recording.jsonl"
    headers = {"content-type": "application/proto", "content-encoding": "gzip", "user-agent": "client/1"}
    with out_path.open("w", encoding="utf-8") as out, runpy.run_path(str(RECORD))["Recorder"](0, out) as recorder:
        thread = threading.Thread(target=recorder.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        url = f"http://127.0.0.1:{recorder.server_address[1]}"
        with httpx.Client(headers={"x-secret": "token"}) as client:
            assert client.post(f"{url}/v1/traces?a=1", content=b"\x1f\x8bnot text", headers=headers).is_success
        recorder.shutdown()
        thread.join()
    (recorded,) = read(out_path)
    assert recorded == Recorded(recorded.received_at_s, "/v1/traces?a=1", headers, b"\x1f\x8bnot text")
