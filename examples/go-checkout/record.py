"""Record the service's pprof endpoints, healthy, restarted and leaking, for tests where Go is absent. See README.md."""

import argparse
import json
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PPROF = "127.0.0.1:6160"
LEAKS = ["-leak-goroutines", "-leak-heap"]
HEALTHY = ("heap", "allocs", "goroutine", "mutex", "block")
LEAK_ROUNDS = 6


class Recorder:
    """Writes profiles into a folder and remembers what they are."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.recordings: list[dict[str, object]] = []

    def take(self, state: str, path: str, number: int) -> None:
        """Fetch one profile; `state` is healthy, restarted or leaking."""
        name = f"{state}-{path.partition('?')[0]}-{number}.pb.gz"
        from_ns = time.time_ns()
        with urllib.request.urlopen(f"http://{PPROF}/debug/pprof/{path}", timeout=30) as answer:
            (self._folder / name).write_bytes(answer.read())
        self.recordings.append(
            {
                "file": name,
                "path": f"/debug/pprof/{path}",
                "from_ns": from_ns,
                "until_ns": time.time_ns(),
                "leak_goroutines": state == "leaking",
                "leak_heap": state == "leaking",
                "round": number,
            }
        )


@contextmanager
def running(binary: str, *flags: str) -> Iterator[None]:
    """The service under its own customers, sending its spans nowhere."""
    command = [binary, "-address", "127.0.0.1:8160", "-pprof", PPROF, "-otlp", "off", "-load", "100", *flags]
    with subprocess.Popen(command) as process:
        try:
            yield
        finally:
            process.terminate()


def main() -> None:
    """Run the service three times and write the profiles and ``index.json``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("binary", help="built with GOEXPERIMENT=goroutineleakprofile, CGO_ENABLED=0 and -trimpath")
    parser.add_argument("folder", type=Path, help="where the recordings go")
    options = parser.parse_args()
    recorder = Recorder(options.folder)
    with running(options.binary):
        time.sleep(4)
        recorder.take("healthy", "profile?seconds=2", 0)
        for path in (*HEALTHY, "goroutineleak"):
            recorder.take("healthy", path, 0)
        time.sleep(6)
        for path in HEALTHY:
            recorder.take("healthy", path, 1)
    with running(options.binary):
        time.sleep(2)
        for path in ("allocs", "mutex", "block"):
            recorder.take("restarted", path, 0)
    with running(options.binary, *LEAKS):
        for number in range(LEAK_ROUNDS):
            time.sleep(4)
            recorder.take("leaking", "heap?gc=1", number)
            recorder.take("leaking", "goroutine", number)
        recorder.take("leaking", "goroutineleak", 0)
        recorder.take("leaking", "profile?seconds=2", 0)
    index = {"service": "go-checkout", "recordings": recorder.recordings}
    (options.folder / "index.json").write_text(json.dumps(index, indent=1) + "\n")


if __name__ == "__main__":
    main()
