"""httpx's errors in our words, all of them."""

import httpx
import pytest

from connectors.translate import ours, translated
from correlate.errors import SourceError

THEIRS = [c for c in vars(httpx).values() if isinstance(c, type) and issubclass(c, Exception)]


def test_no_httpx_error_is_left_untranslated() -> None:
    """Whatever httpx may raise has a class of ours."""
    assert len(THEIRS) > 25
    assert [c.__name__ for c in THEIRS if ours(c) is None] == []


@pytest.mark.parametrize("theirs", [c for c in THEIRS if issubclass(c, httpx.RequestError)], ids=lambda c: c.__name__)
def test_each_error_becomes_a_sentence_about_the_source(theirs: type[httpx.RequestError]) -> None:
    """The source is the subject, and there is something after the colon."""
    error = translated(theirs("boom"), "tempo (http://tempo)")
    assert isinstance(error, SourceError)
    assert str(error).startswith("tempo (http://tempo)")
    assert len(str(error)) > 30 or "boom" in str(error)


def test_a_header_that_cannot_be_written_is_not_quoted() -> None:
    """The original text quotes the value, which may be a token."""
    error = translated(httpx.LocalProtocolError("Illegal header value b'Bearer s3cret'"), "tempo")
    assert "s3cret" not in str(error)


def test_other_errors_are_not_ours() -> None:
    """A bug is not dressed up as a fault of the source."""
    assert ours(ValueError) is None
