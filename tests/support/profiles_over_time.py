"""Recorded profiles as the growth detectors take them: sites x times, from tables."""

import polars as pl

from correlate.detectors.leak_cluster import Frame, cluster
from correlate.detectors.leak_series import MemorySeries
from correlate.detectors.leak_sites import SiteSeries
from correlate.tables.tables import Tables


def over_time(tables: Tables, type_pattern: str, service: str = "shop") -> SiteSeries:
    """Values of one profile type by site and time; what is absent from a profile is 0 there."""
    typed = tables.series.filter(pl.col("type").str.contains(type_pattern)).unique("series").select("series")
    summed = (
        tables.samples.join(typed, on="series", how="semi")
        .group_by("stack", "time_ns")
        .agg(pl.col("value").sum())
        .sort("time_ns")
        .pivot(on="time_ns", index="stack", values="value")
        .fill_null(0)
    )
    frames = tables.frames.unique("frame").select("frame", "function", "file", "line")
    named = (
        tables.stacks.unique("stack")
        .join(summed.select("stack"), on="stack", how="semi")
        .explode("frames")
        .join(frames, left_on="frames", right_on="frame", how="left", maintain_order="left")
        .group_by("stack", maintain_order=True)
        .agg("function", "file", "line")
    )
    ordered = summed.join(named, on="stack", how="left", maintain_order="left").with_columns(
        pl.col("function", "file", "line").fill_null([])
    )
    stacks = [
        [Frame(*each) for each in zip(functions, files, lines, strict=True)]
        for functions, files, lines in ordered.select("function", "file", "line").rows()
    ]
    values = summed.drop("stack").to_numpy().astype(float)
    times = pl.Series([int(name) for name in summed.columns[1:]]).to_numpy()
    sites, by_site = cluster(stacks, values)
    return SiteSeries(MemorySeries(service, f"{service}-1", times, by_site.sum(axis=0)), by_site, sites)
