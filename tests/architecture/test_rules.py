"""House rules that no linter knows."""

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from correlate import errors

ROOT = Path(__file__).parents[2]
SOURCES = [
    path
    for package in ("correlate", "connectors", "workers")
    for path in sorted((ROOT / package).rglob("*.py"))
    if "formats/proto" not in path.as_posix() and "migrations/versions" not in path.as_posix()
]
CORE = ("correlate/formats", "correlate/joins", "correlate/flame", "correlate/tables")
ROW_LOOPS = {"iter_rows", "map_elements", "map_rows", "iterrows", "apply"}
UNITS = re.compile(r"_(ns|us|ms|s|bytes|count|ratio|days|url|zone)$|_ns_|type")


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """All functions of a file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def code_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without its docstring."""
    return (node.end_lineno or 0) - node.lineno + 1 - len((ast.get_docstring(node) or "").splitlines())


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_file_is_read_in_one_sitting(path: Path) -> None:
    """No file has more than 400 lines, no function more than 50 lines of code."""
    assert path.read_text().count("\n") <= 400
    assert [node.name for node in functions(path) if code_lines(node) > 50] == []


def test_the_error_tree_is_drawn_as_it_is() -> None:
    """The drawing in the module's docstring names every class, at its depth, with its status."""
    drawn = re.findall(
        r"^( *)(\w+)(?: +(?:retry=.*)?(?:report=.*)?(?:http_status=(\d+))?)?$", errors.__doc__ or "", re.MULTILINE
    )
    depths = {name: len(indent) // 4 for indent, name, _ in drawn}
    classes = [c for c in vars(errors).values() if inspect.isclass(c) and issubclass(c, errors.CorrelateError)]
    assert {c.__name__: len(c.__mro__) - len(errors.CorrelateError.__mro__) for c in classes} == depths
    for _, name, status in drawn:
        if status:
            assert vars(errors)[name].http_status == int(status)


@pytest.mark.parametrize("package", CORE)
def test_the_core_never_loops_over_rows(package: str) -> None:
    """Columns, never rows: the methods that call Python once per row are not used."""
    used = {
        (path.name, node.attr)
        for path in SOURCES
        if path.is_relative_to(ROOT / package)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in ROW_LOOPS
    }
    assert used == set()


def test_times_sizes_and_durations_say_their_unit() -> None:
    """A parameter or field called …time…, …duration…, …size… of a number type carries a unit in its name."""
    wanting = [
        f"{path.relative_to(ROOT)}:{node.lineno} {name}"
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        for name, annotation in _named_numbers(node)
        if re.search(r"time|duration|size|timeout", name) and not UNITS.search(name)
    ]
    assert wanting == []


def _named_numbers(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    arguments = [*node.args.args, *node.args.kwonlyargs] if isinstance(node, ast.FunctionDef) else []
    pairs = [(argument.arg, argument.annotation) for argument in arguments]
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        pairs.append((node.target.id, node.annotation))
    for name, annotation in pairs:
        if isinstance(annotation, ast.Name) and annotation.id in ("int", "float"):
            yield name, annotation


def test_the_change_log_names_the_version() -> None:
    """Whoever installs a version can read what is in it."""
    from correlate import __version__

    assert __version__ in (ROOT / "CHANGELOG.md").read_text()
