"""The `correlate` command."""

import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from correlate import __version__
from correlate.cli import questions
from correlate.errors import CorrelateError
from correlate.settings import Settings, load

app = typer.Typer(
    name="correlate",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="The flame graph of any span: joins traces and continuous profiles, and says how sure it is.\n\n"
    "Try [bold]correlate demo[/] first. Then run [bold]correlate serve[/], send spans by OTLP (ports 4317, 4318) and "
    "profiles by OTLP or from Pyroscope's clients (port 8080), and open http://127.0.0.1:8080/.\n\n"
    "Every setting can be given in a YAML file (--config) or as an environment variable: CORRELATE_RETENTION_DAYS=7.",
    epilog="Exit codes: 0 done · 1 an error, told in one line on standard error, or complaints of the doctor · "
    "2 wrong options · 141 nobody read on.",
)

_console = Console()
_errors = Console(stderr=True)

ConfigOption = Annotated[Path | None, typer.Option("--config", help="YAML file with settings")]
DataDirOption = Annotated[Path | None, typer.Option("--data-dir", help="folder of the lake and the state database")]
HttpOption = Annotated[
    str | None, typer.Option("--http", help="HOST:PORT of REST, pages, Pyroscope push, OTLP/HTTP [127.0.0.1:8080]")
]
GrpcOption = Annotated[str | None, typer.Option("--otlp-grpc", help="HOST:PORT of OTLP gRPC, or off [127.0.0.1:4317]")]
OtlpHttpOption = Annotated[
    str | None, typer.Option("--otlp-http", help="HOST:PORT of OTLP/HTTP on its own port, or off [127.0.0.1:4318]")
]
PyroscopeOption = Annotated[
    str | None, typer.Option("--pyroscope", help="HOST:PORT of one more port for Pyroscope clients, or off \\[off]")
]
UrlOption = Annotated[str | None, typer.Option("--url", help="a running correlate \\[http://127.0.0.1:8080]")]


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="print the version and exit")] = False,
) -> None:
    if version:
        _console.print(f"correlate {__version__}")
        raise typer.Exit


@app.command()
def serve(
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    http: HttpOption = None,
    otlp_grpc: GrpcOption = None,
    otlp_http: OtlpHttpOption = None,
    pyroscope: PyroscopeOption = None,
) -> None:
    """Run everything in one process: receivers, store, REST API and pages."""
    from correlate.cli import serve as command

    settings = load(config, data_dir=data_dir, http=http, otlp_grpc=otlp_grpc, otlp_http=otlp_http, pyroscope=pyroscope)
    command.serve(settings, _console)


@app.command()
def api(
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    http: HttpOption = None,
    otlp_grpc: GrpcOption = None,
    otlp_http: OtlpHttpOption = None,
    pyroscope: PyroscopeOption = None,
) -> None:
    """Run receivers, REST API and pages only: one of any number, beside `correlate worker` and `correlate beat`."""
    from correlate.cli import serve as command

    settings = load(config, data_dir=data_dir, http=http, otlp_grpc=otlp_grpc, otlp_http=otlp_http, pyroscope=pyroscope)
    command.serve(settings, _console, alone=False)


@app.command()
def demo(
    once: Annotated[bool, typer.Option("--once", help="exit after printing instead of serving on")] = False,
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", help="keep the data here \\[a temporary folder]")
    ] = None,
    http: HttpOption = None,
    otlp_grpc: GrpcOption = None,
    otlp_http: OtlpHttpOption = None,
) -> None:
    """Replay recorded traffic of a real service, and print the flame graph of one of its slow spans."""
    from correlate.cli import demo as command

    command.demo(_console, once=once, data_dir=data_dir, http=http, otlp_grpc=otlp_grpc, otlp_http=otlp_http)


@app.command(name="import")
def import_files(
    files: Annotated[list[Path], typer.Argument(help="pprof, OTLP (protobuf or JSON), collapsed, recorded traffic")],
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    service: Annotated[str, typer.Option(help="service of files that do not name one")] = "",
    name: Annotated[
        str, typer.Option(help="profile name of pprof files: process_cpu, memory, … \\[by its types]")
    ] = "",
    now: Annotated[bool, typer.Option("--now", help="date recorded traffic so that it ends now")] = False,
) -> None:
    """Load files into the lake; what was imported before is not stored again."""
    from correlate.cli import files as command

    params = {key: value for key, value in (("service", service), ("name", name)) if value}
    failed = command.import_files(load(config, data_dir=data_dir), files, params, _console, end_now=now)
    if failed:
        raise typer.Exit(1)


for question in questions.COMMANDS:
    app.command()(question)


@app.command()
def services(
    url: UrlOption = None,
    config: ConfigOption = None,
    data_dir: Annotated[Path | None, typer.Option("--data-dir", help="read this lake instead of a server")] = None,
) -> None:
    """List services and operations, with counts and coverage."""
    from correlate.cli import query

    with query.opened(_settings(config, data_dir), url, data_dir) as source:
        query.print_services(source, _console)


@app.command()
def doctor(
    service: Annotated[str | None, typer.Option(help="only this service")] = None,
    url: UrlOption = None,
    config: ConfigOption = None,
    data_dir: Annotated[Path | None, typer.Option("--data-dir", help="read this lake instead of a server")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print what GET /api/v1/doctor answers")] = False,
) -> None:
    """Find out why profiles and traces do not join: faults with figures and fixes. Exit code 1 when there are any."""
    from correlate.cli import doctor as command
    from correlate.cli import query

    with query.opened(_settings(config, data_dir), url, data_dir) as source:
        found = source.doctor(service)
    (command.print_json if as_json else command.print_report)(found, _console)
    if found["complaints"]:
        raise typer.Exit(1)


@app.command()
def backtest(
    start: Annotated[str, typer.Option("--from", help="begin: now-7d, 2026-11-23T15:00:00Z, nanoseconds")] = "now-1d",
    end: Annotated[str, typer.Option("--to", help="end")] = "now",
    service: Annotated[list[str] | None, typer.Option(help="only this one; may be given several times")] = None,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="print events and alerts as JSON")] = False,
) -> None:
    """Replay stored history through the detectors and print what would have fired; nobody is told."""
    from correlate.cli import backtest as command

    found = command.backtest(_settings(config, data_dir), (start, end), service or [], _errors)
    if as_json:
        command.print_json(found)
    else:
        command.print_table(found, _console)


def _settings(config: Path | None, data_dir: Path | None) -> Settings:
    return load(config, data_dir=data_dir)


def mount(root: typer.Typer) -> None:
    """Add the commands that other packages of an installation bring, as functions or as groups of commands."""
    for entry in sorted(entry_points(group="correlate.commands"), key=lambda entry: entry.name):
        command = entry.load()
        if isinstance(command, typer.Typer):
            root.add_typer(command, name=entry.name)
        else:
            root.command(entry.name)(command)


def main() -> None:
    """Run the command; errors raised on purpose end it with one line and exit code 1."""
    try:
        mount(app)
        app()
    except CorrelateError as exc:
        _errors.print(f"correlate: {exc}", style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(1)
    except BrokenPipeError:
        sys.exit(141)


if __name__ == "__main__":
    main()
