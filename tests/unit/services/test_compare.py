"""Comparisons of two sets of spans, over a lake in memory."""

from dataclasses import replace

import orjson
import polars as pl
import pytest

from correlate.errors import BadQuery, NoProfile
from correlate.flame.focus import Lens
from correlate.model.answers import Reason, SpanInfo
from correlate.model.ids import TraceId
from correlate.model.queries import TimeRange
from correlate.services.compare import Asked, Compare
from correlate.services.render import Format
from correlate.services.render_compare import FORMATS, render
from tests.support.rows import SECOND, T0, profile
from tests.unit.services.test_cohort_profiles import EVERYTHING, MS, WINDOW, labelled, service, shop

COUNT = 400


@pytest.fixture(scope="module")
def compare() -> Compare:
    """Four hundred requests, a quarter of them slow."""
    return Compare(service(shop(COUNT), labelled(COUNT)))


def test_what_slow_spans_do_differently_is_named_first(compare: Compare) -> None:
    """In figures and in words, with the duration from which on they count as slow."""
    found = compare.slow("checkout", "POST /checkout", WINDOW, 0.75, Asked())
    assert (found.left.name, found.right.name, found.threshold_ns) == ("normal", "slow", 800 * MS)
    first = found.comparison.frames.row(0, named=True)
    assert (first["name"], first["significant"], first["cost_difference"]) == ("sort", True, 300 * MS)
    assert "sort" in found.sentences[1]
    assert found.sentences[0].startswith("The slow side spends 300 ms more per span")
    assert found.right.cohort.query.endswith("&& duration >= 800000000ns }")


def test_both_flame_graphs_are_one_tree(compare: Compare) -> None:
    """The totals of its root are those of the sides."""
    found = compare.slow("checkout", "POST /checkout", WINDOW, 0.75, Asked())
    assert int(found.tree.left.total[0]) == 300 * 100 * MS
    assert int(found.tree.right.total[0]) == 100 * 400 * MS


def test_equal_sides_differ_in_nothing(compare: Compare) -> None:
    """And the words say what would have been seen."""
    middle = T0 + COUNT // 2 * SECOND
    early, late = TimeRange(WINDOW.start_ns, middle - 100 * MS), TimeRange(middle, WINDOW.end_ns)
    found = compare.queries((EVERYTHING, early), (EVERYTHING, late), Asked())
    assert (found.left.cohort.chosen, found.right.cohort.chosen) == (COUNT // 2, COUNT // 2)
    assert not found.comparison.frames["significant"].any()


def test_spans_that_both_sides_choose_are_on_one_side(compare: Compare) -> None:
    """All requests against the slow ones: these do not count on both sides, and a sentence says so."""
    slow = '{ name = "POST /checkout" && duration > 500ms }'
    found = compare.queries((EVERYTHING, WINDOW), (slow, WINDOW), Asked())
    assert (found.left.cohort.chosen, found.right.cohort.chosen) == (COUNT * 3 // 4, COUNT // 4)
    assert found.left.cohort.matched == COUNT * 3 // 4
    assert found.sentences[-1].startswith(f"The {COUNT // 4} spans that both queries choose")
    assert found.comparison.difference == pytest.approx(300 * MS)


def test_a_side_is_not_compared_with_itself(compare: Compare) -> None:
    """Nothing would be left on the other."""
    with pytest.raises(NoProfile, match="cannot be compared with itself"):
        compare.queries((EVERYTHING, WINDOW), (EVERYTHING, WINDOW), Asked())


def test_the_usual_duration_is_not_slow() -> None:
    """Where clocks tick coarsely, most spans last as long as the threshold: those above it are the slow ones."""
    rows = shop(100)
    length = pl.when(pl.col("span") <= 4).then(900 * MS).when(pl.col("span") > 20).then(200 * MS).otherwise(100 * MS)
    ticking = replace(rows, spans=rows.spans.with_columns(duration_ns=length.cast(pl.Int64)))
    found = Compare(service(ticking, labelled(100))).slow("checkout", "POST /checkout", WINDOW, 0.95, Asked())
    assert (found.threshold_ns, found.right.cohort.chosen, found.left.cohort.chosen) == (900 * MS, 2, 98)
    equal = replace(rows, spans=rows.spans.with_columns(duration_ns=pl.lit(200 * MS, pl.Int64)))
    with pytest.raises(NoProfile, match="equally long"):
        Compare(service(equal, labelled(100))).slow("checkout", "POST /checkout", WINDOW, 0.95, Asked())


def test_a_lens_compares_a_part(compare: Compare) -> None:
    """With `focus`, only stacks that match count, on both sides."""
    found = compare.slow("checkout", "POST /checkout", WINDOW, 0.75, Asked(lens=Lens(focus="work")))
    assert found.comparison.difference == pytest.approx(0)
    assert "sort" not in found.comparison.frames["name"].to_list()


def test_one_span_is_compared_with_its_operation(compare: Compare) -> None:
    """It is not among the others, and a sentence says that one span shows no spread."""
    span = SpanInfo(TraceId(7, 100), 1, 0, "checkout", "POST /checkout", 2, 0, T0, 800 * MS)
    found = compare.with_operation(span, Asked())
    assert (found.left.cohort.chosen, found.right.cohort.chosen) == (COUNT - 1, 1)
    assert any("single span" in sentence for sentence in found.sentences)


def test_too_few_spans_are_refused() -> None:
    """With their number."""
    with pytest.raises(NoProfile, match="8 spans") as refused:
        Compare(service(shop(8), labelled(8))).slow("checkout", "POST /checkout", WINDOW, 0.99, Asked())
    assert refused.value.reason == Reason.TOO_WEAK


def test_evidence_that_does_not_tell_spans_apart_is_refused() -> None:
    """Shared windows give every span the same mixture."""
    unnamed = profile([{"stack": "main;work", "value": 1000 * MS}], duration_ns=COUNT * SECOND)
    with pytest.raises(NoProfile, match="does not tell one span from another"):
        Compare(service(shop(COUNT), unnamed)).slow("checkout", "POST /checkout", WINDOW, 0.75, Asked())


@pytest.mark.parametrize("wanted", FORMATS)
def test_every_form_can_be_written(compare: Compare, wanted: Format) -> None:
    """JSON is JSON, pages and pictures name the sides."""
    found = compare.slow("checkout", "POST /checkout", WINDOW, 0.75, Asked())
    made = render(found, wanted, 1000)
    if made.media_type == "application/json":
        assert orjson.loads(made.body)
    else:
        assert b"sort" in made.body


def test_a_form_without_two_sides_is_refused(compare: Compare) -> None:
    """By name, with those there are."""
    found = compare.slow("checkout", "POST /checkout", WINDOW, 0.75, Asked())
    with pytest.raises(BadQuery, match="pprof"):
        render(found, Format.PPROF, 1000)
