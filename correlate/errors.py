"""Every error correlate raises on purpose, with its handling on the class.

CorrelateError              retry=False  report=True   http_status=500
    BadInput                             report=False  http_status=400
        UnknownFormat                                  http_status=415
        Malformed
        BadQuery
        TooLarge                                       http_status=413
        OutOfRetention
        Foreign                                        http_status=403
    NotFound                             report=False  http_status=404
        NoProfile
    Overloaded              retry=True   report=False  http_status=503
    StoreError              retry=True                 http_status=503
    SourceError                          report=False  http_status=502
        SourceUnreachable   retry=True
        SourceTooSlow       retry=True
        SourceRefused
        SourceMalformed
    ConfigError                          report=False  http_status=500

The drawing above is checked against the classes by a test. The API, the workers and the command line each have one
handler, which reads the class attributes: ``retry`` (would the same request succeed later?), ``report`` (is it a
fault of ours, worth an error log?), ``http_status`` (the status code a client sees).
"""

from typing import ClassVar


class CorrelateError(Exception):
    """The root of all errors raised on purpose; its message is one sentence that helps."""

    retry: ClassVar[bool] = False
    report: ClassVar[bool] = True
    http_status: ClassVar[int] = 500


class BadInput(CorrelateError):
    """What was sent cannot be used; sending it again will not help."""

    report = False
    http_status = 400


class UnknownFormat(BadInput):
    """The bytes are of a format that is not read here; the message names the format when it is known."""

    http_status = 415


class Malformed(BadInput):
    """The bytes are of the right format but broken; the message says where."""


class BadQuery(BadInput):
    """A query parameter cannot be understood; the message names it and shows a good one."""


class TooLarge(BadInput):
    """More bytes, samples or labels than the limit; the message names the limit and the setting."""

    http_status = 413


class OutOfRetention(BadInput):
    """Older than what is kept, or from a future no clock skew explains."""


class Foreign(BadInput):
    """A page of another site made the browser send it."""

    http_status = 403


class NotFound(CorrelateError):
    """What was asked for by name does not exist here."""

    report = False
    http_status = 404


class NoProfile(NotFound):
    """The span is known or not, its profile is not there, and ``reason`` says which of the known reasons it is."""

    def __init__(self, message: str, *, reason: str, details: dict[str, object] | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.details = details or {}


class Overloaded(CorrelateError):
    """A queue is full; the sender should retry after ``retry_after_s`` seconds."""

    retry = True
    report = False
    http_status = 503

    def __init__(self, message: str, *, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class StoreError(CorrelateError):
    """The store could not commit or read; nothing of the request counts as stored."""

    retry = True
    http_status = 503


class SourceError(CorrelateError):
    """A system we fetch from did not give what was asked for; the message names the source and the fix."""

    report = False
    http_status = 502


class SourceUnreachable(SourceError):
    """No connection, or it broke: wrong address, name, certificate, or the server is down."""

    retry = True


class SourceTooSlow(SourceError):
    """It did not answer in time, or said that it is overloaded; ``retry_after_s`` is what it asked for, if it did."""

    retry = True

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class SourceRefused(SourceError):
    """It answered no: credentials, tenant, an unknown path, a limit that the request exceeds."""


class SourceMalformed(SourceError):
    """It answered with something that is not what the protocol says, for instance a login page."""


class ConfigError(CorrelateError):
    """The configuration is wrong; the message lists every mistake."""

    report = False
