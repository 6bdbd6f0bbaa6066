"""The labels that come with a whole profile, by Pyroscope's rules."""

from collections.abc import Iterable
from typing import Final, NamedTuple

UNKNOWN_SERVICE: Final = "unknown_service"

# Of the private labels (``__…__``) only these are kept: one tells the processes of a service apart, the other says that
# sampling left nothing but the totals of a profile.
_KEPT_PRIVATE: Final = frozenset({"__session_id__", "__sampled__"})

# Clients that compute deltas themselves mark their profiles with it.
_DELTA_PREFIX: Final = "godeltaprof_"


class ProfileLabels(NamedTuple):
    """What a profile's labels say: its service, its name (first part of the type id, or empty), and the rest."""

    service: str
    name: str
    labels: tuple[tuple[str, str], ...]


def read_labels(pairs: Iterable[tuple[str, str]]) -> ProfileLabels:
    """Sort labels out: ``service_name`` and ``__name__`` are special, other private ones are dropped."""
    labels = dict(pairs)
    service = labels.pop("service_name", "") or UNKNOWN_SERVICE
    name = labels.pop("__name__", "").removeprefix(_DELTA_PREFIX)
    kept = {key: value for key, value in labels.items() if not key.startswith("__") or key in _KEPT_PRIVATE}
    return ProfileLabels(service, name, tuple(kept.items()))
