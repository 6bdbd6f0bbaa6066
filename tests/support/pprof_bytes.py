"""Small pprof profiles made of stacks, and read back as stacks."""

from collections.abc import Iterable, Mapping

from correlate.formats.inflate import gunzip
from correlate.formats.proto.pprof_pb2 import Profile

Stack = tuple[str, ...]
"""Function names, root first."""


def cpu_profile(
    samples: Iterable[tuple[Stack, int, Mapping[str, str]]],
    time_ns: int,
    *,
    duration_ns: int = 10**10,
    period: int = 10**7,
    first_address: int = 4096,
) -> bytes:
    """A CPU profile: stacks, nanoseconds, labels. Without a first address locations have none."""
    profile = Profile(time_nanos=time_ns, duration_nanos=duration_ns, period=period)
    texts = {"": 0}

    def text(word: str) -> int:
        return texts.setdefault(word, len(texts))

    profile.sample_type.add(type=text("cpu"), unit=text("nanoseconds"))
    profile.period_type.type, profile.period_type.unit = text("cpu"), text("nanoseconds")
    profile.mapping.add(id=1, has_functions=True)
    places: dict[str, int] = {}
    for stack, value, labels in samples:
        for name in stack:
            if name not in places:
                places[name] = len(places) + 1
                profile.function.add(id=places[name], name=text(name))
                place = profile.location.add(
                    id=places[name], mapping_id=1, address=first_address and first_address + places[name]
                )
                place.line.add(function_id=places[name], line=7)
        sample = profile.sample.add(location_id=[places[name] for name in reversed(stack)], value=[value])
        for key, word in labels.items():
            sample.label.add(key=text(key), str=text(word))
    profile.string_table.extend(word.encode() for word in texts)
    body: bytes = profile.SerializeToString()
    return body


def stacks_of(body: bytes) -> dict[Stack, int]:
    """The first value of every stack, summed."""
    profile = Profile.FromString(gunzip(body))
    functions = {each.id: profile.string_table[each.name].decode() for each in profile.function}
    places = {each.id: functions[each.line[0].function_id] for each in profile.location}
    found: dict[Stack, int] = {}
    for sample in profile.sample:
        stack = tuple(places[each] for each in reversed(sample.location_id))
        found[stack] = found.get(stack, 0) + sample.value[0]
    return found


def collapsed_stacks(body: bytes) -> dict[Stack, int]:
    """Stacks of collapsed text."""
    lines = (line.rpartition(" ") for line in body.decode().splitlines())
    return {tuple(stack.split(";")): int(value) for stack, _, value in lines}
