"""Matching the resources of spans with those of samples."""

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from correlate.joins import process
from correlate.tables.schema import ATTRIBUTES, KIND_STRING, SERIES

POD_A, POD_B = "checkout-5d8f-aaaaa", "checkout-5d8f-bbbbb"


def series(*labels: dict[str, str], service: str = "checkout", first: int = 1) -> pl.DataFrame:
    """SERIES rows of one service, numbered from `first`."""
    rows = [
        {
            "series": first + place,
            "service_id": 1,
            "service": service,
            "type_id": 0,
            "type": "",
            "labels": [{"key": key, "value": value, "kind": KIND_STRING} for key, value in sorted(own.items())],
        }
        for place, own in enumerate(labels)
    ]
    return pl.DataFrame(rows, schema={**SERIES, "labels": ATTRIBUTES}, orient="row")


def codes(found: process.Processes) -> tuple[list[int], list[int]]:
    """The codes of spans' and samples' series, in the order of the series."""
    return found.spans.sort("series")["process"].to_list(), found.samples.sort("series")["process"].to_list()


def level_of(found: process.Processes, code: int) -> tuple[str, int]:
    """Level and number of instances of a process."""
    return found.levels.filter(pl.col("process") == code).select("level", "instances").row(0)


def test_instances_are_told_apart_by_their_id_under_any_alias() -> None:
    """What one side calls service.instance.id the other may call instance."""
    found = process.identify(
        series({"service.instance.id": "i-1"}, {"service.instance.id": "i-2"}),
        series({"instance": "i-2"}, {"service_instance_id": "I-1"}),
    )
    (one, two), (second, first) = codes(found)
    assert (one, two) == (first, second)
    assert one != two
    assert level_of(found, one) == ("instance", 1)
    assert found.reason == "processes matched: 2 by instance"


def test_a_weaker_identity_counts_where_the_values_of_a_stronger_do_not_meet() -> None:
    """Instance ids that differ in kind (an address, a random id) do not spoil the match by pod."""
    found = process.identify(
        series({"service.instance.id": "6f1c", "k8s.pod.name": POD_A}, {"k8s.pod.name": POD_B}),
        series({"instance": "10.0.0.1:80", "pod": POD_A}, {"kubernetes_pod_name": POD_B}),
    )
    spans, samples = codes(found)
    assert spans == samples
    assert [level_of(found, code)[0] for code in spans] == ["pod", "pod"]


def test_pods_of_one_name_in_two_namespaces_are_two() -> None:
    """Stateful sets give the same name in each namespace."""
    found = process.identify(
        series(*({"k8s.pod.name": "web-0", "k8s.namespace.name": name} for name in ("prod", "test"))),
        series(*({"pod": "web-0", "namespace": name} for name in ("prod", "test"))),
    )
    (one, two), samples = codes(found)
    assert [one, two] == samples
    assert one != two


def test_container_ids_meet_in_full_and_in_short() -> None:
    """Twelve digits are enough, and a runtime's name may stand before them."""
    whole = "4e01d2f0a1b2" + "c" * 52
    found = process.identify(series({"container.id": whole}), series({"container_id": "containerd://" + whole[:12]}))
    assert found.levels["level"].to_list() == ["container"]
    assert codes(found) == ([0], [0])


def test_a_pid_says_nothing_without_its_host() -> None:
    """Every container has a process 1."""
    both = {"host.name": "n1", "process.pid": "1"}
    assert process.identify(series(both), series({"hostname": "n1", "pid": "1"})).levels["level"].to_list() == [
        "host+pid"
    ]
    assert process.identify(series({"process.pid": "1"}), series({"pid": "1"})).levels["level"].to_list() == ["service"]


def test_what_cannot_be_told_apart_is_lumped_together_and_counted() -> None:
    """Three instances on one side, none known on the other: one code, and it says so."""
    found = process.identify(series(*({"service.instance.id": f"i-{n}"} for n in range(3))), series({}))
    assert codes(found) == ([0, 0, 0], [0])
    assert level_of(found, 0) == ("service", 3)
    assert found.lumped == 3
    assert "up to 3 instances" in found.reason


def test_an_instance_that_only_one_side_saw_stays_alone() -> None:
    """Where the two sides agree on other values of the key, a strange value is a process of its own."""
    found = process.identify(
        series({"service.instance.id": "i-1"}, {"service.instance.id": "i-2"}),
        series({"service.instance.id": "i-1"}, {"service.instance.id": "i-9"}),
    )
    (one, two), (same, nine) = codes(found)
    assert one == same
    assert len({one, two, nine}) == 3


def test_a_coarse_identity_lumps_instances_only_where_somebody_goes_by_it() -> None:
    """An agent that knows containers only makes the instances of its container one process."""
    inside = [{"service.instance.id": f"i-{n}", "container.id": "c" * 12} for n in range(2)]
    apart = process.identify(series(*inside), series(*inside))
    assert codes(apart)[0] == codes(apart)[1] == [0, 1]
    lumped = process.identify(series(*inside), series(*inside, {"container_id": "c" * 12}))
    assert codes(lumped) == ([0, 0], [0, 0, 0])
    assert level_of(lumped, 0) == ("container", 1)


def test_services_are_never_mixed() -> None:
    """Equal pod names in two services are two processes."""
    spans = pl.concat([series({"k8s.pod.name": "p"}), series({"k8s.pod.name": "p"}, service="cart", first=2)])
    found = process.identify(spans, series({"pod": "p"}, service="cart"))
    (one, two), (only,) = codes(found)
    assert one != two == only


def test_nothing_gives_nothing() -> None:
    """Empty sides are no error."""
    found = process.identify(series(), series())
    assert codes(found) == ([], [])
    assert found.lumped == 1
    assert process.identify(series({}), series()).levels.height == 1


VALUES = st.dictionaries(st.sampled_from(["instance", "container_id", "pod"]), st.sampled_from("ab"), max_size=3)


@given(st.lists(VALUES, max_size=5), st.lists(VALUES, max_size=5))
def test_series_of_one_process_are_linked_by_what_they_share(left: list[dict[str, str]], right: list[dict[str, str]]):
    """Slow twin: join what shares the strongest meeting value of any of them, one pair at a time."""
    found = process.identify(series(*left), series(*right))
    sides = [(0, own) for own in left] + [(1, own) for own in right]
    meets = {(key, value) for key in ("instance", "container_id", "pod") for value in "ab"} & {
        pair for own in left for pair in own.items()
    }
    meets &= {pair for own in right for pair in own.items()}

    def goes_by(own: dict[str, str]) -> tuple[str, str] | None:
        for key in ("instance", "container_id", "pod"):
            if (key, own.get(key, "")) in meets:
                return key, own[key]
        for key in ("instance", "container_id", "pod"):
            if key in own and any(key == other for other, _ in meets):
                return key, own[key]
        return None

    names = [goes_by(own) for _, own in sides]
    group = list(range(len(sides)))
    for _ in sides:
        for a, (_, own) in enumerate(sides):
            for b, (_, other) in enumerate(sides):
                shared = {pair for pair in own.items() if pair in other.items() and pair in names}
                if shared or (names[a] is None and names[b] is None):
                    group[a] = group[b] = min(group[a], group[b])
    expected = [[group[a] == group[b] for b in range(len(sides))] for a in range(len(sides))]
    flat = [code for side in codes(found) for code in side]
    assert [[one == other for other in flat] for one in flat] == expected
