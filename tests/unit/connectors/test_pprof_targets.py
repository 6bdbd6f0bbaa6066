"""Finding pprof targets."""

import json
import os
from pathlib import Path

import pytest

from connectors.pprof_targets import Directory, DnsTargets, FileTargets, StaticTargets, Target, target_of
from correlate.errors import ConfigError, SourceMalformed, SourceUnreachable


def write(path: Path, groups: object, *, at_s: int) -> None:
    path.write_text(json.dumps(groups))
    os.utime(path, (at_s, at_s))


def test_labels_say_service_scheme_and_path() -> None:
    """Labels with two underscores steer, the job is the service when nothing better is given, others are kept."""
    labels = {
        "job": "shop",
        "__scheme__": "https",
        "__profile_path_prefix__": "/app/pprof/",
        "pod": "shop-1",
        "__x": "y",
    }
    target = target_of("10.0.0.1:6060", labels)
    assert target == Target(
        "10.0.0.1:6060",
        "shop",
        (("instance", "10.0.0.1:6060"), ("job", "shop"), ("pod", "shop-1")),
        "https",
        "/app/pprof",
    )
    assert target.url == "https://10.0.0.1:6060/app/pprof"
    assert target_of("a:1", {"service_name": "checkout", "job": "shop"}).service == "checkout"
    assert target_of("a:1", {}).service == "unknown_service"


@pytest.mark.parametrize("address", ["", "localhost", "http://localhost:6060", "localhost:6060/debug", "host:http"])
def test_an_address_is_host_and_port(address: str) -> None:
    """Anything else is refused with an example."""
    with pytest.raises(ConfigError, match="host:port"):
        target_of(address, {})


def test_a_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    """JSON and YAML, by pattern; a changed file counts from then on."""
    write(tmp_path / "a.json", [{"targets": ["a:1", "b:1"], "labels": {"job": "shop"}}], at_s=1000)
    (tmp_path / "b.yml").write_text("- targets: ['c:1']\n  labels: {replica: 3}\n")
    files = FileTargets(tmp_path / "*.*")
    assert [target.address for target in files.targets()] == ["a:1", "b:1", "c:1"]
    assert dict(files.targets()[2].labels)["replica"] == "3"
    write(tmp_path / "a.json", [{"targets": ["d:1"]}], at_s=1001)
    assert [target.address for target in files.targets()] == ["d:1", "c:1"]


@pytest.mark.parametrize(
    "text", ["{", "{}", "[3]", '[{"targets": "a:1"}]', '[{"targets": ["a"]}]', '[{"targets": [], "labels": 3}]']
)
def test_a_broken_file_is_told_with_its_name(tmp_path: Path, text: str) -> None:
    """The message names the file."""
    (tmp_path / "t.json").write_text(text)
    with pytest.raises(SourceMalformed, match=r"t\.json"):
        FileTargets(tmp_path / "t.json").targets()


def test_a_missing_file_is_told_with_its_name(tmp_path: Path) -> None:
    """No file is different from no targets."""
    with pytest.raises(SourceUnreachable, match=r"gone\.yml"):
        FileTargets(tmp_path / "gone.yml").targets()


def test_what_cannot_be_looked_up_keeps_its_last_targets(tmp_path: Path) -> None:
    """A file in the middle of being written does not make the targets vanish."""
    path = tmp_path / "t.json"
    write(path, [{"targets": ["a:1"]}], at_s=1000)
    directory = Directory([FileTargets(path, "shop"), StaticTargets(["a:1", "b:1"], "other")])
    assert [(target.address, target.service) for target in directory.targets()] == [("a:1", "shop"), ("b:1", "other")]
    path.write_text("[{")
    assert [target.address for target in directory.targets()] == ["a:1", "b:1"]
    assert "t.json" in directory.errors[0]
    write(path, [], at_s=1002)
    assert [(target.address, target.service) for target in directory.targets()] == [("a:1", "other"), ("b:1", "other")]
    assert directory.errors == ()


def test_a_name_gives_a_target_per_address() -> None:
    """Each address once, IPv6 in brackets; the name is the service unless one is given."""
    dns = DnsTargets("shop.local", 6060, resolve=lambda _: ["10.0.0.2", "10.0.0.1", "10.0.0.2", "::1"])
    assert [target.address for target in dns.targets()] == ["10.0.0.1:6060", "10.0.0.2:6060", "[::1]:6060"]
    assert {target.service for target in dns.targets()} == {"shop.local"}
    assert DnsTargets("localhost", 1).targets()[0].address in ("127.0.0.1:1", "[::1]:1")


def test_a_name_without_addresses_is_an_error() -> None:
    """The message names the name."""

    def nobody(_: str) -> list[str]:
        raise OSError("Name or service not known")

    with pytest.raises(SourceUnreachable, match=r"shop\.local cannot be resolved"):
        DnsTargets("shop.local", 6060, resolve=nobody).targets()
