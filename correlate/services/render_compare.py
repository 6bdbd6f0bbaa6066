"""A comparison in every outward form."""

from typing import Any

import orjson

from correlate.errors import BadQuery
from correlate.flame import diff, flamebearer, nested_set, plot
from correlate.flame.diff_look import Sides
from correlate.services import subjects
from correlate.services.compare import Compared, Side
from correlate.services.render import Format, Rendered

MOST_FRAMES = 100
FORMATS = (Format.JSON, Format.FLAMEBEARER, Format.NESTED_SET, Format.HTML, Format.SVG)


def render(compared: Compared, wanted: Format, max_nodes: int) -> Rendered:
    """Give a comparison its outward form.

    Args:
        compared: the comparison.
        wanted: one of `FORMATS`.
        max_nodes: nodes kept in the flame graph.

    Raises:
        BadQuery: the format cannot hold two sides.
    """
    if wanted is Format.JSON:
        return Rendered(
            orjson.dumps(answer(compared, max_nodes), option=orjson.OPT_SERIALIZE_NUMPY), "application/json"
        )
    tree = diff.truncate(compared.tree, max_nodes)
    if wanted is Format.FLAMEBEARER:
        return Rendered(orjson.dumps(flamebearer.flamebearer_diff(tree, compared.profile_type)), "application/json")
    if wanted is Format.NESTED_SET:
        return Rendered(orjson.dumps(nested_set.rows(tree.left, tree.right)), "application/json")
    unit, title = compared.profile_type.sample_unit, title_of(compared)
    sides = Sides(compared.left.name, compared.right.name, compared.comparison)
    if wanted is Format.SVG:
        return Rendered(plot.svg_diff(tree, unit, title, sides, max_nodes=max_nodes), "image/svg+xml")
    if wanted is Format.HTML:
        facts, notes = _facts(compared), compared.sentences
        page = plot.html_diff(compared.tree, unit, title, sides, facts=facts, notes=notes)
        return Rendered(page.encode(), "text/html")
    raise BadQuery(f"a comparison has no form {wanted.value!r}: ask for one of {', '.join(FORMATS)}")


def media_types() -> list[str]:
    """Every media type a comparison may have."""
    return ["application/json", "image/svg+xml", "text/html"]


def title_of(compared: Compared) -> str:
    """What a picture of it is called."""
    return f"{compared.right.name} against {compared.left.name}: {compared.right.cohort.query}"


def _facts(compared: Compared) -> dict[str, str]:
    sides = {
        side.name: f"{side.cohort.query} ({side.cohort.chosen:,} spans)" for side in (compared.left, compared.right)
    }
    found = compared.right.gathered.found
    return sides | {
        "profile type": str(compared.profile_type),
        "method": f"{found.method.value} ({found.confidence.level}): {found.confidence.reason}",
    }


def answer(compared: Compared, max_nodes: int) -> dict[str, Any]:
    """The JSON answer: both sides, what differs in words and figures, and the differential flame graph."""
    found = compared.comparison
    return {
        "left": _side(compared.left, found.left),
        "right": _side(compared.right, found.right),
        "profile_type": str(compared.profile_type),
        "unit": compared.profile_type.sample_unit,
        "basis": found.basis,
        "fdr": found.fdr,
        "difference": _known(found.difference),
        "difference_low": _known(found.difference_low),
        "difference_high": _known(found.difference_high),
        "p_any": _known(found.p_any),
        "threshold_ns": compared.threshold_ns,
        "sentences": compared.sentences,
        "frames": found.frames.head(MOST_FRAMES).to_dicts(),
        "flamegraph": diff.columns(diff.truncate(compared.tree, max_nodes)),
    }


def _side(side: Side, sums: Any) -> dict[str, Any]:
    found = side.gathered.found
    return {
        "name": side.name,
        **subjects.fields(side.cohort),
        "method": found.method.value,
        "confidence": {
            "level": found.confidence.level,
            "reason": found.confidence.reason,
            "error_bound": found.confidence.error_bound,
        },
        "spans": sums.spans,
        "samples": sums.samples,
        "total": sums.total,
        "cost": _known(sums.cost),
        "cost_low": _known(sums.cost_low),
        "cost_high": _known(sums.cost_high),
    }


def _known(figure: float) -> float | None:
    return None if figure != figure else figure  # noqa: PLR0124  only NaN differs from itself
