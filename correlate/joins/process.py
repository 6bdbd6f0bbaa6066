"""Which spans and which samples come from the same process, by what their resources say."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from correlate.tables import hashing

I64 = npt.NDArray[np.int64]

INSTANCE, CONTAINER, POD, HOST_PID, SERVICE = "instance", "container", "pod", "host+pid", "service"
LEVELS: Final = (INSTANCE, CONTAINER, POD, HOST_PID, SERVICE)
"""How processes are told apart, strongest first."""

_NAMESPACE: Final = ("k8s.namespace.name", "k8s_namespace_name", "namespace", "kubernetes_namespace")
_POD: Final = ("k8s.pod.name", "k8s_pod_name", "pod", "pod_name", "kubernetes_pod_name")
_PID: Final = ("process.pid", "process_pid", "pid")

IDENTITIES: Final[tuple[tuple[str, tuple[tuple[str, ...], ...]], ...]] = (
    (INSTANCE, (("service.instance.id", "service_instance_id", "instance"),)),
    (CONTAINER, (("container.id", "container_id", "__container_id__"),)),
    (POD, (("k8s.pod.uid", "k8s_pod_uid", "pod_uid"),)),
    (POD, (_NAMESPACE, _POD)),
    (POD, (_POD,)),
    (HOST_PID, (("host.id", "host_id"), _PID)),
    (HOST_PID, (("host.name", "host_name", "hostname", "host"), _PID)),
)
"""What identifies a process, strongest first: the level, and the aliases of each key that must be there.

Names are those of the OpenTelemetry resource conventions and, after them, what Pyroscope, Parca and Prometheus
relabelling make of them. A pod counts as a process: its containers rarely share a service name.
"""

_CONTAINER_ID: Final = r"([0-9a-f]{12})[0-9a-f]*"
"""Runtimes and agents write container ids whole or in short, with or without the runtime's name before them."""


@dataclass(frozen=True, slots=True)
class Processes:
    """How the series of spans and of samples were matched.

    Attributes:
        spans: columns series and process: a code per SERIES row of spans; equal codes mean one process.
        samples: the same for samples.
        levels: one row per process: process, service, level (``instance`` … ``service``) and instances: how many
            instances the code may lump together, 1 where the level is stronger than ``service``.
        reason: one sentence on how the processes were told apart.
    """

    spans: pl.DataFrame
    samples: pl.DataFrame
    levels: pl.DataFrame
    reason: str

    @property
    def lumped(self) -> int:
        """The largest number of instances behind one code."""
        return int(self.levels["instances"].to_numpy().max(initial=1))


def identify(span_series: pl.DataFrame, sample_series: pl.DataFrame) -> Processes:
    """Match the resources of spans with those of samples.

    Within a service, a series belongs to the process of the strongest identity whose value the other side knows too.
    Where one agent knows the container only and another the instance, the instances of that container become one
    process: nothing tells them apart. A value that the other side does not know means a process that only one side
    saw, if the two sides agree on other values of that key in the service; else the series falls to the service as a
    whole, with all others for which nothing works.

    Args:
        span_series: SERIES rows that spans point at.
        sample_series: SERIES rows that samples point at.
    """
    series = _both(span_series, sample_series)
    tokens = _tokens(series)
    meeting = tokens.filter(pl.col("side").n_unique().over("token") == 2)
    strangers = tokens.join(meeting, on="row", how="anti").join(meeting, on=["service", "rank"], how="semi")
    goes_by = pl.concat([_strongest(meeting), _strongest(strangers)])
    told = series.join(goes_by.group_by("row").agg(pl.col("rank").min()), on="row", how="left", maintain_order="left")
    component = _components(told, tokens.join(goes_by, on="token", how="semi"))
    return _processes(told.with_columns(component=pl.Series(component)), tokens)


def _strongest(tokens: pl.DataFrame) -> pl.DataFrame:
    return tokens.filter(pl.col("rank") == pl.col("rank").min().over("row"))


def _both(span_series: pl.DataFrame, sample_series: pl.DataFrame) -> pl.DataFrame:
    """The series of both sides: row, side (0 spans, 1 samples), series, service and labels."""
    sides = [
        rows.unique("series", maintain_order=True).select("series", "service", "labels", side=pl.lit(side, pl.Int8))
        for side, rows in enumerate((span_series, sample_series))
    ]
    return pl.concat(sides).with_row_index("row").with_columns(pl.col("row").cast(pl.Int64))


def _tokens(series: pl.DataFrame) -> pl.DataFrame:
    """What identifies each series: row, side, service, rank (of the identity, 0 the strongest) and token, a hash."""
    labels = series.select("row", "side", "service", "labels").explode("labels").drop_nulls("labels").unnest("labels")
    known = labels.filter(pl.col("key").is_in([key for key, _ in _aliases()]) & (pl.col("value") != ""))
    value = pl.col("value").str.to_lowercase()
    cut = pl.when(_is("container")).then(value.str.extract(_CONTAINER_ID).fill_null(value)).otherwise(value)
    texts = known.with_columns(value=cut)
    found = [_identity(texts, rank, keys) for rank, (_, keys) in enumerate(IDENTITIES)]
    every = pl.concat(found)
    hashed = hashing.combine([every["rank"].to_numpy(), *hashing.hash_texts(every.select("service", "value"))])
    return every.drop("value").with_columns(token=pl.Series(hashed))


def _aliases() -> Iterator[tuple[str, str]]:
    for level, keys in IDENTITIES:
        for aliases in keys:
            yield from ((alias, level) for alias in aliases)


def _is(level: str) -> pl.Expr:
    return pl.col("key").is_in([key for key, of in _aliases() if of == level])


def _identity(labels: pl.DataFrame, rank: int, keys: tuple[tuple[str, ...], ...]) -> pl.DataFrame:
    """The series that have all keys of an identity, with what they say, joined into one text."""
    ids = ["row", "side", "service"]
    parts = [
        labels.filter(pl.col("key").is_in(aliases)).group_by(ids).agg(pl.col("value").min().alias(str(place)))
        for place, aliases in enumerate(keys)
    ]
    whole = parts[0]
    for part in parts[1:]:
        whole = whole.join(part, on=ids)
    value = pl.concat_str([str(place) for place in range(len(keys))], separator="\n")
    return whole.select(*ids, rank=pl.lit(rank, pl.Int64), value=value)


def _components(series: pl.DataFrame, used: pl.DataFrame) -> I64:
    """Which process each series belongs to: series that share a token that somebody goes by, or else a service."""
    services = pl.Series("token", hashing.hash_text(series["service"]))
    rest = series.select("row", services, unmatched=pl.col("rank").is_null()).filter("unmatched")
    edges = pl.concat([used.select("row", "token"), rest.select("row", "token")])
    token, node = np.unique(edges["token"].to_numpy(), return_inverse=True)
    count = len(series) + len(token)
    graph = coo_array((np.ones(len(edges), np.int8), (edges["row"].to_numpy(), len(series) + node)), (count, count))
    found: I64 = connected_components(graph, directed=False)[1][: len(series)].astype(np.int64)
    return found


def _processes(series: pl.DataFrame, tokens: pl.DataFrame) -> Processes:
    """Number the processes in order of first appearance, and say at which level each was told apart."""
    coded = series.with_columns(process=pl.col("component").rank("dense").cast(pl.Int64) - 1)
    best = _strongest(tokens).group_by("row").agg(pl.col("token").min())
    instances = (
        coded.join(best, on="row", how="left")
        .group_by("process", "side")
        .agg(pl.col("token").drop_nulls().n_unique())
        .group_by("process")
        .agg(instances=pl.col("token").max().cast(pl.Int64).clip(1))
    )
    names = pl.Series([level for level, _ in IDENTITIES] + [SERVICE])
    levels = (
        coded.group_by("process")
        .agg(
            pl.col("service").first(), pl.col("rank").fill_null(len(IDENTITIES)).max(), sides=pl.col("side").n_unique()
        )
        .join(instances, on="process")
        .sort("process")
        .with_columns(level=pl.lit(names).gather(pl.col("rank")))
        .with_columns(instances=pl.when(pl.col("level") == SERVICE).then("instances").otherwise(1))
    )
    return Processes(
        coded.filter(pl.col("side") == 0).select("series", "process"),
        coded.filter(pl.col("side") == 1).select("series", "process"),
        levels.select("process", "service", "level", "instances"),
        _sentence(levels.filter(pl.col("sides") == 2)),
    )


def _sentence(levels: pl.DataFrame) -> str:
    """How the processes that both sides know were told apart. `levels` has their level and instances."""
    if levels.is_empty():
        return "no service has both spans and samples here"
    counts = dict(levels.group_by("level").len().rows())
    told = " and ".join(f"{counts[level]:,} by {level}" for level in LEVELS if level in counts)
    lumped = int(levels["instances"].to_numpy().max())
    more = f"; nothing tells up to {lumped} instances of a service apart" if lumped > 1 else ""
    return f"processes matched: {told}{more}"
