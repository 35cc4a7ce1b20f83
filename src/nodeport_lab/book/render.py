"""From a template to the notebook of one run, before anything is executed.

A template is a notebook that works as it is. Rendering gives it the title, the
summary and the labels of its run, so that several runs of one template can stand in
one book. Parameters are checked here and injected by papermill at execution.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from nodeport_lab.book import tags
from nodeport_lab.book.parameters import assigned_names
from nodeport_lab.book.runs import RunSpec
from nodeport_lab.errors import NotebookError, UnknownNameError

_RUN_ID = "$run_id"


def read(path: Path) -> NotebookNode:
    """Read a notebook as version 4.

    Raises:
        NotebookError: the file is no notebook.
    """
    try:
        notebook = nbformat.read(path, as_version=4)
    except (OSError, ValueError) as error:
        raise NotebookError(f"{path.name} cannot be read as a notebook: {error}") from error
    return _node(notebook)


def render(template: NotebookNode, spec: RunSpec) -> NotebookNode:
    """The notebook of a run, not executed: the template under the run's title and labels.

    Raises:
        NotebookError: the template has no heading or no parameters cell.
        UnknownNameError: the run passes a parameter that the template does not have.
    """
    check_parameters(template, spec.parameters)
    notebook = copy.deepcopy(template)
    notebook.cells[0].source = _titled(notebook.cells[0], spec)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = cell.source.replace(_RUN_ID, spec.id)
        if "mystnb" in cell.metadata:
            cell.metadata.mystnb = _substituted(cell.metadata.mystnb, spec.id)
    return notebook


def parameter_names(template: NotebookNode) -> tuple[str, ...]:
    """The names that the template's cell tagged `parameters` assigns.

    Raises:
        NotebookError: no cell is tagged, or more than one.
    """
    tagged = [cell for cell in template.cells if tags.PARAMETERS in cell.metadata.get("tags", [])]
    if len(tagged) != 1:
        raise NotebookError(
            f"a template needs exactly one cell tagged {tags.PARAMETERS!r}, this has {len(tagged)}"
        )
    return assigned_names(tagged[0].source)


def check_parameters(template: NotebookNode, parameters: Mapping[str, Any]) -> None:
    """Refuse parameters that the template does not have.

    Raises:
        UnknownNameError: with the names that the template has.
    """
    known = parameter_names(template)
    for name in parameters:
        if name not in known:
            raise UnknownNameError("notebook parameter", name, known)


def _titled(cell: NotebookNode, spec: RunSpec) -> str:
    """The heading cell with the run's title, then its summary, then the template's text."""
    heading, _, text = cell.source.partition("\n")
    if cell.cell_type != "markdown" or not heading.startswith("# "):
        raise NotebookError(
            f"the template of run {spec.id!r} must begin with a markdown cell "
            "whose first line is its heading"
        )
    return "\n\n".join(part for part in (f"# {spec.title}", spec.summary, text.strip()) if part)


def _substituted(value: Any, run_id: str) -> Any:  # noqa: ANN401  # any JSON value
    """Any JSON value with `$run_id` replaced in every text."""
    if isinstance(value, str):
        return value.replace(_RUN_ID, run_id)
    if isinstance(value, Mapping):
        return NotebookNode({key: _substituted(item, run_id) for key, item in value.items()})
    if isinstance(value, list):
        return [_substituted(item, run_id) for item in value]
    return value


def _node(value: object) -> NotebookNode:
    """Nbformat publishes no types; this is the one place that says what it returns."""
    if not isinstance(value, NotebookNode):
        raise NotebookError("nbformat returned something that is no notebook")
    return value
