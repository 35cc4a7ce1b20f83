"""Do two executions of a run say the same? The rules are nbval's, see `tags`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

from nbformat import NotebookNode

from nodeport_lab.book import tags


def differences(
    committed: NotebookNode, executed: NotebookNode, testbed: str = "embedded"
) -> tuple[str, ...]:
    """One sentence for each cell that differs; none means that the runs agree.

    Args:
        committed: the run as it is stored.
        executed: the run as it came out now.
        testbed: where it was executed; addresses are compared on `embedded` only.
    """
    return tuple(_differences(committed, executed, testbed))


def _differences(committed: NotebookNode, executed: NotebookNode, testbed: str) -> Iterator[str]:
    for expected, actual in zip_longest(committed.cells, executed.cells):
        if expected is None or actual is None:
            yield f"cell {(expected or actual).id} is in one of the two only"
        elif expected.source != actual.source:
            yield f"cell {actual.id} has another source than the committed run"
        elif expected.cell_type == "code" and tags.compared(
            expected.metadata.get("tags", []), testbed
        ):
            before, after = _content(expected), _content(actual)
            if before != after:
                yield f"cell {actual.id} shows something else: {_first(before, after)}"


def _content(cell: NotebookNode) -> list[tuple[str, Any]]:
    """What a reader sees of a cell's outputs, pictures aside: pairs of kind and value."""
    content: list[tuple[str, Any]] = []
    for output in cell.outputs:
        if output.output_type == "stream":
            content.append((output.name, output.text))
        elif output.output_type == "error":
            content.append(("error", f"{output.ename}: {output.evalue}"))
        else:
            content.extend(
                (mime_type, value)
                for mime_type, value in sorted(output.data.items())
                if mime_type not in tags.NOT_COMPARED_MIME_TYPES
            )
    return content


def _first(before: list[tuple[str, Any]], after: list[tuple[str, Any]]) -> str:
    """The first line that differs, as committed and as executed."""
    for one, other in zip_longest(_lines(before), _lines(after), fillvalue="nothing"):
        if one != other:
            return f"{one!r} became {other!r}"
    return "the kind of output"


def _lines(content: list[tuple[str, Any]]) -> list[str]:
    """The content as lines, plain text first since it reads best."""
    ordered = sorted(content, key=lambda item: item[0] != "text/plain")
    return [line for _, value in ordered for line in str(value).splitlines()]
