"""Watching the recording: the real detectors, on a clock on which its minute stands for hours."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from correlate.demo.traffic import Recorded
from correlate.ports import Watermarks
from correlate.services.watch import SOURCE, Watch, WatchReport

BUCKET_S: Final = 10
"""Length of a bucket: profiles of the recording are five seconds long."""

FASTER: Final = 500
"""So many times as fast as on real services the detectors' clock runs, as in `detectors.leak_options.DEMO`."""

CONFIRM_S: Final = 10
"""A leak that is watched for so long fires: the recording is too short for a page by the detector's own rules."""

_BEFORE_S: Final = 60


def settings() -> dict[str, Any]:
    """How a demonstration is watched; on real services this would cry wolf.

    Watching does not begin by itself: what is half there would be judged as it is. Detectors of CPU time are off, since
    its parts change from minute to minute on any service.
    """
    growth = {"enable": True, "confirm_watch_after_s": CONFIRM_S}
    return {
        "enable": False,
        "bucket_s": BUCKET_S,
        "settle_s": 0,
        "pace": 1 / FASTER,
        "suppress_after_deploy_s": 0,
        "rules": [{"enable": False}, *({"detector": name} | growth for name in ("memory-leak", "goroutine-leak"))],
    }


def watch_recorded(
    watch: Watch, marks: Watermarks, services: Iterable[str], requests: Sequence[Recorded]
) -> WatchReport:
    """Observe and judge what was recorded, bucket by bucket, and keep the alerts that come of it.

    Args:
        watch: over the settings of this module.
        marks: how far each service is watched.
        services: all that are known.
        requests: the recording as it was replayed, all of it stored. What is older is left out: on this clock a day
            would be thousands of judgements.

    Raises:
        StoreError: the lake or the state database failed.
    """
    if not requests:
        return WatchReport()
    began_s = min(request.received_at_s for request in requests) - _BEFORE_S
    began_ns = int(began_s // BUCKET_S) * BUCKET_S * 10**9
    for service in services:
        mark_ns = marks.until_ns(SOURCE, service)
        if mark_ns is None or mark_ns < began_ns:
            marks.advance(SOURCE, service, mark_ns, began_ns)
    return watch.once()
