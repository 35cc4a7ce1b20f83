"""The data of the page that answers questions: what the runs published, put together.

A page that is opened as a file may not read other files, but may load scripts. So the data
lies there twice: as JSON for people and programs, and inside of a script for the page.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath

from nbformat import NotebookNode

from nodeport_lab.book.pasted import pasted
from nodeport_lab.report.published import JSON, SCHEMA, compact

FOLDER = PurePosixPath("_extra/explorer")
"""Where the files lie, seen from the book's root; the site has them in `explorer`."""

BEFORE, AFTER = "window.nodeportLabObservations = ", ";\n"
"""What the script has around the text of the JSON file."""


def published(notebooks: Mapping[str, NotebookNode]) -> dict[str, bytes]:
    """Path seen from the book's root -> content; nothing where no run published anything.

    Args:
        notebooks: id of each run -> its notebook, in the order of the list of runs.
    """
    runs = [
        {"run": run_id, **document}
        for run_id, notebook in notebooks.items()
        for document in pasted(notebook, JSON).values()
    ]
    if not runs:
        return {}
    text = compact({"schema": SCHEMA, "runs": runs})
    return {
        str(FOLDER / "observations.json"): text.encode(),
        str(FOLDER / "observations.js"): f"{BEFORE}{text}{AFTER}".encode(),
    }
