"""`python -m tests.bench`: measure against the budgets; see docs/budgets.md."""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tests.bench import cohorts, decode, flame, ingest, report, span, upkeep, watch
from tests.bench.report import Measured
from tests.bench.store import Filled, filled

QUICK_SAMPLES = 2_000_000


@dataclass(frozen=True)
class Bench:
    """One run: where its files go, how much is stored, how long a client sends.

    Attributes:
        folder: temporary; removed at the end.
        kept: where the filled store is, or is to stay; None: in `folder`.
        samples: how many are stored.
        seconds: how long ingest is measured.
    """

    folder: Path
    kept: Path | None
    samples: int
    seconds: float

    @cached_property
    def store(self) -> Filled:
        """The filled store, made when the first row needs it."""
        return filled((self.kept or self.folder) / "store", self.samples)


ROWS: dict[str, Callable[[Bench], list[Measured]]] = {
    "decode": lambda _: decode.decode(),
    "ready": lambda bench: upkeep.ready(bench.folder),
    "ingest": lambda bench: ingest.ingest(bench.folder, bench.seconds),
    "spans": lambda bench: ingest.spans(bench.folder, bench.seconds),
    "watch": lambda bench: watch.watch(bench.folder),
    "size": lambda bench: upkeep.size(bench.store),
    "span": lambda bench: span.span(bench.store),
    "hour": lambda bench: flame.hour(bench.store),
    "cohort": lambda bench: [*flame.cohort(bench.store), *cohorts.cohort(bench.store)],
    "join": lambda bench: cohorts.join(bench.kept or bench.folder),
}


def main() -> int:
    """Measure what was asked for; 1 when a budget is missed."""
    options = _options()
    machine = report.machine()
    print(machine, flush=True)
    with tempfile.TemporaryDirectory(prefix="correlate-bench-") as folder:
        bench = Bench(Path(folder), options.store, options.samples, options.seconds)
        lines = [line for row in options.rows for line in ROWS[row](bench)]
    report.show(lines)
    return int(any(line.met is False for line in lines))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--rows", type=_rows, default=list(ROWS), help=f"some of {','.join(ROWS)}; default: all")
    parser.add_argument(
        "--samples",
        type=lambda text: int(text.replace("_", "").replace(",", "")),
        default=int(os.environ.get("BENCH_SAMPLES", QUICK_SAMPLES)),
        help="samples stored for size, span, hour and cohort; the budgets are meant for 50000000 [BENCH_SAMPLES]",
    )
    parser.add_argument("--seconds", type=float, default=15.0, help="how long each kind of ingest is measured")
    parser.add_argument("--store", type=Path, help="keep the filled store in this folder, or use the one there")
    return parser.parse_args()


def _rows(text: str) -> list[str]:
    rows = text.split(",")
    unknown = [row for row in rows if row not in ROWS]
    if unknown:
        raise argparse.ArgumentTypeError(f"no row {unknown[0]!r}; there are {', '.join(ROWS)}")
    return rows


if __name__ == "__main__":
    sys.exit(main())
