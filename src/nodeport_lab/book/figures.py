"""The figures of a run as files of their own: for the landing page, chapters and README.

A picture and its text alternative are taken from the executed notebook, so that
nobody types what it shows a second time.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from pathlib import PurePosixPath

from nbformat import NotebookNode

FOLDER = PurePosixPath("notebooks/runs/figures")
"""Where the files lie, seen from the book's root."""

RUNS_FROM_CHAPTERS = "../notebooks/runs"
"""Where the pages of the runs lie, seen from a chapter's page, in every language of the site."""

_OPTIONS = {"classes": "class"}


def figures(notebook: NotebookNode, run_id: str) -> dict[str, bytes]:
    """File name -> content: each captioned picture, and a snippet that includes it.

    The snippet is a figure directive with the text alternative and the caption; a page
    shows it with an `include`.
    """
    files: dict[str, bytes] = {}
    for cell in notebook.cells:
        caption = cell.metadata.get("mystnb", {}).get("figure", {})
        picture = _picture(cell)
        if caption and picture is not None:
            name = caption["name"]
            image = cell.metadata.mystnb.get("image", {})
            files[f"{name}.png"] = picture
            files[f"{name}.md"] = _snippet(name, image, caption["caption"], run_id).encode()
    return files


def _picture(cell: NotebookNode) -> bytes | None:
    """The first PNG that a cell shows."""
    for output in cell.get("outputs", []):
        encoded = output.get("data", {}).get("image/png")
        if encoded:
            return b64decode(encoded)
    return None


def _snippet(name: str, image: Mapping[str, str], caption: str, run_id: str) -> str:
    """The figure directive; the cell's image options are the directive's, under its names."""
    options = "".join(
        f":{_OPTIONS.get(key, key)}: {' '.join(value.split())}\n" for key, value in image.items()
    )
    return (
        f"```{{figure}} /{FOLDER / name}.png\n"
        f"{options}"
        "\n"
        f"{caption} From the run {{doc}}`/notebooks/runs/{run_id}`.\n"
        "```\n"
    )
