"""What is there: services, operations, profile types, spans, and where the samples went."""

import polars as pl

from correlate.errors import NotFound
from correlate.joins import coverage
from correlate.model.answers import Accounting
from correlate.model.profile_type import ProfileType, choose
from correlate.model.queries import SampleFilter, TimeRange
from correlate.ports import Lake
from correlate.services.explain import with_samples
from correlate.tables.hashing import hash_one


class Catalogue:
    """Lists what the lake holds."""

    def __init__(self, lake: Lake, *, skew_ns: int) -> None:
        self._lake = lake
        self._skew_ns = skew_ns

    def services(self) -> pl.DataFrame:
        """One row per service that sent spans or profiles.

        Columns: service, operation_count, span_count, error_count, profile_count, sample_count, cpu_labelled_ratio
        (share of the CPU value whose samples name a span or trace; null without CPU profiles), first_ns, last_ns.
        """
        return (
            _sums_of_spans(self._lake.operations())
            .join(_sums_of_profiles(self._lake.profile_types()), on="service", how="full", coalesce=True)
            .select(
                "service",
                *(pl.col(name).fill_null(0) for name in ("operation_count", "span_count", "error_count")),
                *(pl.col(name).fill_null(0) for name in ("profile_count", "sample_count")),
                "cpu_labelled_ratio",
                first_ns=pl.min_horizontal("first_ns", "first_ns_right"),
                last_ns=pl.max_horizontal("last_ns", "last_ns_right"),
            )
            .sort("service")
        )

    def operations(self, service: str | None = None) -> pl.DataFrame:
        """One row per operation: service, name, kind, span_count, error_count, mean_duration_ns, first_ns, last_ns.

        Raises:
            NotFound: no such service.
        """
        rows = self._of(self._lake.operations(), service)
        return rows.with_columns(mean_duration_ns=pl.col("total_duration_ns") // pl.col("span_count")).sort(
            "service", pl.col("span_count"), "name", descending=[False, True, False]
        )

    def profile_types(self, service: str | None = None) -> pl.DataFrame:
        """One row per service and profile type, with its alias and the share of its value that names a span or trace.

        Raises:
            NotFound: no such service.
        """
        rows = self._of(self._lake.profile_types(), service).sort("service", "type")
        aliases = [ProfileType.parse(text).alias for text in rows["type"].to_list()]
        return rows.with_columns(alias=pl.Series(aliases, dtype=pl.String), labelled_ratio=_ratio())

    def spans(
        self, service: str, operation: str | None, window: TimeRange, *, limit: int, slowest: bool = False
    ) -> pl.DataFrame:
        """SPANS rows of a service or one of its operations, newest or slowest first, with column samples."""
        spans = self._lake.spans_of_service(service, operation, window, limit=limit, slowest=slowest)
        if spans.is_empty():
            return spans.with_columns(samples=pl.lit(0, pl.Int64))
        starts, ends = spans["start_ns"], spans["start_ns"] + spans["duration_ns"]
        samples = self._lake.samples(
            SampleFilter(
                (hash_one(service),),
                (),
                int(starts.to_numpy().min()) - self._skew_ns,
                int(ends.to_numpy().max()) + self._skew_ns,
                tuple(spans["span"].unique().to_list()),
            ),
            ("span", "trace_hi", "trace_lo", "type", "weight"),
        )
        return with_samples(spans, samples)

    def accounting(self, service: str, wanted_type: str, window: TimeRange) -> Accounting:
        """Where all the value of a service and profile type in a window went: attributed, orphaned, unlabelled ….

        Raises:
            NotFound: the service has no profiles of that type.
            BadQuery: the profile type is neither an alias nor an id.
        """
        present = self._of(self._lake.profile_types(), service)["type"].to_list()
        types = choose(wanted_type, present)
        if not types:
            raise NotFound(f"service {service!r} has no profiles of type {wanted_type!r}, only {', '.join(present)}")
        samples = self._lake.samples(
            SampleFilter((hash_one(service),), (hash_one(types[0]),), window.start_ns, window.end_ns),
            ("span", "trace_hi", "trace_lo", "evidence", "value"),
        )
        named = samples["span"].unique()
        padded = TimeRange(window.start_ns - self._skew_ns, window.end_ns + self._skew_ns)
        stored = self._lake.spans_named(named.filter(named != 0).to_list(), padded)
        return coverage.account(samples, stored, service, ProfileType.parse(types[0]), window)

    def _of(self, rows: pl.DataFrame, service: str | None) -> pl.DataFrame:
        if service is None:
            return rows
        mine = rows.filter(pl.col("service") == service)
        if mine.is_empty() and service not in self.services()["service"].to_list():
            raise NotFound(f"there is no service {service!r}; GET /api/v1/services lists those there are")
        return mine


def _ratio() -> pl.Expr:
    return pl.when(pl.col("total") > 0).then(pl.col("labelled") / pl.col("total"))


def _sums_of_spans(operations: pl.DataFrame) -> pl.DataFrame:
    return operations.group_by("service").agg(
        operation_count=pl.len().cast(pl.Int64),
        span_count=pl.col("span_count").sum(),
        error_count=pl.col("error_count").sum(),
        first_ns=pl.col("first_ns").min(),
        last_ns=pl.col("last_ns").max(),
    )


def _sums_of_profiles(types: pl.DataFrame) -> pl.DataFrame:
    cpu = pl.col("type").str.split(":").list.get(1) == "cpu"
    return types.group_by("service").agg(
        profile_count=pl.col("profile_count").sum(),
        sample_count=pl.col("sample_count").sum(),
        cpu_labelled_ratio=pl.when(pl.col("total").filter(cpu).sum() > 0).then(
            pl.col("labelled").filter(cpu).sum() / pl.col("total").filter(cpu).sum()
        ),
        first_ns=pl.col("first_ns").min(),
        last_ns=pl.col("last_ns").max(),
    )
