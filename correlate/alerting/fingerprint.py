"""Names of alerts: 16 hexadecimal digits that are the same in every process, on every machine, after every restart."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

_OFFSET: Final = 0xCBF29CE484222325
_PRIME: Final = 0x100000001B3
_MASK: Final = (1 << 64) - 1
_SEPARATOR: Final = b"\xff"


def fingerprint_of_labels(labels: Mapping[str, str]) -> str:
    """FNV-1a-64 over the label set sorted by name, each name and value followed by a byte 0xFF.

    The same function as ``LabelSet.Fingerprint`` of Prometheus' common library, so that an alert has there and in
    Alertmanager the name that the same labels would get from Prometheus.
    """
    parts = (part.encode("utf-8", "replace") + _SEPARATOR for pair in sorted(labels.items()) for part in pair)
    return f"{_fnv1a(b''.join(parts)):016x}"


@lru_cache(maxsize=4096)
def fingerprint(detector: str, service: str, subject: str) -> str:
    """The fingerprint of a finding: of what stays the same while it lasts, so neither of severity nor of owner."""
    return fingerprint_of_labels({"alertname": detector, "service": service, "subject": subject})


def _fnv1a(data: bytes) -> int:
    """Fowler, Noll and Vo's hash in its 1a variant, 64 bits."""
    value = _OFFSET
    for byte in data:
        value = ((value ^ byte) * _PRIME) & _MASK
    return value
