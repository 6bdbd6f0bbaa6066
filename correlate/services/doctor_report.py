"""A diagnosis as JSON can say it: for the REST API, the page and the command line alike."""

from dataclasses import asdict
from typing import Any

from correlate.doctor.complaint import Complaint
from correlate.doctor.examine import Diagnosis
from correlate.doctor.figures import LabelFigures, ServiceFigures


def report(diagnosis: Diagnosis) -> dict[str, Any]:
    """Complaints, checklist and figures as plain dictionaries and lists."""
    return {
        "complaints": [_complaint(each) for each in diagnosis.complaints],
        "checklist": [asdict(each) for each in diagnosis.checklist],
        "services": [_examined(each) for each in diagnosis.services],
        "skipped": list(diagnosis.skipped),
        "now_ns": diagnosis.now_ns,
    }


def _complaint(complaint: Complaint) -> dict[str, Any]:
    return {**asdict(complaint), "doc": complaint.doc}


def _examined(figures: ServiceFigures) -> dict[str, Any]:
    same = ("service", "start_ns", "end_ns", "span_rows", "sample_rows", "period_ns")
    skew = figures.skew
    return {
        **{name: getattr(figures, name) for name in same},
        "span_count": figures.arrival.span_count,
        "profile_count": figures.arrival.profile_count,
        "parentless_count": figures.traces.parentless_count if figures.traces else 0,
        "labels": _labels(figures.labels) if figures.labels else None,
        "skew": {name: getattr(skew, name) for name in ("hits", "outside_hits", "offset_ns")} if skew else None,
    }


def _labels(labels: LabelFigures) -> dict[str, Any]:
    left_out = ("owners", "unreadable_keys")
    known = {name: value for name, value in asdict(labels).items() if name not in left_out}
    return {**known, "attributed_ratio": labels.share(labels.attributed)}
