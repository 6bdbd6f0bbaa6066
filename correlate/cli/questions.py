"""The commands that ask about spans and code: span, cohort, compare, slow, breakdown and frames."""

from typing import Annotated

import typer
from rich.console import Console

from correlate.cli.options import (
    Basis,
    BasisOption,
    CalleesOption,
    CallersOption,
    ConfigOption,
    FdrOption,
    FocusOption,
    FormatOption,
    FromOption,
    FunctionOption,
    IgnoreOption,
    JsonOption,
    LakeOption,
    MaxNodesOption,
    MethodOption,
    OutputOption,
    ScopeOption,
    SelfOption,
    Spread,
    SpreadOption,
    ToOption,
    TypeOption,
    UrlOption,
    evidence,
    lens,
)
from correlate.model.answers import Method, Scope
from correlate.settings import load

_console = Console()

TraceArgument = Annotated[str, typer.Argument(help="up to 32 hexadecimal digits")]
SpanArgument = Annotated[str, typer.Argument(help="up to 16 hexadecimal digits")]


def span(
    trace_id: TraceArgument,
    span_id: SpanArgument,
    url: UrlOption = None,
    config: ConfigOption = None,
    data_dir: LakeOption = None,
    wanted_type: TypeOption = "cpu",
    scope: ScopeOption = Scope.SUBTREE,
    method: MethodOption = Method.AUTO,
    focus: FocusOption = "",
    ignore: IgnoreOption = "",
    function: FunctionOption = "",
    callees_of: CalleesOption = "",
    callers_of: CallersOption = "",
    self_of: SelfOption = "",
    wanted_format: FormatOption = None,
    output: OutputOption = None,
    max_nodes: MaxNodesOption = 16384,
) -> None:
    """Show which code ran for a span, and how sure that is."""
    from correlate.cli import backend, query

    chosen = lens(focus, ignore, function, callees_of, callers_of, self_of)
    params = {**evidence(wanted_type, scope, method), **chosen, "max_nodes": str(max_nodes)}
    with query.opened(load(config, data_dir=data_dir), url, data_dir) as source:
        asked = query.Asked(f"{backend.span_path(trace_id, span_id)}/profile", params)
        query.answer(source, asked, wanted_format, output, lambda found: query.print_answer(found, _console))


def cohort(
    question: Annotated[str, typer.Argument(metavar="QUERY", help='spans in TraceQL: { name = "GET /items" }')],
    url: UrlOption = None,
    config: ConfigOption = None,
    data_dir: LakeOption = None,
    start: FromOption = "",
    end: ToOption = "",
    wanted_type: TypeOption = "cpu",
    scope: SpreadOption = Spread.SUBTREE,
    method: MethodOption = Method.AUTO,
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="look at so many spans at most")] = 100_000,
    focus: FocusOption = "",
    ignore: IgnoreOption = "",
    function: FunctionOption = "",
    callees_of: CalleesOption = "",
    callers_of: CallersOption = "",
    self_of: SelfOption = "",
    wanted_format: FormatOption = None,
    output: OutputOption = None,
    max_nodes: MaxNodesOption = 16384,
) -> None:
    """Show which code ran for all spans that a query chooses, with 95 % intervals for each function.

    [dim]correlate cohort '{ resource.service.name = "checkout" && duration > 500ms }' --from now-1h[/]
    """
    from correlate.cli import query

    chosen = lens(focus, ignore, function, callees_of, callers_of, self_of)
    params = {"q": question, "from": start, "to": end, "limit": str(limit), "max_nodes": str(max_nodes)}
    with query.opened(load(config, data_dir=data_dir), url, data_dir) as source:
        asked = query.Asked("/cohorts/profile", {**params, **evidence(wanted_type, scope, method), **chosen})
        query.answer(source, asked, wanted_format, output, lambda found: query.print_answer(found, _console))


def compare(
    left: Annotated[str, typer.Argument(help="the baseline: spans in TraceQL")],
    right: Annotated[str, typer.Argument(help="what is compared with it")],
    url: UrlOption = None,
    config: ConfigOption = None,
    data_dir: LakeOption = None,
    start: FromOption = "",
    end: ToOption = "",
    left_from: Annotated[str, typer.Option(help="where it differs from --from")] = "",
    left_to: Annotated[str, typer.Option(help="where it differs from --to")] = "",
    right_from: Annotated[str, typer.Option(help="where it differs from --from")] = "",
    right_to: Annotated[str, typer.Option(help="where it differs from --to")] = "",
    wanted_type: TypeOption = "cpu",
    scope: SpreadOption = Spread.SUBTREE,
    method: MethodOption = Method.AUTO,
    basis: BasisOption = Basis.COST,
    fdr: FdrOption = 0.05,
    focus: FocusOption = "",
    ignore: IgnoreOption = "",
    as_json: JsonOption = False,
    wanted_format: FormatOption = None,
    output: OutputOption = None,
) -> None:
    """Say what the spans of one query do differently from those of another, function by function.

    [dim]correlate compare '{ name = "GET /items" && status != error }' '{ name = "GET /items" && status = error }'[/]
    """
    from correlate.cli import comparing, query

    times = {"from": start, "to": end, "left_from": left_from, "left_to": left_to}
    times |= {"right_from": right_from, "right_to": right_to}
    params = {"left": left, "right": right, **times, **evidence(wanted_type, scope, method)}
    params |= {"basis": basis.value, "fdr": str(fdr), "focus": focus, "ignore": ignore}
    with query.opened(load(config, data_dir=data_dir), url, data_dir) as source:
        asked = query.Asked("/compare", params)
        chosen = query.chosen(wanted_format, as_json=as_json)
        query.answer(source, asked, chosen, output, lambda found: comparing.print_answer(found, _console))


def slow(
    service: Annotated[str, typer.Argument(help="where the operation runs")],
    operation: Annotated[str, typer.Argument(help="name of its spans")],
    quantile: Annotated[float, typer.Option(min=0.5, max=0.9999, help="spans slower than this part of all")] = 0.99,
    url: UrlOption = None,
    config: ConfigOption = None,
    data_dir: LakeOption = None,
    start: FromOption = "",
    end: ToOption = "",
    wanted_type: TypeOption = "cpu",
    scope: SpreadOption = Spread.SUBTREE,
    method: MethodOption = Method.AUTO,
    basis: BasisOption = Basis.COST,
    fdr: FdrOption = 0.05,
    focus: FocusOption = "",
    ignore: IgnoreOption = "",
    as_json: JsonOption = False,
    wanted_format: FormatOption = None,
    output: OutputOption = None,
) -> None:
    """Say what the slowest spans of an operation do differently from the rest.

    [dim]correlate slow checkout 'GET /items' --quantile 0.95[/]
    """
    from correlate.cli import backend, comparing, query

    params = {"from": start, "to": end, "quantile": str(quantile), **evidence(wanted_type, scope, method)}
    params |= {"basis": basis.value, "fdr": str(fdr), "focus": focus, "ignore": ignore}
    with query.opened(load(config, data_dir=data_dir), url, data_dir) as source:
        asked = query.Asked(backend.slow_path(service, operation), params)
        chosen = query.chosen(wanted_format, as_json=as_json)
        query.answer(source, asked, chosen, output, lambda found: comparing.print_answer(found, _console))


def breakdown(
    trace_id: TraceArgument,
    span_id: SpanArgument,
    url: UrlOption = None,
    config: ConfigOption = None,
    data_dir: LakeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show where the wall time of a span went: on the CPU, waiting, in children, unexplained."""
    from correlate.cli import backend, query, tables

    with query.opened(load(config, data_dir=data_dir), url, data_dir) as source:
        asked = query.Asked(f"{backend.span_path(trace_id, span_id)}/breakdown", {})
        chosen = query.chosen(None, as_json=as_json)
        query.answer(source, asked, chosen, None, lambda found: tables.print_breakdown(found, _console))


def frames(
    function: Annotated[str, typer.Argument(help='a name as flame graphs show it, or =~"a regular expression"')],
    service: Annotated[str, typer.Option(help="only this service")] = "",
    url: UrlOption = None,
    config: ConfigOption = None,
    data_dir: LakeOption = None,
    start: FromOption = "",
    end: ToOption = "",
    wanted_type: TypeOption = "cpu",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="so many spans")] = 20,
    as_json: JsonOption = False,
) -> None:
    """List the spans that paid most for a function, of those that exist.

    [dim]correlate frames rank_items --service checkout[/]
    """
    from correlate.cli import query, tables

    params = {"function": function, "service": service, "from": start, "to": end}
    params |= {"type": wanted_type, "limit": str(limit)}
    with query.opened(load(config, data_dir=data_dir), url, data_dir) as source:
        asked = query.Asked("/frames/traces", params)
        chosen = query.chosen(None, as_json=as_json)
        query.answer(source, asked, chosen, None, lambda found: tables.print_payers(found, _console))


COMMANDS = (span, cohort, compare, slow, breakdown, frames)
"""In the order in which help lists them."""
