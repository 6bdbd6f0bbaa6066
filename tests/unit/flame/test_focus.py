"""Looking at part of a profile, compared with a twin that looks at one stack at a time."""

import re
from collections import Counter
from collections.abc import Sequence

import orjson
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from correlate.errors import BadQuery
from correlate.flame import columns, flamebearer, nested_set, plot, speedscope
from correlate.flame.focus import Kept, Lens, containing, look
from correlate.flame.matching import MAX_PATTERN_CHARS, named, regex, where
from correlate.flame.stacks import NO_STACK, UNKNOWN
from correlate.flame.top import functions
from correlate.flame.tree import build, truncate
from correlate.formats.collapsed import write_collapsed
from correlate.formats.pprof_samples import write_samples
from correlate.model.profile_type import ProfileType
from correlate.tables.symbols import Symbols
from tests.support.rows import CPU
from tests.support.trees import names, paths, symbols

STACKS = ["main;serve;work", "main;serve;work;sleep", "main;gc", "main;serve;cache;serve;work", "boot"]


def rows_for(stacks: Sequence[int], values: Sequence[int]) -> pl.DataFrame:
    """Samples with a column that a lens knows nothing of."""
    return pl.DataFrame(
        {"stack": stacks, "value": values, "weight": [1] * len(stacks), "span": values},
        schema={"stack": pl.Int64, "value": pl.Int64, "weight": pl.Int32, "span": pl.Int64},
    )


def seen(lens: Lens, stacks: Sequence[str] = STACKS) -> dict[str, int]:
    """What is left of stacks that are worth 1, 2, 4, 8 …, as collapsed text."""
    known = symbols([stack.split(";") for stack in stacks])
    rows = rows_for(range(1, len(stacks) + 1), [1 << at for at in range(len(stacks))])
    left, kept = look(known, rows, lens)
    assert kept.schema == rows.schema
    lines = (line.rpartition(" ") for line in write_collapsed(left, kept).splitlines())
    return {stack: int(value) for stack, _, value in lines}


def test_focus_keeps_and_ignore_drops_stacks_with_a_matching_frame() -> None:
    """Anywhere in the stack, anywhere in the name; both together must hold."""
    assert seen(Lens(focus="^work$")) == {STACKS[0]: 1, STACKS[1]: 2, STACKS[3]: 8}
    assert seen(Lens(focus="wor|boo", ignore="sleep|cache")) == {STACKS[0]: 1, STACKS[4]: 16}
    assert seen(Lens(ignore="main")) == {STACKS[4]: 16}


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ('=~".*ork.*"', {0, 1, 3}),
        ('=~ "slee|boot"', {1, 4}),
        ('~"^gc$"', {2}),
        ("gc|boot", {2, 4}),
        ('="work"', {0, 1, 3}),
        ('"work"', {0, 1, 3}),
        ("=wor", set()),
        ('!~"^(work|gc)"', {4}),
        ('!="serve"', {2, 4}),
        ("=~`^g`", {2}),
    ],
)
def test_function_takes_the_operators_of_a_selector(text: str, left: set[int]) -> None:
    """As in `{…} | function =~ ".*Handler.*"`; in a URL its first equals sign belongs to the parameter."""
    assert set(seen(Lens(function=text))) == {STACKS[at] for at in left}


def test_self_callers_and_callees_of_a_function() -> None:
    """What it does itself; what it calls, from its outermost call on; who calls its innermost call, turned around."""
    assert seen(Lens(self_of="^work$")) == {STACKS[0]: 1, STACKS[3]: 8}
    assert seen(Lens(self_of='!="work"')) == {STACKS[1]: 2, STACKS[2]: 4, STACKS[4]: 16}
    assert seen(Lens(callees_of="serve")) == {"serve;work": 1, "serve;work;sleep": 2, "serve;cache;serve;work": 8}
    assert seen(Lens(callers_of="serve")) == {"serve;main": 3, "serve;cache;serve;main": 8}
    assert seen(Lens(callees_of='="serve"', callers_of='="work"')) == {"work;serve": 3, "work;serve;cache;serve": 8}


def test_what_is_not_known_has_the_names_people_see() -> None:
    """A stack that is not described is `[unknown]`, a sample without stack `[no stack]`; both can be looked for."""
    known = symbols([["main"], []])
    rows = rows_for([1, 2, 99, 0], [1, 2, 4, 8])

    def value(lens: Lens) -> int:
        left, kept = look(known, rows, lens)
        tree = build(left, kept["stack"].to_numpy(), kept["value"].to_numpy())
        assert set(tree.name[1:]) <= {UNKNOWN, NO_STACK, "main"}
        return int(tree.total[0])

    assert value(Lens(focus="unknown")) == value(Lens(callees_of="unknown")) == value(Lens(callers_of="unknown")) == 4
    assert value(Lens(self_of='="[no stack]"')) == value(Lens(callees_of='="[no stack]"')) == 10
    assert value(Lens(ignore="main")) == 14
    left, kept = look(known, rows, Lens(callees_of="no stack"))
    assert build(left, kept["stack"].to_numpy(), kept["value"].to_numpy()).name.to_list() == ["total", NO_STACK]


def test_ids_of_cut_stacks_depend_on_their_frames_only() -> None:
    """The same part of two profiles has the same id, and stacks that became the same have one."""
    first, left = look(symbols([["a", "b", "c"], ["x", "b", "c"]]), rows_for([1, 2], [1, 1]), Lens(callees_of="^b$"))
    assert len(first.stacks) == left["stack"].n_unique() == 1
    _, other = look(symbols([["a", "b", "c"], ["b", "c", "x"]]), rows_for([1], [5]), Lens(callees_of="^b$"))
    assert other["stack"][0] == left["stack"][0]


def test_a_plain_lens_changes_nothing() -> None:
    """The very same objects come back."""
    known, rows = symbols([["main"]]), rows_for([1], [1])
    assert look(known, rows, Lens()) == (known, rows)


def test_what_was_left_out_is_told() -> None:
    """Value kept against value of the whole; nothing of nothing has no share."""
    rows = rows_for([1, 2], [31, 69])
    _, left = look(symbols([["a"], ["b"]]), rows, Lens(focus="a"))
    kept = Kept.between(rows, left)
    assert (kept.kept, kept.whole, kept.share) == (31, 100, 0.31)
    assert Kept(0, 0).share is None


@pytest.mark.parametrize("field", ["focus", "ignore", "function", "self_of", "callers_of", "callees_of"])
@pytest.mark.parametrize("text", ["(", "a{1000}{1000}{1000}", "x" * (MAX_PATTERN_CHARS + 1), "(?=a)"])
def test_a_bad_expression_is_named(field: str, text: str) -> None:
    """Unreadable, too large or too long: the message says of which parameter, also when there is nothing to look at."""
    with pytest.raises(BadQuery, match=f"^{field}: "):
        look(symbols([]), rows_for([], []), Lens(**{field: text}))


@pytest.mark.parametrize(("field", "text"), [("callers_of", '!="a"'), ("callees_of", "!~a"), ("function", "=~")])
def test_an_operator_that_means_nothing_is_refused(field: str, text: str) -> None:
    """There is no such thing as the callers of everything else, or of nothing."""
    with pytest.raises(BadQuery, match=f"^{field}: "):
        look(symbols([["a"]]), rows_for([1], [1]), Lens(**{field: text}))


def test_quotes_inside_quotes() -> None:
    """Between double quotes a backslash protects a quote and a backslash; other backslashes stay."""
    texts = pl.Series(['say "hi"', "a.b", "aXb"])
    assert where(texts, named("function", r'="say \"hi\""')).tolist() == [True, False, False]
    for text in (r'=~"a\.b"', r'=~"a\\.b"', r"=~`a\.b`", r"a\.b"):
        assert where(texts, named("function", text)).tolist() == [False, True, False]
    assert where(texts, named("function", "a.b", bare_is_exact=True)).tolist() == [False, True, False]


@pytest.mark.parametrize(
    "lens",
    [Lens(focus="nothing"), Lens(callees_of="nothing"), Lens(callers_of="nothing"), Lens(focus="a", self_of="b")],
)
def test_every_form_survives_an_empty_profile(lens: Lens) -> None:
    """Nothing matched: a root of 0, in every format."""
    known, rows = look(symbols([["main", "a"]]), rows_for([1], [7]), lens)
    stacks, values = rows["stack"].to_numpy(), rows["value"].to_numpy()
    tree = build(known, stacks, values, rows["weight"].to_numpy())
    assert (len(tree), tree.total.tolist(), tree.samples is not None and tree.samples.tolist()) == (1, [0], [0])
    kind = ProfileType.parse(CPU)
    assert columns.parse(columns.columns(truncate(tree, 5))).total.tolist() == [0]
    assert functions(tree).is_empty()
    assert orjson.dumps([flamebearer.flamebearer_profile(tree, kind), nested_set.rows(tree)])
    assert speedscope.speedscope(known, stacks, values, "nanoseconds", "x")["profiles"][0]["endValue"] == 0
    assert "<svg" in plot.svg(tree, "nanoseconds").decode()
    assert "<html" in plot.html(tree, "nanoseconds", "x", plotlyjs="url", plotlyjs_url="/p.js")
    assert write_collapsed(known, rows) == ""
    assert write_samples(known, rows, kind, 0, 1, 1)


def twin(path: Sequence[str] | None, lens: Lens) -> tuple[str, ...] | None:
    """One stack through a lens; None when it is dropped."""
    stack = ([UNKNOWN] if path is None else list(path)) or [NO_STACK]

    def at(pattern: str) -> list[int]:
        return [place for place, name in enumerate(stack) if re.search(pattern, name)]

    if (lens.focus and not at(lens.focus)) or (lens.function and not at(lens.function)):
        return None
    if (lens.ignore and at(lens.ignore)) or (lens.self_of and len(stack) - 1 not in at(lens.self_of)):
        return None
    if lens.callees_of:
        if not at(lens.callees_of):
            return None
        stack = stack[at(lens.callees_of)[0] :]
    if lens.callers_of:
        if not at(lens.callers_of):
            return None
        stack = stack[: at(lens.callers_of)[-1] + 1][::-1]
    return tuple(stack)


def text_of(known: Symbols, stack: int) -> tuple[str, ...]:
    """The names of a stack, root first."""
    row = int(known.rows_of(pl.Series([stack]).to_numpy())[0])
    if stack == 0:
        return (NO_STACK,)
    if row < 0:
        return (UNKNOWN,)
    items = known.items[known.offsets[row] : known.offsets[row + 1]]
    return tuple(known.names.gather(items)) or (NO_STACK,)


patterns = st.one_of(st.just(""), names.map(re.escape), st.sampled_from(["a", "^(a|b)$", "[a-z]", "unknown|no"]))
lenses = st.builds(Lens, patterns, patterns, patterns, patterns, patterns, patterns)


@given(paths, lenses)
def test_agrees_with_the_slow_twin(described: list[list[str]], lens: Lens) -> None:
    """Every row comes out, cut or dropped as the twin says, in its order and with its other columns."""
    known = symbols(described)
    ids = [*range(1, len(described) + 1), 4711, 0, *range(1, len(described) + 1)]
    rows = rows_for(ids, list(range(len(ids))))
    left, kept = look(known, rows, lens)
    every = [*described, None, (), *described]
    expected = [(cut, at) for at, path in enumerate(every) if (cut := twin(path, lens)) is not None]
    assert [(text_of(left, stack), value) for stack, value in kept.select("stack", "value").rows()] == expected
    assert (kept["span"] == kept["value"]).all()
    assert left.stacks.tolist() == sorted(set(left.stacks.tolist()))


@given(paths, names)
def test_stacks_that_contain_a_function(described: list[list[str]], name: str) -> None:
    """Exactly those of which a frame has the name."""
    known = symbols(described)
    expected = [at + 1 for at, path in enumerate(described) if name in path]
    assert containing(known, named("function", name, bare_is_exact=True)).tolist() == expected
    assert Counter(containing(known, regex("function", re.escape(name) + "$")).tolist()).keys() >= set(expected)
