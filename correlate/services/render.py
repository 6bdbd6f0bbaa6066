"""A profile in every outward form: JSON, flame graph formats, pprof, a page, a picture."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any

import orjson

from correlate.flame import columns, flamebearer, nested_set, plot, speedscope, tree
from correlate.formats.collapsed import write_collapsed
from correlate.formats.pprof_samples import write_samples
from correlate.services import subjects
from correlate.services.answers import Profile
from correlate.services.links import LinkMaker
from correlate.units import human

_MOST_SVG_NODES = 4000


class Format(StrEnum):
    """What an answer may look like."""

    JSON = "json"
    FLAMEBEARER = "flamebearer"
    NESTED_SET = "nested-set"
    PPROF = "pprof"
    COLLAPSED = "collapsed"
    SPEEDSCOPE = "speedscope"
    HTML = "html"
    SVG = "svg"


@dataclass(frozen=True, slots=True)
class Rendered:
    """Bytes with their media type; `file_name` when they are meant to be saved rather than shown."""

    body: bytes
    media_type: str
    file_name: str | None = None


@dataclass(frozen=True)
class Sheet:
    """A profile about to be rendered, with what several formats share.

    Attributes:
        profile: the profile.
        links: where to look next.
        max_nodes: nodes kept in formats that draw a tree.
    """

    profile: Profile
    links: Mapping[str, str | None]
    max_nodes: int

    @cached_property
    def whole_tree(self) -> tree.Tree:
        """The tree of calls."""
        rows = self.profile.rows
        return tree.build(
            self.profile.symbols, rows["stack"].to_numpy(), rows["value"].to_numpy(), rows["weight"].to_numpy()
        )

    @property
    def tree(self) -> tree.Tree:
        """The tree of calls, truncated to `max_nodes`."""
        return tree.truncate(self.whole_tree, self.max_nodes)

    @property
    def title(self) -> str:
        """What a picture is called."""
        return subjects.title(self.profile.subject)

    @property
    def unit(self) -> str:
        """The unit of the values."""
        return self.profile.profile_type.sample_unit


def render(profile: Profile, wanted: Format, *, links: LinkMaker, max_nodes: int) -> Rendered:
    """Give a profile its outward form.

    Args:
        profile: the answer to render.
        wanted: the form.
        links: builds the links that go with it.
        max_nodes: nodes kept in formats that draw a tree; pprof, collapsed and speedscope hold everything.
    """
    made = links.of(profile.subject, profile.profile_type, profile.scope)
    write, media_type, suffix = _FORMATS[wanted]
    file_name = f"{subjects.file_stem(profile.subject)}.{suffix}" if suffix else None
    return Rendered(write(Sheet(profile, made, max_nodes)), media_type, file_name)


def media_types() -> list[str]:
    """Every media type an answer may have, each once."""
    return sorted({media_type for _, media_type, _ in _FORMATS.values()})


def answer(sheet: Sheet) -> dict[str, Any]:
    """The JSON answer: the span, what is known about the evidence, and the flame graph as columns."""
    profile = sheet.profile
    found = profile.coverage
    return {
        **subjects.fields(profile.subject),
        "profile_type": str(profile.profile_type),
        "unit": sheet.unit,
        "scope": profile.scope.value,
        "method": profile.method.value,
        "evidence": profile.evidence,
        "confidence": {
            "level": profile.confidence.level,
            "reason": profile.confidence.reason,
            "error_bound": profile.confidence.error_bound,
        },
        "coverage": {
            "samples": found.samples,
            "sampled_ns": found.sampled_ns,
            "wall_ns": found.wall_ns,
            "expected_samples": found.expected_samples,
            "ratio": found.ratio,
            "unattributed": found.unattributed,
        },
        "total": found.total,
        "span_count": profile.span_count,
        "also_available": profile.also,
        "kept": _kept(profile),
        **_frame_fields(profile),
        "flamegraph": columns.columns(sheet.tree),
        "links": dict(sheet.links),
    }


def _kept(profile: Profile) -> dict[str, Any] | None:
    return None if profile.kept is None else {"value": profile.kept.kept, "share": profile.kept.share}


def _frame_fields(profile: Profile) -> dict[str, Any]:
    return {} if profile.frames is None else {"frames": profile.frames.to_dicts()}


def summary(profile: Profile) -> dict[str, str]:
    """What a person should know beside the picture, as words."""
    found, unit = profile.coverage, profile.profile_type.sample_unit
    expected = found.expected_samples
    unnamed = "name no span" if profile.confidence.level == "exact" else "were given to no span"
    of_expected = f" of {_count(expected)} expected if busy throughout ({found.ratio:.0%})" if expected else ""
    return {
        **subjects.words(profile.subject),
        "profile type": str(profile.profile_type),
        "scope": f"{profile.scope.value}, {profile.span_count:,} span{'' if profile.span_count == 1 else 's'}",
        "total": human(found.total, unit),
        "samples": f"{found.samples:,}{of_expected}",
        "method": f"{profile.method.value} ({profile.confidence.level}): {profile.confidence.reason}",
        "unattributed": f"{human(found.unattributed, unit)} in the same profiles {unnamed}",
    }


def doubts(profile: Profile) -> list[str]:
    """What nobody should overlook: that an answer is not exact, and how wrong it may be."""
    sure = profile.confidence
    if sure.level == "exact":
        return []
    bound = f"up to {sure.error_bound:.0%} of the total may belong elsewhere"
    return [f"{sure.level.capitalize()}, not exact, by {profile.method.value}: {bound}. {_capital(sure.reason)}."]


def _count(expected: float) -> str:
    return f"{expected:,.0f}" if expected >= 100 else f"{expected:.3g}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _json(sheet: Sheet) -> bytes:
    return orjson.dumps(answer(sheet))


def _flamebearer(sheet: Sheet) -> bytes:
    return orjson.dumps(flamebearer.flamebearer_profile(sheet.tree, sheet.profile.profile_type))


def _nested_set(sheet: Sheet) -> bytes:
    return orjson.dumps(nested_set.rows(sheet.tree))


def _pprof(sheet: Sheet) -> bytes:
    profile = sheet.profile
    return write_samples(
        profile.symbols,
        profile.rows,
        profile.profile_type,
        time_ns=profile.window.start_ns,
        duration_ns=profile.window.end_ns - profile.window.start_ns,
        period=profile.coverage.period,
    )


def _collapsed(sheet: Sheet) -> bytes:
    return write_collapsed(sheet.profile.symbols, sheet.profile.rows).encode()


def _speedscope(sheet: Sheet) -> bytes:
    rows = sheet.profile.rows
    stacks, values = rows["stack"].to_numpy(), rows["value"].to_numpy()
    return orjson.dumps(speedscope.speedscope(sheet.profile.symbols, stacks, values, sheet.unit, sheet.title))


def _html(sheet: Sheet) -> bytes:
    return plot.html(
        sheet.whole_tree,
        sheet.unit,
        sheet.title,
        facts=summary(sheet.profile),
        notes=doubts(sheet.profile),
        links={name.replace("_", " "): url for name, url in sheet.links.items() if url},
    ).encode()


def _svg(sheet: Sheet) -> bytes:
    return plot.svg(sheet.whole_tree, sheet.unit, sheet.title, max_nodes=min(sheet.max_nodes, _MOST_SVG_NODES))


_FORMATS: dict[Format, tuple[Callable[[Sheet], bytes], str, str]] = {
    Format.JSON: (_json, "application/json", ""),
    Format.FLAMEBEARER: (_flamebearer, "application/json", ""),
    Format.NESTED_SET: (_nested_set, "application/json", ""),
    Format.PPROF: (_pprof, "application/vnd.google.protobuf+gzip", "pb.gz"),
    Format.COLLAPSED: (_collapsed, "text/plain", ""),
    Format.SPEEDSCOPE: (_speedscope, "application/json", "speedscope.json"),
    Format.HTML: (_html, "text/html", ""),
    Format.SVG: (_svg, "image/svg+xml", ""),
}
"""How each format is written, its media type, and the file suffix of those meant to be saved."""
