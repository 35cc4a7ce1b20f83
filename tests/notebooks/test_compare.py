"""When two executions of a run say the same."""

import copy

import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook, new_output

from nodeport_lab.book.compare import differences


def notebook(text: str, *tags: str, picture: str = "eA==") -> NotebookNode:
    """A notebook with one cell that shows a text and a picture."""
    output = new_output("display_data", {"text/plain": text, "image/png": picture})
    cell = new_code_cell("show()", id="show", metadata={"tags": list(tags)}, outputs=[output])
    made: NotebookNode = new_notebook(cells=[cell])
    return made


def test_equal_runs_agree() -> None:
    """A run agrees with itself."""
    assert () == differences(notebook("allowed"), notebook("allowed"))


def test_changed_output_names_the_cell_and_the_first_line() -> None:
    """A changed verdict is one sentence with the cell, what it was and what it is."""
    assert ("cell show shows something else: 'timeout' became 'allowed'",) == differences(
        notebook("refused\ntimeout"), notebook("refused\nallowed")
    )


def test_missing_output_is_a_difference() -> None:
    """An output that is gone, or new, does not pass for an equal one."""
    silent = notebook("allowed")
    silent.cells[0].outputs = []

    assert 1 == len(differences(notebook("allowed"), silent))
    assert 1 == len(differences(silent, notebook("allowed")))


def test_pictures_are_not_compared() -> None:
    """A picture may differ with the version of the library that drew it."""
    assert () == differences(notebook("same"), notebook("same", picture="eQ=="))


def test_ignored_cell_may_differ() -> None:
    """Versions belong to the machine, so their cell is tagged and not compared."""
    tag = "nbval-ignore-output"

    assert () == differences(notebook("6.1", tag), notebook("6.6", tag))


@pytest.mark.parametrize(("testbed", "expected"), [("embedded", 1), ("kind", 0)])
def test_addresses_are_compared_on_the_embedded_testbed(testbed: str, expected: int) -> None:
    """A cell of evidence is held to the committed one only where addresses are the same."""
    committed, executed = (
        notebook(text, "embedded-evidence") for text in ("172.18.0.2", "172.19.0.2")
    )

    assert expected == len(differences(committed, executed, testbed))


def test_changed_source_or_cells_are_differences() -> None:
    """A run that was not made of this template is not compared output by output."""
    longer = copy.deepcopy(notebook("same"))
    longer.cells.append(new_code_cell(id="more"))
    other = notebook("same")
    other.cells[0].source = "hide()"

    assert ("cell more is in one of the two only",) == differences(notebook("same"), longer)
    assert ("cell show has another source than the committed run",) == differences(
        notebook("same"), other
    )
