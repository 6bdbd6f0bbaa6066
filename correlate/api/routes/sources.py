"""Where data is pulled from, and how that goes."""

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from correlate.api.deps import ServicesDep
from correlate.services.sources import SourceView

router = APIRouter(tags=["sources"])


class PartModel(BaseModel):
    """A part of a source, for instance one target of a scrape."""

    name: str
    ok: bool
    text: str = Field(description="one sentence")


class SourceModel(BaseModel):
    """A source and how pulling it goes; counts are sums since it was first pulled."""

    source: str
    kind: str = Field(description="tempo, pyroscope, pprof …")
    place: str = Field(description="address without credentials")
    configured: bool = Field(description="whether the configuration names it now")
    ok: bool = Field(description="whether the last pull succeeded, or there was none yet")
    until_ns: int | None = Field(description="up to when it is stored; None: nothing was pulled yet")
    behind_s: float | None = Field(description="how long ago that is")
    last_ok_ns: int = Field(description="0: never")
    last_error: str = Field(description="of the last pull that failed, with the fix")
    last_error_ns: int = Field(description="0: never")
    retry_at_ns: int = Field(description="not before then it is asked again; 0: whenever it is due")
    failures_in_a_row: int
    last_pull_seconds: float
    pulls: int
    failures: int
    payloads: int
    spans: int
    profiles: int
    samples: int
    duplicates: int
    rejects: int
    dead: int = Field(description="payloads that could not be read and are kept as dead letters")
    parts: list[PartModel]


class Sources(BaseModel):
    """All sources."""

    sources: list[SourceModel]
    dead_letters: int = Field(description="payloads that could not be read and wait")


@router.get("/sources", response_model=Sources)
def list_sources(services: ServicesDep) -> dict[str, Any]:
    """The systems that data is pulled from: up to when, what was stored, and what is wrong."""
    return {
        "sources": [_shown(view) for view in services.sources.all()],
        "dead_letters": services.sources.dead_letters(),
    }


def _shown(view: SourceView) -> dict[str, Any]:
    status = view.status
    names = SourceModel.model_fields.keys() - {"until_ns", "behind_s", "parts"}
    parts = [{"name": part.name, "ok": part.ok, "text": part.text} for part in status.parts]
    return {
        **{name: getattr(status, name) for name in names},
        "until_ns": view.until_ns,
        "behind_s": view.behind_s,
        "parts": parts,
    }
