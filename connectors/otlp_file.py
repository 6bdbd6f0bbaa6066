"""Files of the OpenTelemetry Collector's file exporter, followed like ``tail -F``.

How far each file was read is kept in memory only. It counts once the watermark shows that what was read is stored: a
window that begins where an earlier one ended says so, and so does one that begins well after an earlier reading, since
whoever moved the watermark there has read all that was in the files by then. Everything else is read again, and the
store recognises what it has. Hence a restart costs the reading of files that changed around the watermark or after it,
and neither loses a record nor stores one twice.
"""

import os
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from connectors.otlp_paths import Found, Identity, find, identity_of
from connectors.otlp_records import Framing, Place, Records, framing_of
from connectors.otlp_signal import BrokenRecord, Message, OtherSignal, message_of
from correlate.errors import SourceUnreachable
from correlate.model.payload import RawPayload
from correlate.model.queries import TimeRange
from correlate.ports import Clock, Finding

_SKEW_NS: Final = 60_000_000_000
"""How far the clocks of the file system and of other processes may be off."""
_READINGS_COUNT: Final = 64
_NOTES_COUNT: Final = 50
_CHECKED_COUNT: Final = 20


@dataclass(frozen=True, slots=True)
class OtlpFileOptions:
    """How files are read.

    Attributes:
        framing: how records are told apart; None: by the first bytes of each file.
        signal: ``traces``, ``profiles``, or ``auto``: by the content of each record.
        max_record_bytes: the longest record, before and after decompression.
    """

    framing: Framing | None = None
    signal: str = "auto"
    max_record_bytes: int = 64 << 20


@dataclass(frozen=True, slots=True)
class _Reading:
    """What one window read: the end of the window, when the reading was over, and how far each file was read."""

    end_ns: int
    over_ns: int
    places: Mapping[Identity, Place]

    def is_stored_before(self, start_ns: int) -> bool:
        return self.end_ns == start_ns or self.over_ns + _SKEW_NS <= start_ns


class OtlpFileSource:
    """Files to read spans and profiles from. Implements `correlate.ports.Source`."""

    def __init__(
        self, name: str, patterns: Sequence[str], clock: Clock, options: OtlpFileOptions | None = None
    ) -> None:
        """Prepare; nothing is opened yet.

        Args:
            name: what the configuration calls it.
            patterns: see `connectors.otlp_paths.find`.
            clock: the time of day.
            options: how to read.
        """
        self._name = name
        self._patterns = tuple(patterns)
        self._clock = clock
        self._options = options or OtlpFileOptions()
        self._stored: Mapping[Identity, Place] = {}
        self._readings: list[_Reading] = []
        self._paths: dict[Identity, Path] = {}
        self._seen: Mapping[Identity, Place] = {}
        self._notes: deque[Finding] = deque(maxlen=_NOTES_COUNT)

    @property
    def name(self) -> str:
        """What the configuration calls it."""
        return self._name

    def close(self) -> None:
        """Nothing is kept open between pulls."""

    def take_notes(self) -> list[Finding]:
        """What could not be read, oldest first, each told once; only the last 50 are kept."""
        return [self._notes.popleft() for _ in range(len(self._notes))]

    def settled_until_ns(self, now_ns: int) -> int:
        """Now: what is written is there."""
        return now_ns

    def check(self) -> list[Finding]:
        """Look at the first record of up to 20 files, and tell what pulls could not read since the last check."""
        found = find(self._patterns, {})
        if not found:
            return [Finding(ok=False, text=self._nothing()), *self.take_notes()]
        more = len(found) - _CHECKED_COUNT
        rest = [Finding(ok=True, text=f"{more} more files are there")] if more > 0 else []
        return [*map(self._looked_into, found[-_CHECKED_COUNT:]), *rest, *self.take_notes()]

    def fetch(self, window: TimeRange) -> Iterator[RawPayload]:
        """What was written since it was last known to be stored; the window tells which files may have changed.

        Times inside the records play no part. One record is in memory at a time.

        Raises:
            SourceUnreachable: none of the files can be read.
        """
        self._settle(window.start_ns)
        found = find(self._patterns, self._paths)
        if not found:
            self._note(self._nothing())
        places: dict[Identity, Place] = {}
        failures: list[str] = []
        for each in found:
            before = self._stored.get(each.identity)
            if _is_old(each, before, window.start_ns):
                places |= {each.identity: before} if before else {}
                continue
            places[each.identity] = before or Place()
            try:
                yield from self._read(each, places)
            except FileNotFoundError:
                continue  # it was deleted or renamed just now; renamed ones are found in their turn
            except OSError as exc:
                failures.append(f"{each.path} cannot be read: {exc.strerror}")
        self._remember(window, found, places)
        self._complain(failures, len(found))

    def _settle(self, start_ns: int) -> None:
        """Take over how far files are stored; readings that nothing is known of yet are kept in mind."""
        stored = [number for number, each in enumerate(self._readings) if each.is_stored_before(start_ns)]
        if stored:
            self._stored = self._readings[stored[-1]].places
            del self._readings[: stored[-1] + 1]

    def _remember(self, window: TimeRange, found: Sequence[Found], places: Mapping[Identity, Place]) -> None:
        self._paths = {each.identity: each.path for each in found if each.identity in places}
        self._seen = places
        del self._readings[_READINGS_COUNT - 1 :]  # the oldest will be of use first
        self._readings.append(_Reading(window.end_ns, self._clock.now_ns(), places))

    def _complain(self, failures: Sequence[str], found_count: int) -> None:
        for text in failures:
            self._note(text)
        if failures and len(failures) == found_count:
            raise SourceUnreachable(f"{self._name}: {failures[0]}; does this process have the right to?")

    def _read(self, found: Found, places: dict[Identity, Place]) -> Iterator[RawPayload]:
        with found.path.open("rb") as file:
            if identity_of(os.fstat(file.fileno())) != found.identity:
                raise FileNotFoundError  # another file has its name since it was listed
            place = self._resumed(found, places[found.identity], file)
            if place is None:
                del places[found.identity]
                return
            framing = self._options.framing or framing_of(file)
            if framing is None or place.stopped:
                return
            records = Records(file, place, self._options.max_record_bytes, lambda text: self._note_of(found, text))
            yield from self._payloads(found, records, framing)
            places[found.identity] = records.end()

    def _resumed(self, found: Found, place: Place, file: BinaryIO) -> Place | None:
        """Where to go on; None for another file that got the number of one that was followed, and is not meant."""
        seen = self._seen.get(found.identity, Place())
        if found.renamed and not (seen.offset_bytes and seen.is_of(file)):
            return None
        return place if place.is_of(file) else Place()

    def _payloads(self, found: Found, records: Records, framing: Framing) -> Iterator[RawPayload]:
        start = records.place.offset_bytes
        for record in records.each(framing):
            try:
                message = message_of(record, self._options.signal, self._options.max_record_bytes)
            except OtherSignal as exc:
                self._note_of(found, str(exc))
            except BrokenRecord as exc:
                if framing is Framing.LENGTHS:
                    records.stop(f"the record before: {exc}")
                else:
                    self._note_of(found, f"the line at byte {start} is left out: {exc}")
            else:
                if message is not None:
                    yield self._payload(message, found.path, start)
            start = records.place.offset_bytes

    def _payload(self, message: Message, path: Path, start: int) -> RawPayload:
        return RawPayload(
            kind=message.kind,
            encoding=message.encoding,
            body=message.body,
            received_ns=self._clock.now_ns(),
            sender=f"otlp-file:{self._name}",
            params={"file": str(path), "offset": str(start)},
        )

    def _looked_into(self, found: Found) -> Finding:
        said: list[str] = []
        try:
            with found.path.open("rb") as file:
                framing = self._options.framing or framing_of(file)
                if framing is None:
                    return Finding(ok=True, text=f"{found.path} is empty so far")
                records = Records(file, Place(), self._options.max_record_bytes, said.append)
                record = next(records.each(framing), None)
            message = message_of(record, self._options.signal, self._options.max_record_bytes) if record else None
        except OSError as exc:
            return Finding(
                ok=False, text=f"{found.path} cannot be read: {exc.strerror}; give this process the right to"
            )
        except (BrokenRecord, OtherSignal) as exc:
            return Finding(ok=False, text=f"{found.path}: {exc}")
        what = f"{message.kind} in {message.encoding}" if message else "no whole record yet"
        return Finding(ok=not said, text=f"{found.path}: {'; '.join(said) or what}")

    def _nothing(self) -> str:
        return f"no file matches {', '.join(self._patterns)}; is the path right, and may this process list the folder?"

    def _note_of(self, found: Found, text: str) -> None:
        self._note(f"{found.path}: {text}")

    def _note(self, text: str) -> None:
        finding = Finding(ok=False, text=text)
        if finding not in self._notes:
            self._notes.append(finding)


def _is_old(found: Found, place: Place | None, start_ns: int) -> bool:
    """Whether a file did not change since the watermark, and all of it is stored."""
    caught_up = place is None or place.offset_bytes == found.count_bytes
    return caught_up and found.changed_ns < start_ns - _SKEW_NS
