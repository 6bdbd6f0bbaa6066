"""The query parameters that every flame graph takes: which part of it to show."""

from typing import Annotated

from fastapi import Depends, Query

from correlate.flame.focus import Lens


def _lens(
    focus: Annotated[str, Query(max_length=1024, description="keep stacks with a function that matches")] = "",
    ignore: Annotated[str, Query(max_length=1024, description="drop stacks with a function that matches")] = "",
    function: Annotated[
        str, Query(max_length=1024, description='as focus, with an operator: =~"Handler", ="main.work", !~"^runtime"')
    ] = "",
    self_of: Annotated[str, Query(max_length=1024, description="keep stacks that end in a function that matches")] = "",
    callers_of: Annotated[str, Query(max_length=1024, description="turn around: the function, then its callers")] = "",
    callees_of: Annotated[str, Query(max_length=1024, description="begin at the function: what it calls")] = "",
) -> Lens:
    return Lens(focus, ignore, function, self_of, callers_of, callees_of)


LensDep = Annotated[Lens, Depends(_lens)]
"""Regular expressions are read when a profile is looked at; a bad one is a 400 that names its parameter."""
