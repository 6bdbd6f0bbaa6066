"""The doctor at its doors: REST and the page."""

from collections.abc import Callable

import polars as pl

from correlate.api.schemas.doctor import DoctorReport
from correlate.doctor.checklist import Practices
from correlate.doctor.endpoints import Endpoint
from correlate.tables.tables import concat
from tests.fakes.lake import FakeLake
from tests.support.asgi import AppClient
from tests.support.clinic import NOW_NS, SHOP, Clinic, clinic
from tests.unit.api.conftest import HOSTILE, World


def client_of(patient: Clinic, practices: Practices | None = None) -> AppClient:
    """A client of an application over what a patient sent."""
    return World(FakeLake(patient.rows()), practices=practices or Practices(), now_ns=NOW_NS).client()


def hurt() -> Clinic:
    """A third of the traces is missing."""
    patient = clinic()
    return patient.with_spans(patient.spans.filter(pl.col("trace_lo") % 3 != 0))


def test_the_report_is_what_the_document_promises() -> None:
    """Complaints with figures, fixes and a link; figures of each service; the checklist."""
    answer = client_of(hurt()).get("/api/v1/doctor").json()
    assert DoctorReport.model_validate(answer).model_dump(mode="json") == answer
    first = answer["complaints"][0]
    assert (first["name"], first["severity"]) == ("orphan-spans", "high")
    assert first["doc"] == "docs/doctor.md#orphan-spans"
    (shop,) = [each for each in answer["services"] if each["service"] == SHOP]
    parts = ("attributed", "orphaned", "misnamed", "trace_only", "unreadable", "ambiguous", "unlabelled", "pending")
    assert sum(shop["labels"][part] for part in parts) == shop["labels"]["total"]
    assert shop["end_ns"] > shop["start_ns"] > 0
    assert [item["name"] for item in answer["checklist"]] == [
        "sampling-rate",
        "retention",
        "leak-detectors",
        "alert-receivers",
        "joins-verified",
        "export-verified",
        "dashboards",
        "closed-endpoints",
    ]


def test_an_open_endpoint_is_a_complaint_of_the_installation() -> None:
    """It belongs to no service, and is told whoever else is well."""
    practices = Practices(endpoints=(Endpoint("scrape", "http://203.0.113.9:6060"),))
    assert [each["name"] for each in client_of(clinic(), practices).get("/api/v1/doctor").json()["complaints"]] == []
    public = Practices(endpoints=(Endpoint("scrape", "http://8.8.8.8:6060"),))
    (found,) = client_of(clinic(), public).get("/api/v1/doctor").json()["complaints"]
    assert (found["name"], found["service"]) == ("open-pprof-endpoint", "")


def test_the_page_shows_what_the_report_says() -> None:
    """Sentence, fix, figures, shares and the checklist; linked from every page."""
    client = client_of(hurt())
    html = client.get("/doctor").text
    found = client.get("/api/v1/doctor").json()["complaints"]
    assert all(each["name"] in html and each["fix"][:30] in html for each in found)
    assert "Checklist for production" in html
    assert 'href="/doctor?service=checkout"' in html
    assert 'href="/doctor"' in client.get("/").text
    assert "of checkout" in client.get("/doctor?service=checkout").text


def test_the_page_of_a_healthy_shop_and_of_nothing() -> None:
    """In words, not as an empty page; a name that nobody has is a 404."""
    assert "Nothing is wrong." in client_of(clinic()).get("/doctor").text
    assert "Nothing has arrived yet." in World(FakeLake()).client().get("/doctor").text
    assert client_of(clinic()).get("/doctor?service=nobody").status_code == 404


def test_names_from_the_wire_are_only_text(client_of: Callable[..., AppClient]) -> None:
    """A service may be called like a script."""
    patient = clinic()
    rows = patient.spans.with_columns(service=pl.lit(HOSTILE), name=pl.lit(HOSTILE))
    html = client_of(concat([patient.with_spans(rows).rows()])).get("/doctor").text
    assert "<script>alert" not in html
    assert "service-name-mismatch" in html
