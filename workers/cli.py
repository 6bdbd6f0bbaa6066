"""Commands for sources, workers, dead letters and alerts; `correlate` finds them by entry points."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from correlate.bootstrap import Services, SystemClock
from correlate.bootstrap import running as services_running
from correlate.settings import Settings, load

ConfigOption = Annotated[Path | None, typer.Option("--config", help="YAML file with settings")]
SourcesOption = Annotated[Path | None, typer.Option("--sources", help="YAML file with a list `sources`")]
DataDirOption = Annotated[Path | None, typer.Option("--data-dir", help="folder of the lake and the state database")]
SourceOption = Annotated[str | None, typer.Option("--source", help="only of this source")]

sources = typer.Typer(help="Systems that data is pulled from.", no_args_is_help=True)
alerts = typer.Typer(help="Alerts and those who are told about them.", no_args_is_help=True)
dead_letters = typer.Typer(help="What could not be read: list it, save it, try it again.", no_args_is_help=True)


@sources.command()
def check(
    names: Annotated[list[str] | None, typer.Argument(help="which; none: all")] = None,
    config: ConfigOption = None,
    sources_file: SourcesOption = None,
) -> None:
    """Contact each source and say what was found; the exit code is 1 when something is wrong."""
    from workers.checking import check_sources

    settings = load(config, sources_file=sources_file)
    if not check_sources(settings, SystemClock(), names or [], Console()):
        raise typer.Exit(1)


def worker(
    config: ConfigOption = None,
    sources_file: SourcesOption = None,
    data_dir: DataDirOption = None,
    threads: Annotated[int | None, typer.Option(min=1, max=256, help="tasks at the same time [4]")] = None,
) -> None:
    """Do tasks from the broker until interrupted: one of any number of workers over one lake and one database."""
    from workers.processes import run_worker

    run_worker(_logged(load(config, sources_file=sources_file, data_dir=data_dir, worker_threads=threads)))


def beat(config: ConfigOption = None, sources_file: SourcesOption = None) -> None:
    """Ask for what is due, by the clock; one is enough, more do no harm."""
    from workers.processes import run_beat

    run_beat(_logged(load(config, sources_file=sources_file)))


@dead_letters.command("list")
def list_letters(
    source: SourceOption = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 50,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Show what could not be read, the newest first, with reasons."""
    with _services(config, data_dir) as services:
        letters = services.books.letters.list(source, limit=limit)
        table = Table("id", "source", "kind", "bytes", "tries", "reason")
        for each in letters:
            size = f"{each.body_bytes:,}" + ("" if each.kept else " (not kept)")
            table.add_row(str(each.id), each.source, each.kind, size, str(each.attempts), each.reason)
        Console().print(table if letters else "no dead letters")


@dead_letters.command()
def save(
    letter: Annotated[int, typer.Argument(help="id")],
    output: Annotated[Path, typer.Argument(help="where to write the body")],
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Write the body of a dead letter to a file, as it came."""
    with _services(config, data_dir) as services:
        output.write_bytes(services.books.letters.payload(letter).body)


@dead_letters.command()
def replay(source: SourceOption = None, config: ConfigOption = None, data_dir: DataDirOption = None) -> None:
    """Try them again; what can be read now is stored and leaves the list. The exit code is 1 when some failed."""
    with _services(config, data_dir) as services:
        done = services.replay.all(source)
    text = f"{done.stored} stored, {done.failed} failed again"
    Console().print(text + (f", {done.without_body} without a body to try" if done.without_body else ""))
    if done.failed:
        raise typer.Exit(1)


@alerts.command("list")
def list_alerts(
    resolved: Annotated[bool, typer.Option("--resolved", help="those that are over too")] = False,
    service: Annotated[str | None, typer.Option("--service", help="only of this service")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 50,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Show what fires and what is watched, and how it goes with those who are told."""
    from workers.alerting import print_alerts

    with _services(config, data_dir) as services:
        print_alerts(services, Console(), service=service, resolved=resolved, limit=limit)


@alerts.command("test")
def try_out(
    names: Annotated[list[str] | None, typer.Argument(help="which receivers; none: all")] = None,
    end: Annotated[bool, typer.Option("--end", help="tell that the test alert is over, too")] = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Send a test alert to receivers, now, and say what happened; the exit code is 1 when one did not take it."""
    from workers.alerting import try_receivers

    with _services(config, data_dir) as services:
        if not try_receivers(services, names or [], Console(), end=end):
            raise typer.Exit(1)


@alerts.command()
def resend(
    receiver: Annotated[str | None, typer.Argument(help="whose; none: all")] = None,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Put notifications that were given up on their way again, unless their alerts are over by now."""
    with _services(config, data_dir) as services:
        done = services.receivers.resend(receiver)
    over = f", {done.over} left, since their alerts are over by now" if done.over else ""
    Console().print(f"{done.revived} on their way again{over}")


@contextmanager
def _services(config: Path | None, data_dir: Path | None) -> Iterator[Services]:
    with services_running(load(config, data_dir=data_dir), maintain=False) as services:
        yield services


def _logged(settings: Settings) -> Settings:
    from workers.app import quieten

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    quieten()
    return settings
