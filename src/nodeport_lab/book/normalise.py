"""The same run, the same bytes: what varies without meaning anything is taken out."""

from __future__ import annotations

import copy

import nbformat
from nbformat import NotebookNode

from nodeport_lab.book import tags

_KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
_PICTURE = "image/png"
_TEXT_WIDTH = 700
"""Pixels; a wider picture is not shrunk to a phone's screen, see `_static/lab.css`."""


def normalise(executed: NotebookNode) -> NotebookNode:
    """A copy of an executed notebook without times, paths, versions and random names.

    A picture's plain text becomes the cell's `mystnb.image.alt`, where the book looks for
    the text alternative: it is made from the same data as the picture.
    """
    notebook = copy.deepcopy(executed)
    notebook.metadata = NotebookNode(
        kernelspec=NotebookNode(_KERNEL),
        language_info=NotebookNode(name="python"),
    )
    for cell in notebook.cells:
        _clean_metadata(cell)
        if cell.cell_type == "code":
            cell.outputs = _joined_streams(cell.outputs)
            _describe_picture(cell)
    return notebook


def dumps(notebook: NotebookNode) -> str:
    """The text of a notebook's file."""
    text: str = nbformat.writes(notebook)
    return text.rstrip("\n") + "\n"


def _clean_metadata(cell: NotebookNode) -> None:
    """Drop what papermill and the client noted; give the injected cell a fixed name."""
    for key in ("papermill", "execution"):
        cell.metadata.pop(key, None)
    if tags.INJECTED in cell.metadata.get("tags", []):
        cell.id = tags.INJECTED
        cell.metadata.tags = [tags.INJECTED, "hide-input"]
        cell.metadata.mystnb = NotebookNode(code_prompt_show="Parameters of this run")


def _joined_streams(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Outputs with neighbouring pieces of one stream joined; a kernel cuts them at will."""
    joined: list[NotebookNode] = []
    for output in outputs:
        last = joined[-1] if joined else None
        if (
            last is not None
            and output.output_type == last.output_type == "stream"
            and output.name == last.name
        ):
            last.text += output.text
        else:
            joined.append(output)
    return joined


def _describe_picture(cell: NotebookNode) -> None:
    """Give the book the text alternative and the width of a displayed picture."""
    for output in cell.outputs:
        data = output.get("data", {})
        if _PICTURE in data:
            mystnb = cell.metadata.setdefault("mystnb", NotebookNode())
            image = mystnb.setdefault("image", NotebookNode())
            image.alt = data.get("text/plain", "")
            width = output.metadata.get(_PICTURE, {}).get("width")
            if width:
                image.width = f"{width}px"
                if width > _TEXT_WIDTH:
                    image.classes = "wide"
