"""A table as a value: what stands in it, and how it is read out as HTML or as plain text."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

from nodeport_lab.report import html, text


@dataclass(frozen=True, slots=True)
class Cell:
    """The words of a cell, a second line in smaller print, and the kind that colours it.

    Links stand below the words, each with its name and address.
    """

    words: str
    detail: str = ""
    kind: str = ""
    links: tuple[tuple[str, str], ...] = ()

    @property
    def plain(self) -> str:
        """Its lines in plain text; links are there by their names."""
        names = (name for name, _ in self.links)
        return "\n".join(filter(None, (self.words, self.detail, *names)))


Row = tuple[str, tuple[Cell, ...]]
"""A row's heading and its cells."""


@dataclass(frozen=True, slots=True)
class Group:
    """A heading over `span` columns, which are shown together."""

    words: str
    span: int


@dataclass(frozen=True, slots=True)
class Part:
    """The columns from `first` up to `last` under the heading of their group."""

    words: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Note:
    """A sentence under a table, with links to what it rests on."""

    words: str
    links: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, repr=False)
class Table:
    """A captioned table that shows itself in a notebook, as HTML or as plain text.

    Attributes:
        caption: what the table shows.
        corner: heading of the column of row headings.
        headings: one per further column; a line break separates its parts.
        rows: the heading of each row, and its cells.
        groups: headings over several columns each, over all columns together, or none.
        notes: sentences below.
    """

    caption: str
    corner: str
    headings: tuple[str, ...]
    rows: tuple[Row, ...]
    groups: tuple[Group, ...] = ()
    notes: tuple[Note, ...] = ()

    def parts(self) -> tuple[Part, ...]:
        """The groups as parts of the table, so that no line gets too long; all without any."""
        groups = self.groups or (Group("", len(self.headings)),)
        ends = list(accumulate(group.span for group in groups))
        return tuple(
            Part(group.words, end - group.span, end)
            for group, end in zip(groups, ends, strict=True)
        )

    def __repr__(self) -> str:
        """The table in plain text, caption first and notes last.

        Groups of columns follow each other, so that the lines stay short.
        """
        lines = [self.caption]
        for part in self.parts():
            lines += ["", part.words] if part.words else []
            lines += text.columns(
                (self.corner, *self.headings[part.first : part.last]),
                (
                    (heading, *(cell.plain for cell in cells[part.first : part.last]))
                    for heading, cells in self.rows
                ),
            )
        if self.notes:
            lines += [""]
        for note in self.notes:
            lines += [note.words, *(f"  {name}" for name, _ in note.links)]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """The table for a notebook or a page."""
        return html.render("table.html.j2", table=self)
