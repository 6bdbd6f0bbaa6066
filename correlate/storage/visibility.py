"""Which files of ``profiles`` count: those whose batch reached ``samples``."""

from collections.abc import Mapping

from correlate.storage.delta_log import DataFile, DeltaLog


def visible(profiles: DeltaLog, samples: DeltaLog) -> Mapping[str, DataFile]:
    """The active files of ``profiles`` that readers may see, by path."""
    files = profiles.snapshot().files
    samples.snapshot()  # after the files: a batch among them may have been completed since
    return {path: file for path, file in files.items() if reached(file, samples)}


def reached(file: DataFile, samples: DeltaLog) -> bool:
    """Tell whether the batch that wrote a file of ``profiles`` is committed in ``samples``."""
    writer, number = file.batch
    return not writer or samples.transaction(writer) >= number


def abandoned(profiles: DeltaLog, samples: DeltaLog, before_ms: int) -> list[DataFile]:
    """Files of ``profiles`` committed before a time whose batch never reached ``samples``."""
    old = [file for file in profiles.snapshot().files.values() if file.modified_ms < before_ms]
    samples.snapshot(newest=True)
    return [file for file in old if not reached(file, samples)]
