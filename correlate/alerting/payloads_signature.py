"""Signatures of webhook bodies, as Grafana Alerting makes them (``http/hmac.go``): nothing else on a receiver's side.

The code covers ``<unix seconds>:`` and the body, as lower-case hexadecimal digits without a prefix. The time is in a
header of its own, so that a receiver can refuse what somebody recorded and sends again.
"""

import hashlib
import hmac


def signature(secret: str, time_s: int, body: bytes) -> str:
    """HMAC-SHA256 over time and body, 64 hexadecimal digits."""
    return hmac.new(secret.encode(), f"{time_s}:".encode() + body, hashlib.sha256).hexdigest()
