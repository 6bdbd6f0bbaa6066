"""What people do with alerts: look at them, take them on, call them wrong, silence them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from correlate.alerting.lifecycle import acknowledge, call_false_positive
from correlate.alerting.silencing import silence_problem, silenced_by
from correlate.errors import BadInput, NotFound, StoreError
from correlate.model.alert_changes import AlertFilter, Changes
from correlate.model.alert_policy import AlertConfig, lowered
from correlate.model.alerts import Alert, AlertEvent, AlertStatus, EventKind, Feedback, Silence
from correlate.ports import AlertBooks, Clock

_TRIES: Final = 5
_MAX_SILENCES: Final = 1000


@dataclass(frozen=True, slots=True)
class AlertView:
    """An alert as people want to see it.

    Attributes:
        alert: as it is.
        silenced_by: the silences that hold for it now.
        events: what happened to it, the newest first; empty in lists.
    """

    alert: Alert
    silenced_by: tuple[int, ...] = ()
    events: tuple[AlertEvent, ...] = ()


class Alerts:
    """The use cases around alerts."""

    def __init__(self, books: AlertBooks, config: AlertConfig, clock: Clock) -> None:
        self._books = books
        self._config = config
        self._clock = clock

    def list(self, wanted: AlertFilter) -> Sequence[AlertView]:
        """Firing ones first, then watched, then resolved; within these the last changed first.

        Raises:
            StoreError: the state database failed.
        """
        return self._views(self._books.alerts.find(wanted))

    def findings(self, service: str | None = None, detector: str | None = None, *, limit: int) -> Sequence[AlertView]:
        """What detectors see now, confirmed or not, told or not.

        Raises:
            StoreError: the state database failed.
        """
        seen = (AlertStatus.FIRING, AlertStatus.WATCH)
        return self.list(AlertFilter(statuses=seen, service=service, detector=detector, limit=limit))

    def get(self, fingerprint: str) -> AlertView:
        """One alert with its history.

        Raises:
            NotFound: there is none of that fingerprint.
            StoreError: the state database failed.
        """
        (view,) = self._views([self._known(fingerprint)])
        return replace(view, events=tuple(self._books.alerts.history(fingerprint)))

    def acknowledge(self, fingerprint: str, by: str) -> AlertView:
        """Take an alert on: it is neither repeated nor escalated any more in this episode.

        Raises:
            NotFound: there is none of that fingerprint.
            BadInput: it is resolved.
            StoreError: the state database failed.
        """

        def step(alert: Alert) -> Changes:
            taken, events = acknowledge(alert, by, self._clock.now_ns())
            return Changes(alerts=(taken,), events=tuple(events)) if events else Changes()

        return self._change(fingerprint, step)

    def false_positive(self, fingerprint: str, by: str, comment: str = "") -> AlertView:
        """Call an alert wrong: it is resolved, stays quiet for a while, and its detector becomes less sensitive.

        Raises:
            NotFound: there is none of that fingerprint.
            StoreError: the state database failed.
        """

        def step(alert: Alert) -> Changes:
            policy = self._config.policies.of(alert.verdict.service, alert.verdict.detector)
            called, events, said = call_false_positive(alert, by, comment, self._clock.now_ns(), policy)
            return Changes(alerts=(called,), events=tuple(events), feedback=tuple(said)) if events else Changes()

        return self._change(fingerprint, step)

    def sensitivity(self, service: str, detector: str) -> str:
        """How sensitive a detector is to be for a service: as configured, lowered by what people said.

        Raises:
            StoreError: the state database failed.
        """
        steps = self._books.feedback.steps(service, self._clock.now_ns())
        return lowered(self._config.policies.of(service, detector).sensitivity, steps.get(detector, 0))

    def feedback(self) -> Sequence[Feedback]:
        """What people said, the newest first.

        Raises:
            StoreError: the state database failed.
        """
        return self._books.feedback.list()

    def silences(self, *, over: bool = False) -> Sequence[Silence]:
        """Those that hold or will hold, the newest first; with `over` those too that held.

        Raises:
            StoreError: the state database failed.
        """
        return self._books.silences.list(ending_after_ns=0 if over else self._clock.now_ns())

    def silence(self, silence: Silence) -> Silence:
        """Let nobody be told of some alerts for a while; those it holds for now remember it.

        Raises:
            BadInput: a matcher cannot be used, it would silence everything, is over already, or there are too many.
            StoreError: the state database failed.
        """
        now_ns = self._clock.now_ns()
        if problem := silence_problem(silence):
            raise BadInput(problem)
        if silence.end_ns <= now_ns:
            raise BadInput("the silence would be over already: choose an end in the future")
        if len(self._books.silences.list(ending_after_ns=now_ns, limit=_MAX_SILENCES)) >= _MAX_SILENCES:
            raise BadInput(f"there are {_MAX_SILENCES} silences already: end some, or use wider matchers")
        kept = self._books.silences.add(silence)
        open_ = self._books.alerts.open()
        held = silenced_by(open_, [kept], now_ns)
        text = f"silenced by silence {kept.id}: {kept.comment}"
        events = (
            AlertEvent(alert.fingerprint, alert.episode, now_ns, EventKind.SILENCED, text, kept.by)
            for alert in open_
            if alert.fingerprint in held
        )
        self._books.alerts.apply(Changes(events=tuple(events)))
        return kept

    def unsilence(self, ident: int) -> Silence:
        """End a silence; one that is over already stays as it is.

        Raises:
            NotFound: there is no such silence.
            StoreError: the state database failed.
        """
        ended = self._books.silences.end(ident, self._clock.now_ns())
        if ended is None:
            raise NotFound(f"there is no silence {ident}; GET /api/v1/silences lists those there are")
        return ended

    def _views(self, alerts: Sequence[Alert]) -> Sequence[AlertView]:
        now_ns = self._clock.now_ns()
        held = silenced_by(alerts, self._books.silences.list(ending_after_ns=now_ns), now_ns)
        return [AlertView(alert, held.get(alert.fingerprint, ())) for alert in alerts]

    def _known(self, fingerprint: str) -> Alert:
        alert = self._books.alerts.get(fingerprint)
        if alert is None:
            raise NotFound(f"there is no alert {fingerprint[:80]}; GET /api/v1/alerts lists those there are")
        return alert

    def _change(self, fingerprint: str, step: Callable[[Alert], Changes]) -> AlertView:
        for _ in range(_TRIES):
            changes = step(self._known(fingerprint))
            if not changes or self._books.alerts.apply(changes):
                return self.get(fingerprint)
        raise StoreError(f"alert {fingerprint} is changed by others all the time; try again")
