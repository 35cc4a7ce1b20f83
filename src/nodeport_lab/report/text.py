"""Columns of plain text, for consoles and for comparing the outputs of notebooks."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table as Layout
from rich.text import Text

_WIDEST = 44  # characters; longer sentences are wrapped inside their column
_UNLIMITED = 10_000  # the table decides how wide it is, not the console that happens to be there


def columns(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a table with these headings and rows; the same on every console."""
    layout = Layout(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in headings:
        layout.add_column(Text(heading), max_width=_WIDEST)
    for row in rows:
        layout.add_row(*map(Text, row))
    buffer = io.StringIO()
    console = Console(file=buffer, width=_UNLIMITED, color_system=None, force_jupyter=False)
    console.print(layout)
    return [line.rstrip() for line in buffer.getvalue().rstrip().splitlines()]
