"""Names of alerts."""

import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from correlate.alerting.fingerprint import fingerprint, fingerprint_of_labels


def test_it_is_the_function_of_prometheus() -> None:
    """The two values that the tests of Prometheus' common library know."""
    assert fingerprint_of_labels({}) == f"{14695981039346656037:016x}"
    labels = {"name": "garland, briggs", "fear": "love is not enough"}
    assert fingerprint_of_labels(labels) == f"{5799056148416392346:016x}"
    assert fingerprint_of_labels(dict(reversed(labels.items()))) == fingerprint_of_labels(labels)


def test_it_never_changes() -> None:
    """Stored ones must be found again: here, and in another process with another seed for Python's own hashes."""
    assert fingerprint("memory-leak", "checkout", "remember_session") == "d52450f2920756dc"
    code = "from correlate.alerting.fingerprint import fingerprint as f; print(f('memory-leak', 'checkout', 'x'))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert said == fingerprint("memory-leak", "checkout", "x")


@given(st.tuples(*[st.text(max_size=5)] * 3), st.tuples(*[st.text(max_size=5)] * 3))
def test_different_findings_have_different_names(one: tuple[str, str, str], two: tuple[str, str, str]) -> None:
    """Of the same length whatever the text, and no part runs into the next."""
    assert len(fingerprint(*one)) == 16
    assert (fingerprint(*one) == fingerprint(*two)) == (one == two)
