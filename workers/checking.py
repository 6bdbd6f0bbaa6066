"""`correlate sources check`: contacts each source and prints what was found."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from rich.console import Console

from connectors.registry import ConfiguredSource
from correlate.errors import ConfigError
from correlate.ports import Clock, Finding
from correlate.settings import Settings
from workers.runtime import sources_of

_AT_ONCE = 16


def check_sources(settings: Settings, clock: Clock, names: Sequence[str], console: Console) -> bool:
    """Check some sources (none named: all), at the same time, and print the findings in the order of configuration.

    Returns:
        Whether everything is as it should be.

    Raises:
        ConfigError: the configuration is wrong, names no source, or not one that was asked for.
    """
    with sources_of(settings, clock) as sources:
        chosen = _chosen(sources, names)
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            found = list(threads.map(_check, chosen))
        return all([_printed(each, findings, console) for each, findings in zip(chosen, found, strict=True)])  # noqa: C419 prints all


def _chosen(sources: Sequence[ConfiguredSource], names: Sequence[str]) -> list[ConfiguredSource]:
    known = {each.name: each for each in sources}
    if not known:
        raise ConfigError("no sources are configured; list them under `sources` in the file given by --config")
    if unknown := sorted(set(names) - set(known)):
        raise ConfigError(f"no source is named {', '.join(unknown)}; there are {', '.join(known)}")
    return [known[name] for name in names] if names else list(sources)


def _check(configured: ConfiguredSource) -> list[Finding]:
    return configured.source.check()


def _printed(configured: ConfiguredSource, findings: Sequence[Finding], console: Console) -> bool:
    console.print(f"[bold]{configured.name}[/] ({configured.kind}, {configured.place})", highlight=False)
    for finding in findings:
        mark = "[green]ok[/]" if finding.ok else "[red]--[/]"
        console.print(f"  {mark} ", end="", highlight=False)
        console.print(finding.text, markup=False, highlight=False, soft_wrap=True)
    return all(finding.ok for finding in findings)
