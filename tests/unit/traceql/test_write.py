"""Writing queries."""

from hypothesis import given, settings
from hypothesis import strategies as st

from correlate.traceql.parse import parse
from correlate.traceql.syntax import Query
from correlate.traceql.write import of_operation, operation_of, write
from tests.support.traceql import queries


@settings(max_examples=60)
@given(queries())
def test_what_is_written_is_read_back_as_the_same(query: Query) -> None:
    """For all queries as they come out of reading."""
    assert parse(write(query)) == query


@settings(max_examples=60)
@given(st.text(max_size=40), st.text(max_size=40))
def test_an_operation_keeps_its_names_through_writing_and_reading(service: str, name: str) -> None:
    """Quotes, control characters, braces: names may hold anything."""
    text = write(of_operation(service, name))
    assert operation_of(parse(text)) == (service, name)


def test_the_query_of_an_operation_reads_well() -> None:
    """As a person would write it."""
    assert (
        write(of_operation("checkout", 'GET "/"')) == '{ resource.service.name = "checkout" && name = "GET \\"/\\"" }'
    )


def test_only_one_operation_and_nothing_else_counts_as_one() -> None:
    """Any other condition makes it another cohort."""
    one = '{ name = "a" && resource.service.name = "b" }'
    assert operation_of(parse(one)) == ("b", "a")
    for other in (
        "{}",
        '{ name = "a" }',
        f"{one} || {{}}",
        one.replace(" }", " && duration > 1s }"),
        one.replace("=", "!="),
    ):
        assert operation_of(parse(other)) is None


def test_values_are_written_in_their_usual_form() -> None:
    """Durations in the largest whole unit, names of codes, quotes only around odd attribute names."""
    text = '{ duration >= 90s || duration < 1500us || status = error && kind = client && ."a b" = -1 && span.c != nil }'
    wanted = (
        '{ (duration >= 90s || duration < 1500us || status = error) && kind = client && ."a b" = -1 && span.c != nil }'
    )
    assert write(parse(text)) == wanted
