"""`python -m tests.quality`: score the joins and whatever else makes a statement; see docs/quality.md."""

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module

from tests.bench.report import machine, say
from tests.quality.report import Row, markdown, show
from tests.quality.seeds import SCORED

SCORES: Mapping[str, str] = {
    "labels": "tests.quality.labels:score",
    "window": "tests.quality.windows:score",
    "thread-time": "tests.quality.threads:score",
    "inherited": "tests.quality.inherited:score",
    "unmixed": "tests.quality.unmixed:score",
    "recordings": "tests.quality.recordings:score",
    "significance": "tests.quality.significance:score",
    "leaks": "tests.quality.leaks:score",
    "goroutines": "tests.quality.goroutine_leaks:score",
    "regressions": "tests.quality.regressions:score",
    "hotspots": "tests.quality.hotspots:score",
}
"""What can be scored, by name: a function of seeds that yields rows. To score more, add a line."""


def main() -> int:
    """Score what was asked for; 1 when a budget is missed."""
    options = _options()
    print(machine(), flush=True)
    seeds = list(SCORED[: options.seeds])
    print(f"seeds {seeds[0]} to {seeds[-1]}, never used for tuning", flush=True)
    rows = [row for name in options.rows for row in _scored(name, seeds)]
    if options.markdown:
        print(markdown(rows))
    else:
        show(rows)
    return int(any(row.met is False for row in rows))


def _scored(name: str, seeds: Sequence[int]) -> Iterable[Row]:
    say(f"{name}: begins")
    module, _, function = SCORES[name].partition(":")
    score: Callable[[Sequence[int]], Iterable[Row]] = getattr(import_module(module), function)
    for row in score(seeds):
        say(f"{name}: {row.condition}: {row.figure}")
        yield row


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.quality", description=__doc__)
    parser.add_argument("--rows", type=_rows, default=list(SCORES), help=f"some of {','.join(SCORES)}; default: all")
    parser.add_argument("--seeds", type=int, default=5, help="worlds for each condition")
    parser.add_argument("--markdown", action="store_true", help="print the table as it stands in the docs")
    return parser.parse_args()


def _rows(text: str) -> list[str]:
    rows = text.split(",")
    unknown = [row for row in rows if row not in SCORES]
    if unknown:
        raise argparse.ArgumentTypeError(f"no row {unknown[0]!r}; there are {', '.join(SCORES)}")
    return rows


if __name__ == "__main__":
    sys.exit(main())
