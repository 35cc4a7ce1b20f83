"""The names that a piece of a notebook assigns: a template's parameters, or a run's."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from nodeport_lab.errors import UnknownNameError

_INJECTED = "# Parameters"
"""How papermill begins the cell that it injects after the template's own parameters."""


def assigned_names(source: str) -> tuple[str, ...]:
    """The plain names that the top level of a piece of Python assigns; none if it is broken."""
    try:
        statements = ast.parse(source).body
    except SyntaxError:  # a cell that someone mistyped while trying things out
        return ()
    return tuple(
        target.id
        for statement in statements
        if isinstance(statement, ast.Assign)
        for target in statement.targets
        if isinstance(target, ast.Name)
    )


def check_injected(cells: Iterable[str]) -> None:
    """Refuse what papermill injected and no cell before it assigns.

    papermill itself only logs an unknown parameter and goes on without it, so that a
    mistyped name would run the defaults.

    Args:
        cells: the sources of the cells executed so far.

    Raises:
        UnknownNameError: with the names that the notebook has.
    """
    known: list[str] = []
    for source in cells:
        names = assigned_names(source)
        if source.startswith(_INJECTED):
            for name in names:
                if name not in known:
                    raise UnknownNameError("notebook parameter", name, known)
        known += [name for name in names if name not in known]
