"""`correlate span` and `correlate services`."""

import sys
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console, Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from correlate.cli import flame_text
from correlate.cli.backend import Backend, backend
from correlate.errors import ConfigError
from correlate.flame import columns
from correlate.flame.labels import printable_one
from correlate.services.render import Format
from correlate.settings import Settings
from correlate.units import human

_SUFFIXES = {
    ".json": Format.JSON,
    ".html": Format.HTML,
    ".svg": Format.SVG,
    ".gz": Format.PPROF,
    ".pb": Format.PPROF,
    ".pprof": Format.PPROF,
    ".txt": Format.COLLAPSED,
    ".folded": Format.COLLAPSED,
}


def opened(settings: Settings, url: str | None, data_dir: Path | None) -> AbstractContextManager[Backend]:
    """The source of answers that the options mean."""
    return backend(settings, url, data_dir)


def format_of(output: Path | None) -> Format:
    """The format that a file name asks for.

    Raises:
        ConfigError: its suffix is not known.
    """
    if output is None or output.suffix not in _SUFFIXES:
        raise ConfigError(f"say what to write with --format, or name a file with one of {' '.join(_SUFFIXES)}")
    return _SUFFIXES[output.suffix]


def write_span(source: Backend, trace_id: str, span_id: str, params: dict[str, str], output: Path | None) -> None:
    """Write a span's profile to a file, or to standard output."""
    body = source.profile(trace_id, span_id, params)
    if output is None:
        sys.stdout.buffer.write(body)
    else:
        output.write_bytes(body)


def print_span(source: Backend, trace_id: str, span_id: str, params: dict[str, str], console: Console) -> None:
    """Draw a span's profile in the terminal."""
    answer = orjson.loads(source.profile(trace_id, span_id, params | {"format": "json"}))
    print_answer(answer, console)


def print_answer(answer: dict[str, Any], console: Console) -> None:
    """Print a JSON answer: what is known, the flame graph, where to go next."""
    tree = columns.parse(answer["flamegraph"])
    console.print(Group(_facts(answer), Text(), flame_text.render(tree, answer["unit"]), Text()))
    for name, url in answer["links"].items():
        if url:
            label = name.replace("_", " ")
            console.print(f"{label:>15}  {url}", style="dim", markup=False, highlight=False, soft_wrap=True)


def _facts(answer: dict[str, Any]) -> Table:
    span, coverage, confidence = answer["span"], answer["coverage"], answer["confidence"]
    grid = Table.grid(padding=(0, 2))
    grid.add_column(justify="right", style="dim")
    grid.add_column(overflow="fold")
    name = Text(printable_one(span["name"] or "(no name)"), style="bold")
    started = datetime.fromtimestamp(span["start_ns"] / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    grid.add_row("span", Text.assemble(name, f"  in {printable_one(span['service'])}, {span['span_id']}"))
    grid.add_row("when", f"{started} UTC, for {human(span['duration_ns'], 'nanoseconds')}")
    total = human(answer["total"], answer["unit"])
    grid.add_row("total", f"{total} of {answer['profile_type'].split(':')[1]}, scope {answer['scope']}")
    grid.add_row("samples", _samples(coverage))
    grid.add_row("method", f"{answer['method']}, {confidence['level']}: {confidence['reason']}")
    left = human(coverage["unattributed"], answer["unit"])
    grid.add_row("unattributed", f"{left} in the same profiles name no span")
    return grid


def _samples(coverage: dict[str, Any]) -> str:
    if coverage["expected_samples"] is None:
        return f"{coverage['samples']:,}"
    return (
        f"{coverage['samples']:,}, coverage {coverage['ratio']:.0%} "
        f"of the {coverage['expected_samples']:.0f} that a thread busy for the whole time would have"
    )


def print_services(source: Backend, console: Console) -> None:
    """Print services and their operations."""
    operations = source.operations()
    table = Table(box=None, header_style="dim", pad_edge=False)
    for heading, justify in (("service / operation", "left"), ("spans", "right"), ("errors", "right")):
        table.add_column(heading, justify=justify, overflow="fold")  # type: ignore[arg-type]  # a literal
    for heading in ("mean duration", "samples", "CPU labelled"):
        table.add_column(heading, justify="right")
    for service in source.services():
        ratio = service["cpu_labelled_ratio"]
        table.add_row(
            f"[bold]{escape(printable_one(service['service']))}[/]",
            f"{service['span_count']:,}",
            f"{service['error_count']:,}",
            "",
            f"{service['sample_count']:,}",
            "-" if ratio is None else f"{ratio:.0%}",
        )
        for operation in operations:
            if operation["service"] == service["service"]:
                table.add_row(
                    f"  {escape(printable_one(operation['name'] or '(no name)'))}",
                    f"{operation['span_count']:,}",
                    f"{operation['error_count']:,}",
                    human(operation["mean_duration_ns"], "nanoseconds"),
                )
    console.print(table if table.row_count else "nothing has arrived yet: try `correlate demo`")
