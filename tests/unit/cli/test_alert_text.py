"""Alerts in a terminal."""

from typing import Any

from rich.console import Console

from correlate.cli.alert_text import print_alert

SITE = {"function": "keep", "file": "shop.py", "line": 7, "operations": ["POST /checkout"]}
FINDING: dict[str, Any] = {
    "detector": "memory-leak",
    "service": "shop",
    "headline": "keep keeps 3 MiB more every hour",
    "figures": {"growth_bytes_per_hour": 3.0 * 2**20, "growth_bytes": 1e6, "limit_bytes": None, "p_ratio": 0.001},
    "sites": [SITE],
    "guards": [
        {"name": "size", "passed": True, "reason": "large"},
        {"name": "plateau", "passed": False, "reason": "it levels off"},
    ],
}


def printed(**changes: Any) -> str:
    """What an alert looks like."""
    alert = {
        "fingerprint": "0" * 16,
        "status": "firing",
        "severity": "warning",
        "finding": FINDING | changes,
        "events": [
            {"time_ns": 1_700_000_060 * 10**9, "kind": "firing", "text": "x"},
            {"time_ns": 1_700_000_000 * 10**9, "kind": "watch", "text": "x"},
        ],
    }
    console = Console(width=200)
    with console.capture() as capture:
        print_alert(alert, "http://here:8080", console)
    return capture.get()


def test_an_alert_says_what_where_how_much_and_why() -> None:
    """Figures with their units, checks that passed and that did not, its history in order, and its page."""
    assert [line.strip() for line in printed().splitlines()] == [
        "firing  memory-leak in shop, warning",
        "keep keeps 3 MiB more every hour",
        "call site  keep (shop.py:7)",
        "operations  POST /checkout",
        "figures  growth 3 MiB per hour",
        "checks  size",
        "held back by  plateau: it levels off",
        "history  2023-11-14T22:13:20.000Z watch",
        "history  2023-11-14T22:14:20.000Z firing",
        "http://here:8080/alerts/0000000000000000",
    ]


def test_what_is_not_known_is_not_told() -> None:
    """No sites, no figures, no checks."""
    told = printed(sites=[SITE | {"operations": []}], figures={}, guards=[])
    assert not any(word in told for word in ("operations", "figures", "checks"))


def test_hostile_names_do_not_reach_the_terminal() -> None:
    """Neither escape sequences nor markup."""
    bad = "\x1b[31m[red]x[/nonsense]\u202e"
    told = printed(service=bad, headline=bad, sites=[SITE | {"function": bad, "operations": [bad]}])
    assert "\x1b" not in told
    assert "\u202e" not in told
    assert "[red]x[/nonsense]" in told
