"""Contacting a Tempo and saying in sentences what was found."""

from collections.abc import Iterator, Sequence
from email.utils import parsedate_to_datetime
from typing import Any, Final

from connectors.http import Call, HttpSource, Reply
from correlate.errors import SourceError
from correlate.ports import Clock, Finding

_SHOWN_COUNT: Final = 20
_LOOK_BACK_S: Final = 3600
_SKEW_S: Final = 5.0
_PATIENCE_S: Final = 10.0


class TempoCheck:
    """One check of one Tempo; quick, without retries."""

    def __init__(self, http: HttpSource, clock: Clock, services: Sequence[str]) -> None:
        self._http = http
        self._clock = clock
        self._services = services

    def findings(self) -> list[Finding]:
        """Whether it answers, its version, whether it lets us in, which services it has, and its clock."""
        found: list[Finding] = []
        try:
            found.extend(self._steps())
        except SourceError as exc:
            found.append(Finding(ok=False, text=str(exc)))
        return found

    def _get(self, path: str, params: dict[str, str | int] | None = None, *, accept: str = "*/*") -> Reply:
        return self._http.send(Call("GET", path, params or {}, accept, max_retries=0, deadline_s=_PATIENCE_S))

    def _steps(self) -> Iterator[Finding]:
        # The one path that needs no tenant: what goes wrong here is about address and network.
        echo = self._get("/api/echo")
        if echo.body.strip() != b"echo":
            text = f"{self._http.who} answers, but not as Tempo does to /api/echo; does the url name another server?"
            yield Finding(ok=False, text=text)
            return
        yield Finding(ok=True, text=f"{self._http.who} answers")
        yield from self._clock_finding(echo)
        yield self._version()
        yield from self._visible_services()

    def _clock_finding(self, reply: Reply) -> Iterator[Finding]:
        try:
            theirs_s = parsedate_to_datetime(reply.headers.get("date", "")).timestamp()
        except ValueError:
            return
        ahead_s = self._clock.now_ns() / 1e9 - theirs_s
        # The header has whole seconds, so up to one second of difference is not a difference.
        if abs(ahead_s) <= _SKEW_S + 1:
            yield Finding(ok=True, text="its clock agrees with ours")
            return
        side = "behind" if ahead_s > 0 else "ahead of"
        text = f"its clock is {abs(ahead_s):.0f} s {side} ours; synchronise both, or pulls miss or wait for spans"
        yield Finding(ok=False, text=text)

    def _version(self) -> Finding:
        try:
            version = self._get("/api/status/buildinfo").json_object().get("version") or "unknown"
        except SourceError:
            return Finding(ok=True, text="its version is not shown, as a gateway in between may decide")
        return Finding(ok=True, text=f"it is Tempo, version {version}")

    def _visible_services(self) -> Iterator[Finding]:
        now_s = self._clock.now_ns() // 1_000_000_000
        params: dict[str, str | int] = {"start": now_s - _LOOK_BACK_S, "end": now_s}
        reply = self._get("/api/v2/search/tag/resource.service.name/values", params, accept="application/json")
        names = sorted(_values(reply.json_object()))
        if not names:
            yield Finding(ok=False, text="no spans came in during the last hour; check the tenant and who sends to it")
            return
        more = f" and {len(names) - _SHOWN_COUNT} more" if len(names) > _SHOWN_COUNT else ""
        yield Finding(ok=True, text=f"services of the last hour: {', '.join(names[:_SHOWN_COUNT])}{more}")
        if missing := sorted(set(self._services) - set(names)):
            text = f"no spans of {', '.join(missing)} in the last hour; compare the spelling with the services above"
            yield Finding(ok=False, text=text)


def _values(answer: dict[str, Any]) -> set[str]:
    values = answer.get("tagValues")
    return {str(one.get("value")) for one in values if isinstance(one, dict)} if isinstance(values, list) else set()
