"""What the query commands share: asking, files, and answers with a flame graph; and `correlate services`."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console, Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from correlate.cli import flame_text, tables
from correlate.cli.backend import Backend, backend
from correlate.cli.tables import shown
from correlate.errors import ConfigError
from correlate.flame import columns
from correlate.flame.labels import printable_one
from correlate.flame.tree import Tree
from correlate.services.render import Format
from correlate.settings import Settings
from correlate.units import human

_TOP = 8
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


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for.

    Attributes:
        path: beneath ``/api/v1``.
        params: of the query, without the format.
    """

    path: str
    params: Mapping[str, str]


def opened(settings: Settings, url: str | None, data_dir: Path | None) -> AbstractContextManager[Backend]:
    """The source of answers that the options mean."""
    return backend(settings, url, data_dir)


def chosen(wanted: Format | None, *, as_json: bool) -> Format | None:
    """The format that ``--format`` and ``--json`` ask for together."""
    return Format.JSON if as_json and wanted is None else wanted


def format_of(output: Path | None) -> Format:
    """The format that a file name asks for.

    Raises:
        ConfigError: its suffix is not known.
    """
    if output is None or output.suffix not in _SUFFIXES:
        raise ConfigError(f"say what to write with --format, or name a file with one of {' '.join(_SUFFIXES)}")
    return _SUFFIXES[output.suffix]


def answer(
    source: Backend,
    asked: Asked,
    wanted: Format | None,
    output: Path | None,
    show: Callable[[dict[str, Any]], None],
) -> None:
    """Ask, and write the answer: in a format, to a file or to standard output, else for people.

    Args:
        source: who is asked.
        asked: what.
        wanted: the format; None: that of the file, or for people where there is none.
        output: the file.
        show: prints the answer for people.

    Raises:
        ConfigError: the file's name does not tell the format.
    """
    if wanted is None and output is None:
        with waiting():
            found = source.json(asked.path, asked.params)
        show(found)
        return
    form = wanted or format_of(output)
    with waiting():
        body = source.get(asked.path, {**asked.params, "format": form.value})
    if output is None:
        sys.stdout.buffer.write(body)
        sys.stdout.buffer.flush()
    else:
        output.write_bytes(body)


@contextmanager
def waiting() -> Iterator[None]:
    """Something that moves while an answer is waited for, where a person watches."""
    with Console(stderr=True).status("asking …"):
        yield


def print_span(source: Backend, trace_id: str, span_id: str, params: Mapping[str, str], console: Console) -> None:
    """Draw a span's profile in the terminal."""
    print_answer(orjson.loads(source.profile(trace_id, span_id, {**params, "format": "json"})), console)


def print_answer(answer: dict[str, Any], console: Console) -> None:
    """Print the JSON answer of a span or a cohort: what is known, the flame graph, where to go next."""
    tree = columns.parse(answer["flamegraph"])
    frames = answer.get("frames") or []
    print_doubts(answer, console)
    console.print(Group(_facts(answer), Text(), _drawn(tree, answer, top_count=0 if frames else _TOP), Text()))
    if frames:
        whole = "of all stacks, not only of those shown above\n" if answer.get("kept") else ""
        console.print(Text(whole, style="dim"), tables.shares(frames, answer["unit"]), Text(), sep="")
    for name, url in answer["links"].items():
        if url:
            label = name.replace("_", " ")
            console.print(f"{label:>15}  {url}", style="dim", markup=False, highlight=False, soft_wrap=True)


def print_doubts(answer: dict[str, Any], console: Console, whose: str = "") -> None:
    """Say first that an answer is not exact, where it is not."""
    sure = answer["confidence"]
    if sure["level"] == "exact":
        return
    what = f"{whose}{sure['level']}, not exact, by {answer['method']}"
    bound = f"up to {sure['error_bound']:.0%} of the total may belong elsewhere"
    text = f"{what[:1].upper()}{what[1:]}: {bound} ({sure['reason']})."
    console.print(Text(printable_one(text), style="bold yellow"), soft_wrap=True)


def _drawn(tree: Tree, answer: dict[str, Any], top_count: int) -> flame_text.FlameText:
    return flame_text.render(tree, answer["unit"], top_count=top_count)


def _facts(answer: dict[str, Any]) -> Table:
    coverage, confidence = answer["coverage"], answer["confidence"]
    grid = Table.grid(padding=(0, 2))
    grid.add_column(justify="right", style="dim")
    grid.add_column(overflow="fold")
    for label, text in (_cohort(answer["cohort"]) if "cohort" in answer else _span(answer["span"])).items():
        grid.add_row(label, text)
    total = human(answer["total"], answer["unit"])
    grid.add_row("total", shown(f"{total} of {answer['profile_type'].split(':')[1]}, scope {answer['scope']}"))
    grid.add_row("samples", _samples(coverage))
    why = f": {confidence['reason']}" if confidence["level"] == "exact" else ", see above"
    grid.add_row("method", shown(f"{answer['method']}, {confidence['level']}{why}"))
    left = human(coverage["unattributed"], answer["unit"])
    to_none = "name no span" if confidence["level"] == "exact" else "were given to no span"
    grid.add_row("unattributed", f"{left} in the same profiles {to_none}")
    if answer.get("kept"):
        kept = answer["kept"]
        share = "" if kept["share"] is None else f", {kept['share']:.1%} of all stacks"
        grid.add_row("shown", f"{human(kept['value'], answer['unit'])}{share}")
    return grid


def _span(span: dict[str, Any]) -> dict[str, Text | str]:
    name = Text(printable_one(span["name"] or "(no name)"), style="bold")
    started = datetime.fromtimestamp(span["start_ns"] / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    return {
        "span": Text.assemble(name, f"  in {printable_one(span['service'])}, {span['span_id']}"),
        "when": f"{started} UTC, for {human(span['duration_ns'], 'nanoseconds')}",
    }


def _cohort(cohort: dict[str, Any]) -> dict[str, Text | str]:
    of_all = f" of {cohort['matched']:,} that match" if cohort["chosen"] < cohort["matched"] else ""
    where = printable_one(", ".join(cohort["services"]))
    return {
        "cohort": Text(printable_one(cohort["query"]), style="bold"),
        "spans": Text(f"{cohort['chosen']:,}{of_all}, in {where}"),
    }


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
