"""Tiny notebooks, made in the test that reads them."""

from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from nodeport_lab.book.runs import RunSpec
from nodeport_lab.locations import repository_root


@pytest.fixture
def template() -> NotebookNode:
    """A template with a heading, a parameters cell and a captioned figure."""
    notebook: NotebookNode = new_notebook(
        metadata={
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
            "language_info": {"name": "python", "version": "3.0.0"},
        }
    )
    notebook.cells = [
        new_markdown_cell("# Any title\n\nWhat you will see.", id="title"),
        new_code_cell("count = 1\nname = 'x'", id="parameters", metadata={"tags": ["parameters"]}),
        new_code_cell("print(count)\nprint(name)", id="show"),
        new_markdown_cell("The label is $run_id.", id="prose"),
        new_code_cell(
            "None",
            id="figure",
            metadata={"mystnb": {"figure": {"caption": "Some.", "name": "$run_id-figure"}}},
        ),
    ]
    return notebook


@pytest.fixture
def spec(template: NotebookNode, tmp_path: Path) -> RunSpec:
    """A run of the template, which lies in a file."""
    path = tmp_path / "tiny.ipynb"
    nbformat.write(template, path)
    return RunSpec("tiny-run", "A tiny run", "Its summary.", path, {"count": 2})


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return repository_root()
