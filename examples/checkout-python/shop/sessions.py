"""Sessions of customers. The shop forgets to forget them: this is its leak."""

_sessions: list[bytearray] = []
SESSION_BYTES = 200_000


def remember_session() -> int:
    """Keep a new session for ever, and say how many there are."""
    _sessions.append(bytearray(SESSION_BYTES))
    return len(_sessions)


def count_expired() -> int:
    """What a background sweep finds: it looks at every session and drops none."""
    return sum(1 for session in _sessions if looks_expired(session))


def looks_expired(session: bytearray) -> bool:
    """A session whose bytes are all zero counts as expired."""
    return session.count(0, 0, 2_000) == 2_000
