"""Which kinds of sources there are, and making them from the configuration."""

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import yaml
from pydantic import ValidationError

from connectors.config import (
    ElasticConfig,
    OtlpFileConfig,
    PprofConfig,
    PyroscopeConfig,
    SourceConfig,
    TempoConfig,
    expanded,
)
from connectors.elastic import ElasticOptions, ElasticSource
from connectors.on_demand import PyroscopeOnDemand, TempoOnDemand, hurried
from connectors.otlp_file import OtlpFileOptions, OtlpFileSource
from connectors.otlp_records import Framing
from connectors.pprof_http import PprofSource, ScrapeOptions, TargetStatus
from connectors.pprof_targets import Discovery, DnsTargets, FileTargets, StaticTargets
from connectors.pyroscope import PyroscopeOptions, PyroscopeSource
from connectors.tempo import TempoOptions, TempoSource
from correlate.errors import ConfigError
from correlate.model.payload import RawPayload
from correlate.ports import Clock, Finding, OnDemand, Part, Source

Follow = Callable[[Callable[[RawPayload], object], threading.Event], None]
"""Gives payloads to a function, from any thread, until an event is set."""


@dataclass(frozen=True, slots=True)
class ConfiguredSource:
    """A source that was made, and how it wants to be pulled.

    Attributes:
        source: the source.
        kind: what it is.
        place: its address, without credentials.
        every_s: how often to look whether something is due.
        step_s: the longest window to fetch at once; None: one window up to now.
        backfill_s: how far back to begin.
        follow: for a source that delivers by itself, see `Follow`.
        parts: how its parts are now.
        close: closes its connections.
        on_demand: answers single questions, where it can.
    """

    source: Source
    kind: str
    place: str
    every_s: float
    step_s: float | None
    backfill_s: float
    close: Callable[[], None]
    follow: Follow | None = None
    parts: Callable[[], Sequence[Part]] = tuple
    on_demand: OnDemand | None = None

    @property
    def name(self) -> str:
        """What the configuration calls it."""
        return self.source.name


def _tempo(config: TempoConfig, clock: Clock) -> ConfiguredSource:
    options = TempoOptions(
        services=config.services,
        whole_traces=config.whole_traces,
        lag_s=config.lag_s,
        concurrency=config.concurrency,
    )
    endpoint = config.endpoint(config.url)
    source = TempoSource(config.name, endpoint, clock, options)
    asked = TempoSource(config.name, hurried(endpoint), clock, options)
    made = _made(
        config, source, endpoint.address, _all(source.close, asked.close), parts=lambda: _noted(source.take_notes())
    )
    return replace(made, on_demand=TempoOnDemand(asked, clock))


def _pyroscope(config: PyroscopeConfig, clock: Clock) -> ConfiguredSource:
    options = PyroscopeOptions(
        step_s=config.profile_step_s,
        settle_s=config.settle_s,
        query_length_s=config.query_length_s,
        lookback_s=config.lookback_s,
        services=config.services,
        profile_types=config.profile_types,
        accept_sampled=config.accept_sampled,
    )
    endpoint = config.endpoint(config.url)
    source = PyroscopeSource(config.name, endpoint, clock, options=options)
    asked = PyroscopeSource(config.name, hurried(endpoint), clock, options=options)
    made = _made(
        config, source, endpoint.address, _all(source.close, asked.close), parts=lambda: _refused(source.refused)
    )
    return replace(made, on_demand=PyroscopeOnDemand(asked, clock))


def _elastic(config: ElasticConfig, clock: Clock) -> ConfiguredSource:
    options = ElasticOptions(services=config.services, step_s=config.profile_step_s, settle_s=config.settle_s)
    endpoint = config.endpoint(config.url)
    source = ElasticSource(config.name, endpoint, clock, options=options)
    return _made(config, source, endpoint.address, source.close)


def _pprof(config: PprofConfig, clock: Clock) -> ConfiguredSource:
    discoveries: list[Discovery] = [
        *([StaticTargets(config.targets, config.service, config.labels)] if config.targets else []),
        *(FileTargets(path, config.service) for path in config.files),
        *(DnsTargets(dns.name, dns.port, dns.service or config.service, dns.labels) for dns in config.dns),
    ]
    for discovery in discoveries:
        if isinstance(discovery, StaticTargets):
            discovery.targets()  # so that a mistyped address is found before the first scrape
    options = ScrapeOptions(
        profiles=config.profiles,
        interval_s=config.interval_s,
        timeout_s=config.scrape_timeout_s,
        cpu_seconds_s=config.cpu_seconds_s,
    )
    source = PprofSource(config.name, discoveries, clock, options=options, endpoint=config.endpoint("http://target"))
    place = ", ".join([*config.targets[:3], *map(str, config.files), *(f"{dns.name}:{dns.port}" for dns in config.dns)])
    made = _made(config, source, place, source.close, parts=lambda: _targets(source))
    # A scrape tells of now: no windows, no past. Each target has its turns, and none waits for another.
    return ConfiguredSource(
        source, made.kind, made.place, made.every_s, None, config.interval_s, made.close, source.run, made.parts
    )


def _otlp_file(config: OtlpFileConfig, clock: Clock) -> ConfiguredSource:
    framing = None if config.format == "auto" else Framing(config.format)
    options = OtlpFileOptions(framing=framing, signal=config.signal, max_record_bytes=config.max_record_bytes)
    source = OtlpFileSource(config.name, config.paths, clock, options)
    made = _made(config, source, ", ".join(config.paths), source.close, parts=lambda: _noted(source.take_notes()))
    return replace(made, step_s=None)  # windows are looks at the files: what is there is read in one


def _made(
    config: SourceConfig,
    source: Source,
    place: str,
    close: Callable[[], None],
    *,
    parts: Callable[[], Sequence[Part]] = tuple,
) -> ConfiguredSource:
    return ConfiguredSource(
        source, config.kind, place, config.every_s, config.step_s, config.backfill_s, close, parts=parts
    )


def _all(*steps: Callable[[], None]) -> Callable[[], None]:
    def run() -> None:
        for step in steps:
            step()

    return run


def _noted(notes: list[Finding]) -> list[Part]:
    return [Part(f"note {number}", note.ok, note.text) for number, note in enumerate(notes, 1)]


def _refused(refused: Mapping[str, str]) -> list[Part]:
    return [Part(service, ok=False, text=reason) for service, reason in sorted(refused.items())]


def _targets(source: PprofSource) -> list[Part]:
    lost = [Part(f"discovery {number}", ok=False, text=text) for number, text in enumerate(source.discovery_errors, 1)]
    return lost + [Part(status.url, _is_well(status), _told(status)) for status in source.status()]


def _is_well(status: TargetStatus) -> bool:
    return status.up and not status.last_error


def _told(status: TargetStatus) -> str:
    if not status.scrape_count:
        return "not scraped yet"
    took = f"{'up' if status.up else 'down'}; the last scrape took {status.last_duration_s:.2f} s"
    return f"{took}; {status.last_error}" if status.last_error else took


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of source: how its configuration looks, and what makes it."""

    config: type[SourceConfig]
    make: Callable[[Any, Clock], ConfiguredSource]


KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        "tempo": Kind(TempoConfig, _tempo),
        "pyroscope": Kind(PyroscopeConfig, _pyroscope),
        "pprof": Kind(PprofConfig, _pprof),
        "elastic": Kind(ElasticConfig, _elastic),
        "otlp-file": Kind(OtlpFileConfig, _otlp_file),
    }
)


def read_file(path: Path) -> list[Any]:
    """The entries of a YAML file with a list ``sources``.

    Raises:
        ConfigError: it cannot be read, or is not of that form.
    """
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except OSError as exc:
        raise ConfigError(f"the sources file {path} cannot be read: {exc.strerror}") from exc
    except (yaml.YAMLError, UnicodeDecodeError) as exc:
        where = getattr(exc, "problem_mark", None)
        line = f" in line {where.line + 1}" if where else ""
        raise ConfigError(f"the sources file {path} is not YAML{line}") from exc
    if not isinstance(content, dict) or list(content) != ["sources"] or not isinstance(content["sources"], list):
        raise ConfigError(f"the sources file {path} must hold one list named `sources`, and nothing else")
    return content["sources"]


def build(entries: Sequence[Any], clock: Clock) -> list[ConfiguredSource]:
    """Make all sources of a configuration. Nothing is contacted.

    Raises:
        ConfigError: the message lists every mistake of every entry.
    """
    mistakes: list[str] = []
    made = [_entry(number, entry, clock, mistakes) for number, entry in enumerate(entries, 1)]
    sources = [source for source in made if source is not None]
    names = Counter(entry.get("name") for entry in entries if isinstance(entry, dict))
    mistakes += [
        f"the name {name!r} is given to {count} sources" for name, count in names.items() if name and count > 1
    ]
    if mistakes:
        for source in sources:
            source.close()
        raise ConfigError(f"the sources have {len(mistakes)} mistake(s): {'; '.join(mistakes)}")
    return sources


def _entry(number: int, entry: Any, clock: Clock, mistakes: list[str]) -> ConfiguredSource | None:
    where = f"sources[{number}]"
    if not isinstance(entry, dict):
        mistakes.append(f"{where}: must be a mapping with `name` and `kind`")
        return None
    where += f" {entry['name']}" if isinstance(entry.get("name"), str) else ""
    kind = KINDS.get(str(entry.get("kind", "")))
    if kind is None:
        mistakes.append(f"{where}: kind is {entry.get('kind')!r}; known are {', '.join(KINDS)}")
        return None
    try:
        return kind.make(kind.config.model_validate(expanded(entry)), clock)
    except ValidationError as exc:
        mistakes += [f"{where} {'.'.join(map(str, e['loc']))}: {e['msg']}".replace(" : ", ": ") for e in exc.errors()]
    except ConfigError as exc:
        mistakes.append(f"{where}: {exc}")
    return None
