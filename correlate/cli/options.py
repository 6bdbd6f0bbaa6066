"""Options that several commands share, and the query parameters they mean."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from correlate.model.answers import Method, Scope
from correlate.services.render import Format

_WHERE = "Where to ask"
_EVIDENCE = "Which samples"
_LENS = "Only a part of the stacks (regular expressions, looked for anywhere in a function's name)"
_OUT = "How it is written"


class Spread(StrEnum):
    """How much of each trace counts where many spans are asked for."""

    SPAN = Scope.SPAN.value
    SUBTREE = Scope.SUBTREE.value


class Basis(StrEnum):
    """What decides whether functions differ."""

    COST = "cost"
    SHARE = "share"


ConfigOption = Annotated[Path | None, typer.Option("--config", help="YAML file with settings", rich_help_panel=_WHERE)]
UrlOption = Annotated[
    str | None, typer.Option("--url", help="a running correlate \\[http://127.0.0.1:8080]", rich_help_panel=_WHERE)
]
LakeOption = Annotated[
    Path | None,
    typer.Option("--data-dir", help="read this lake instead of a server", rich_help_panel=_WHERE),
]
TypeOption = Annotated[
    str, typer.Option("--type", help="cpu, wall, inuse_space …, or a full id", rich_help_panel=_EVIDENCE)
]
ScopeOption = Annotated[
    Scope,
    typer.Option(help="the span alone, with its descendants, or its whole trace", rich_help_panel=_EVIDENCE),
]
SpreadOption = Annotated[
    Spread, typer.Option("--scope", help="the spans alone, or with their descendants", rich_help_panel=_EVIDENCE)
]
MethodOption = Annotated[
    Method, typer.Option(help="one join method, or the strongest there is", rich_help_panel=_EVIDENCE)
]
FromOption = Annotated[
    str, typer.Option("--from", help="now-1h, 2026-01-31T12:00:00Z, or s/ms/ns since 1970 \\[the beginning]")
]
ToOption = Annotated[str, typer.Option("--to", help="as --from \\[the end]")]
FocusOption = Annotated[str, typer.Option(help="keep stacks with a function that matches", rich_help_panel=_LENS)]
IgnoreOption = Annotated[str, typer.Option(help="drop stacks with a function that matches", rich_help_panel=_LENS)]
FunctionOption = Annotated[
    str, typer.Option(help='as --focus, with an operator: ="main.work", !~"^runtime"', rich_help_panel=_LENS)
]
CalleesOption = Annotated[str, typer.Option("--callees-of", help="begin at the function", rich_help_panel=_LENS)]
CallersOption = Annotated[
    str, typer.Option("--callers-of", help="turn around: the function, then its callers", rich_help_panel=_LENS)
]
SelfOption = Annotated[str, typer.Option("--self-of", help="keep stacks that end in it", rich_help_panel=_LENS)]
FormatOption = Annotated[
    Format | None,
    typer.Option("--format", help="print this instead of a picture in the terminal", rich_help_panel=_OUT),
]
OutputOption = Annotated[
    Path | None, typer.Option("--output", "-o", help="write the format to a file", rich_help_panel=_OUT)
]
JsonOption = Annotated[bool, typer.Option("--json", help="print what the REST API answers", rich_help_panel=_OUT)]
MaxNodesOption = Annotated[
    int, typer.Option(min=1, max=1_000_000, help="keep this many of the largest nodes", rich_help_panel=_OUT)
]
BasisOption = Annotated[
    Basis, typer.Option(help="what decides: value per span, or share of the whole", rich_help_panel=_EVIDENCE)
]
FdrOption = Annotated[
    float,
    typer.Option(
        min=0.001, max=0.999, help="part of the significant functions that may be wrong", rich_help_panel=_EVIDENCE
    ),
]


def lens(focus: str, ignore: str, function: str, callees_of: str, callers_of: str, self_of: str) -> Mapping[str, str]:
    """The parameters of the options that choose a part of the stacks."""
    return {
        "focus": focus,
        "ignore": ignore,
        "function": function,
        "callees_of": callees_of,
        "callers_of": callers_of,
        "self_of": self_of,
    }


def evidence(wanted_type: str, scope: Scope | Spread, method: Method) -> Mapping[str, str]:
    """The parameters of the options that choose samples."""
    return {"type": wanted_type, "scope": scope.value, "method": method.value}
