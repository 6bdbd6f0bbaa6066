"""Small pprof profiles for tests, made with the generated classes: independent of the code under test."""

from collections.abc import Mapping, Sequence

from correlate.formats.pprof_heads import PprofContext
from correlate.formats.proto.pprof_pb2 import Profile
from correlate.tables.build import Linked, build
from correlate.tables.symbols import Symbols
from correlate.tables.tables import Tables

RECEIVED_NS = 1_700_000_000_000_000_000
CPU = (("samples", "count"), ("cpu", "nanoseconds"))


class ProfileMaker:
    """Builds one profile; ids are what the caller says, or count from 1."""

    def __init__(
        self,
        types: Sequence[tuple[str, str]] = CPU,
        period_type: tuple[str, str] = ("cpu", "nanoseconds"),
        period: int = 10_000_000,
    ) -> None:
        self.profile = Profile(
            string_table=[b""], period=period, time_nanos=RECEIVED_NS - 10**10, duration_nanos=10**10
        )
        for name, unit in types:
            self.profile.sample_type.add(type=self.text(name), unit=self.text(unit))
        if period_type[0]:
            self.profile.period_type.type = self.text(period_type[0])
            self.profile.period_type.unit = self.text(period_type[1])

    def text(self, text: str | bytes) -> int:
        """The position of a string, which is added if it is new."""
        raw = text.encode() if isinstance(text, str) else text
        if raw not in self.profile.string_table:
            self.profile.string_table.append(raw)
        return list(self.profile.string_table).index(raw)

    def function(self, name: str | bytes, file: str = "a.go", ident: int = 0) -> int:
        """Add a function and tell its id."""
        ident = ident or len(self.profile.function) + 1
        self.profile.function.add(id=ident, name=self.text(name), system_name=self.text(name), filename=self.text(file))
        return ident

    def location(self, *functions: int, address: int = 0, mapping: int = 0, ident: int = 0) -> int:
        """Add a location with one line per function, innermost first, and tell its id."""
        ident = ident or len(self.profile.location) + 1
        location = self.profile.location.add(id=ident, address=address, mapping_id=mapping)
        for at, function in enumerate(functions):
            location.line.add(function_id=function, line=at + 10)
        return ident

    def sample(self, locations: Sequence[int], values: Sequence[int], labels: Mapping[str, str | int] = {}) -> None:
        """Add a sample; locations are leaf first."""
        sample = self.profile.sample.add(location_id=locations, value=values)
        for key, value in labels.items():
            self.label(sample, key, value)

    def label(self, sample: object, key: str, value: str | int, unit: str = "") -> None:
        """Add a label to a sample."""
        number = value if isinstance(value, int) else 0
        text = 0 if isinstance(value, int) else self.text(value)
        sample.label.add(key=self.text(key), str=text, num=number, num_unit=self.text(unit))  # type: ignore[attr-defined]

    def bytes(self) -> bytes:
        """The profile on the wire, not compressed."""
        return self.profile.SerializeToString()


def simple(name: str = "main", value: int = 3) -> bytes:
    """A CPU profile of one sample with the stack root;`name`."""
    maker = ProfileMaker()
    root, leaf = maker.location(maker.function("root")), maker.location(maker.function(name))
    maker.sample([leaf, root], [value, value * 10_000_000])
    return maker.bytes()


def context(**known: object) -> PprofContext:
    """What a door knows, with defaults."""
    return PprofContext(**{"service": "svc", "received_ns": RECEIVED_NS, **known})  # type: ignore[arg-type]


def stack_names(linked: Linked) -> list[list[str]]:
    """The function names of every sample row, root first, in the order of the rows."""
    names = linked.frames["function"].to_list()
    stacks = [
        [names[row] for row in linked.stack_frames[start:end]]
        for start, end in zip(linked.stack_offsets[:-1], linked.stack_offsets[1:], strict=True)
    ]
    return [stacks[row] if row >= 0 else [] for row in linked.samples["stack"].to_list()]


def symbols_of(tables: Tables) -> Symbols:
    """The symbols of some tables."""
    return Symbols.build(tables.stacks, tables.frames)


def tables_of(linked: Linked) -> Tables:
    """The tables of some linked profiles."""
    return build(linked)
