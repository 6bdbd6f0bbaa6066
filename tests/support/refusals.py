"""What is asked of every refusal: the right status, a sentence that helps, and memory that stays bounded."""

from collections.abc import Callable
from pathlib import Path

from tests.support.requests import Answer
from tests.support.server import Served


def refused(answer: Answer, status: int, *words: str) -> None:
    """The answer has the status, and a sentence with some words."""
    assert answer.status == status, answer
    assert len(answer.message) > 20, answer
    assert [word for word in words if word not in answer.message] == [], answer


def rss_bytes(server: Served, name: str = "VmRSS") -> int:
    """Resident memory of the server, now or at its highest."""
    status = Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith(name)) << 10


def growth_bytes(server: Served, work: Callable[[], object]) -> int:
    """By how much the highest resident memory during some work exceeds that before it."""
    Path(f"/proc/{server.process.pid}/clear_refs").write_text("5")  # forget the highest so far
    before = rss_bytes(server)
    work()
    return rss_bytes(server, "VmHWM") - before
