"""Alerts in words: what every kind of payload says, in text that cannot break the system it is shown in.

Names of functions, services and operations come from whoever sends profiles: they may be long, hold control characters
or characters that turn the direction of writing. Quantities say their unit in their name (``growth_bytes_per_hour``).
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import quote, urlsplit

from correlate.model.alerts import Alert
from correlate.model.verdicts import Site
from correlate.units import human

GO_ZERO_TIME: Final = "0001-01-01T00:00:00Z"
"""How Go writes a time that is not set; Alertmanager's webhooks have it as the end of what still fires."""

NAME_CHARS: Final = 300
TEXT_CHARS: Final = 4000
URL_CHARS: Final = 8000

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_NS: Final = 253_402_300_799 * 10**9  # the last second of the year 9999
_INVISIBLE: Final = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
_QUANTITY: Final = re.compile(r"^(.+?)_(bytes|count|ratio|hours|hz|ns|ms|s)((?:_per_\w+)?)$")
_NS_PER: Final = {"hours": 3.6e12, "s": 1e9, "ms": 1e6, "ns": 1.0}
_SITES: Final = 3
_A_DATE_NS: Final = 1e17  # three years: no duration that an alert speaks of is longer, and no date is earlier


def time_text(time_ns: int) -> str:
    """A time as RFC 3339 in UTC with milliseconds; Go's zero time for 0."""
    if time_ns <= 0:
        return GO_ZERO_TIME
    moment = _EPOCH + timedelta(milliseconds=min(time_ns, _LAST_NS) // 1_000_000)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def clean(text: str, most: int = NAME_CHARS) -> str:
    """Text in one line, without what cannot be seen or written, and not longer than some characters."""
    return cut(" ".join(_printable(text[: 4 * most]).split()), most)


def clean_lines(text: str, most: int = TEXT_CHARS) -> str:
    """The same of several lines, which stay."""
    return cut(_printable(text[: 4 * most]).strip(), most)


def cut(text: str, most: int) -> str:
    """At most some characters; an ellipsis tells that there were more."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _printable(text: str) -> str:
    """Without control characters, and without halves of characters, which no encoder takes."""
    return _INVISIBLE.sub(" ", text.encode("utf-8", "replace").decode("utf-8"))


def firing(alert: Alert) -> bool:
    """Whether it is told as firing: everything that is not over, watches too where somebody wants them."""
    return alert.open


def status_of(alert: Alert) -> str:
    """In Alertmanager's words."""
    return "firing" if firing(alert) else "resolved"


def labels_of(alert: Alert) -> dict[str, str]:
    """The labels of an alert, printable; those without a value are left out."""
    cleaned = {name: clean(text) for name, text in alert.labels.items()}
    return {name: text for name, text in cleaned.items() if text}


def common(each: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """What is the same in all of some mappings; nothing of none."""
    maps = list(each)
    if not maps:
        return {}
    return {key: text for key, text in maps[0].items() if all(other.get(key) == text for other in maps)}


def headline(alert: Alert) -> str:
    """The sentence of the detector."""
    return clean(alert.verdict.headline, 1000) or f"{alert.verdict.detector} in {clean(alert.verdict.service)}"


def title(alert: Alert) -> str:
    """What and where, in a few words."""
    return f"{clean(alert.verdict.detector)}: {clean(alert.verdict.service)}"


def quantity(name: str, value: float) -> tuple[str, str]:
    """A figure's name and value for people: ``growth``, ``3.2 MiB per hour``."""
    found = _QUANTITY.match(name)
    if not found:
        return clean(name.replace("_", " ")), _plain(value)
    told, unit, per = found.groups()
    return clean(told.replace("_", " ")), _valued(value, told, unit) + per.replace("_", " ")


def _valued(value: float, told: str, unit: str) -> str:
    if not math.isfinite(value):
        return "unknown" if math.isnan(value) else "unlimited"
    if unit == "ns" and value > _A_DATE_NS:
        return time_text(int(value))
    if unit in _NS_PER:
        return human(value * _NS_PER[unit], "nanoseconds")
    if unit == "ratio":
        return _plain(value) if told in ("p", "q") else f"{100 * value:.3g} %"
    return human(value, {"count": "count", "bytes": "bytes", "hz": "Hz"}[unit])


def _plain(value: float) -> str:
    return f"{value:.3g}"


def figures_of(alert: Alert) -> dict[str, str]:
    """The figures of a verdict for people; where two would have one name, the second keeps its unit in it."""
    told: dict[str, str] = {}
    for name, value in alert.verdict.figures.items():
        short, text = quantity(name, value)
        told[short if short not in told else clean(name.replace("_", " "))] = text
    return told


def hours_left(alert: Alert) -> float | None:
    """When the limit is reached at this rate, if the detector could tell."""
    hours = alert.verdict.figures.get("limit_in_hours")
    return hours if hours is not None and math.isfinite(hours) else None


def place(site: Site) -> str:
    """A place in the code: ``remember_session (session.py:41)``."""
    where = f"{clean(site.file)}:{site.line}" if site.line else clean(site.file)
    return f"{clean(site.function)} ({where})" if where else clean(site.function)


def site_sentence(site: Site) -> str:
    """A place in the code, its part of the whole, and the operations that pass there."""
    share = f", {100 * site.share_ratio:.0f} %" if site.share_ratio else ""
    operations = ", ".join(clean(each) for each in site.operations[:_SITES])
    return f"{place(site)}{share}" + (f", in {operations}" if operations else "")


def description(alert: Alert) -> str:
    """Several lines: the sentence, the places in the code, the figures, and what held it back or let it through."""
    lines = [headline(alert), *(f"at {site_sentence(site)}" for site in alert.verdict.sites[:_SITES])]
    lines += [f"{name}: {value}" for name, value in figures_of(alert).items()]
    return clean_lines("\n".join(lines))


def links_of(alert: Alert, runbook_url: str) -> Iterator[tuple[str, str]]:
    """Names and addresses of the evidence and of the runbook; what is no web address is left out."""
    found = dict(alert.evidence)
    if runbook_url:
        found.setdefault("runbook", _filled(runbook_url, alert))
    for name, url in found.items():
        if safe := web_address(url):
            yield clean(name, 60).replace(" ", "_"), safe


def web_address(url: str) -> str:
    """An address that a browser may be sent to, without characters that could end it early; "" for any other."""
    url = _printable(url).strip()
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not parts.netloc or len(url) > URL_CHARS:
        return ""
    return re.sub(r"[\s<>|\"`\\^{}]", lambda found: quote(found[0]), url)


def _filled(template: str, alert: Alert) -> str:
    """``{service}`` and the other labels of the alert, put into an address."""
    for name, text in {"alertname": "", "service": "", "severity": "", "owner": "", **labels_of(alert)}.items():
        template = template.replace(f"{{{name}}}", quote(text, safe=""))
    return template
