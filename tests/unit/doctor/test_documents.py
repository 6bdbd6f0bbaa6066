"""Every complaint and every point of the checklist is explained where its link leads."""

import re
from pathlib import Path

from correlate.doctor.checklist import Practices, walk

ROOT = Path(__file__).parents[3]


def test_every_complaint_has_its_section() -> None:
    """One heading per kind of fault, and none too many."""
    sources = "".join(path.read_text() for path in (ROOT / "correlate/doctor").glob("*.py"))
    named = re.findall(r'Complaint\(\s*"([\w-]+)"', sources) + re.findall(
        r'^NAME(?:: Final)? = "([\w-]+)"', sources, re.MULTILINE
    )
    headings = re.findall(r"^### ([\w-]+)$", (ROOT / "docs/doctor.md").read_text(), re.MULTILINE)
    assert sorted(named) == sorted(headings)


def test_every_point_of_the_checklist_is_described() -> None:
    """In a table, by name and in order."""
    described = re.findall(r"^\| `([\w-]+)` \|", (ROOT / "docs/doctor.md").read_text(), re.MULTILINE)
    assert described == [item.name for item in walk(Practices(), [])]
