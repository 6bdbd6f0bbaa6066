"""Notifications as Slack messages, in the form that Mattermost and Rocket.Chat take too (text and attachments).

``&``, ``<`` and ``>`` are escaped: nothing in a name can mention a channel or lead elsewhere. Names of code stand in
backticks, and text is cut before it is escaped, so that no escape and no link is cut in half.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from correlate.alerting.payloads import Outward, summary
from correlate.alerting.payloads_words import (
    clean,
    cut,
    figures_of,
    firing,
    headline,
    hours_left,
    links_of,
    place,
    status_of,
    title,
)
from correlate.model.alerts import Alert, Notification, Severity
from correlate.model.verdicts import Site
from correlate.units import human

TEXT_CHARS: Final = 3000
"""The most that Slack shows of a text."""

_ATTACHMENTS: Final = 10
_FIELDS: Final = 8
_FIELD_CHARS: Final = 300
_LINKS: Final = 8
_SITES: Final = 3
_RESOLVED_COLOUR: Final = "#2eb67d"
_COLOURS: Final = {Severity.CRITICAL: "#d92d20", Severity.WARNING: "#e69d00", Severity.INFO: "#439fe0"}
_ESCAPES: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def slack(notification: Notification, outward: Outward) -> dict[str, Any]:
    """A message: one line about all, and an attachment for each of the first ten alerts."""
    alerts = sorted(notification.alerts, key=lambda each: not firing(each))
    left_out = max(0, len(alerts) - _ATTACHMENTS) + notification.truncated_count
    more = [_more(left_out, outward)] if left_out else []
    return {
        "text": escaped(f"{summary(notification)} ({notification.reason.value})", 1000),
        "attachments": [*(_attachment(each, outward) for each in alerts[:_ATTACHMENTS]), *more],
        "parse": "none",
        "unfurl_links": False,
        "unfurl_media": False,
    }


def escaped(text: str, most: int = TEXT_CHARS) -> str:
    """Text that Slack shows as it is; an @ is followed by a space of no width, since Mattermost would call people."""
    return _fitted(text, most, lambda shown: shown.translate(_ESCAPES).replace("@", "@\u200b"))


def code(text: str, most: int = _FIELD_CHARS) -> str:
    """A name in backticks, which it cannot leave."""
    return f"`{_fitted(text.replace('`', chr(39)), most, lambda shown: shown.translate(_ESCAPES))}`"


def _fitted(text: str, most: int, write: Callable[[str], str]) -> str:
    """As much of a text as fits when it is written, however much longer that makes it."""
    room = most
    while len(written := write(cut(text, room))) > most:
        room = min(room - 1, room * most // len(written))
    return written


def _attachment(alert: Alert, outward: Outward) -> dict[str, Any]:
    state = "RESOLVED" if not firing(alert) else alert.severity.value.upper()
    colour = _COLOURS[alert.severity] if firing(alert) else _RESOLVED_COLOUR
    shaped = {
        "color": colour,
        "fallback": escaped(f"{status_of(alert)}: {headline(alert)}", 1000),
        "title": escaped(f"{state} {title(alert)}", 250),
        "text": _text(alert, outward),
        "fields": _fields(alert),
        "footer": escaped(f"correlate {alert.fingerprint}", 100),
        "ts": alert.started_ns // 1_000_000_000,
        "mrkdwn_in": ["text"],
    }
    page = outward.page_of(alert)
    return shaped | ({"title_link": page} if page else {})


def _text(alert: Alert, outward: Outward) -> str:
    """The sentence, the places and the links: whole lines, as many as there is room for."""
    lines = [escaped(headline(alert), 1000), *(_place(site) for site in alert.verdict.sites[:_SITES])]
    links = [_linked(name, url) for name, url in links_of(alert, outward.runbook_url)]
    return _fitting([*lines, *links[:_LINKS]])


def _fitting(lines: Sequence[str]) -> str:
    kept: list[str] = []
    left = TEXT_CHARS
    for line in lines:
        if len(line) + 1 <= left:
            kept.append(line)
            left -= len(line) + 1
    return "\n".join(kept)


def _linked(name: str, url: str) -> str:
    return f"<{_link(url)}|{escaped(name.replace('_', ' '), 60)}>"


def _link(url: str) -> str:
    return url.replace("&", "&amp;")


def _place(site: Site) -> str:
    share = f" {100 * site.share_ratio:.0f} %" if site.share_ratio else ""
    operations = ", ".join(code(clean(each), 100) for each in site.operations[:_SITES])
    return f"at {code(place(site))}{share}" + (f" in {operations}" if operations else "")


def _fields(alert: Alert) -> list[dict[str, Any]]:
    hours = hours_left(alert)
    told = {
        "owner": clean(alert.owner),
        "limit reached in": "" if hours is None else human(hours * 3.6e12, "nanoseconds"),
        "taken by": clean(alert.acknowledged_by),
        **{name: value for name, value in figures_of(alert).items() if name != "limit in"},
    }
    rows = [(escaped(name, 100), escaped(value, _FIELD_CHARS)) for name, value in told.items() if value]
    return [{"title": name, "value": value, "short": True} for name, value in rows[:_FIELDS]]


def _more(count: int, outward: Outward) -> dict[str, Any]:
    text = f"and {count} more: {_link(outward.public_url)}/alerts" if outward.public_url else f"and {count} more"
    return {"color": _COLOURS[Severity.INFO], "fallback": f"and {count} more", "text": text}
