"""Tables as plain text, for consoles and for comparing the outputs of notebooks."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table as Layout
from rich.text import Text

if TYPE_CHECKING:
    from nodeport_lab.report.table import Cell, Part, Table

_WIDEST = 44  # characters; longer sentences are wrapped inside their column
_UNLIMITED = 10_000  # the table decides how wide it is, not the console that happens to be there


def render(table: Table) -> str:
    """The table in plain text, caption first and notes last; the same on every console.

    Groups of columns follow each other, so that the lines stay short.
    """
    lines = [table.caption]
    for part in table.parts():
        lines += ["", part.words] if part.words else []
        lines += _printed(_layout(table, part))
    if table.notes:
        lines += [""]
    for note in table.notes:
        lines += [note.words, *(f"  {name}" for name, _ in note.links)]
    return "\n".join(lines)


def _layout(table: Table, part: Part) -> Layout:
    layout = Layout(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in (table.corner, *table.headings[part.first : part.last]):
        layout.add_column(Text(heading), max_width=_WIDEST)
    for heading, cells in table.rows:
        layout.add_row(Text(heading), *(_content(cell) for cell in cells[part.first : part.last]))
    return layout


def _content(cell: Cell) -> Text:
    names = (name for name, _ in cell.links)
    return Text("\n".join(part for part in (cell.words, cell.detail, *names) if part))


def _printed(layout: Layout) -> list[str]:
    buffer = io.StringIO()
    console = Console(file=buffer, width=_UNLIMITED, color_system=None, force_jupyter=False)
    console.print(layout)
    return [line.rstrip() for line in buffer.getvalue().rstrip().splitlines()]
