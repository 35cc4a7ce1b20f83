"""What a run notebook hands on as data: outputs that `glue` wrote under a name."""

from __future__ import annotations

import json
from typing import Any

from nbformat import NotebookNode

_PREFIX = "application/papermill.record/"


def pasted(notebook: NotebookNode, kind: str) -> dict[str, Any]:
    """Name -> value of everything that a notebook pasted as JSON of this kind."""
    return {
        output.metadata.scrapbook.name: json.loads(output.data[_PREFIX + kind])
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if _PREFIX + kind in output.get("data", {})
    }
