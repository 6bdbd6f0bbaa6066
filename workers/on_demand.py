"""Sources as answerers of questions, in every process that answers questions."""

from collections.abc import Iterator
from contextlib import contextmanager

from correlate.bootstrap import Services
from workers.runtime import sources_of


@contextmanager
def running(services: Services) -> Iterator[None]:
    """Ask the configured sources for what questions turn out to lack, until the block is left.

    Raises:
        ConfigError: the sources are wrong; the message lists every mistake.
    """
    with sources_of(services.settings, services.clock) as sources:
        asked = [each.on_demand for each in sources if each.on_demand is not None]
        with services.explain.asking(asked):
            yield
