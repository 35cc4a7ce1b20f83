"""From a template to the notebook of a run."""

from dataclasses import replace

import pytest
from nbformat import NotebookNode

from nodeport_lab.book.parameters import check_injected
from nodeport_lab.book.render import parameter_names, read, render
from nodeport_lab.book.runs import RunSpec
from nodeport_lab.errors import NotebookError, UnknownNameError


def test_title_and_summary_are_the_runs(template: NotebookNode, spec: RunSpec) -> None:
    """The heading is the run's title, followed by its summary and the template's text."""
    rendered = render(template, spec)

    assert "# A tiny run\n\nIts summary.\n\nWhat you will see." == rendered.cells[0].source


def test_labels_carry_the_run_id(template: NotebookNode, spec: RunSpec) -> None:
    """Placeholders in prose and in figure metadata become the run's id."""
    rendered = render(template, spec)

    assert "The label is tiny-run." == rendered.cells[3].source
    assert "tiny-run-figure" == rendered.cells[4].metadata.mystnb.figure.name


def test_template_stays_as_it_was(template: NotebookNode, spec: RunSpec) -> None:
    """Rendering changes a copy, so that the next run starts from the same template."""
    render(template, spec)

    assert "# Any title\n\nWhat you will see." == template.cells[0].source
    assert "$run_id-figure" == template.cells[4].metadata.mystnb.figure.name


def test_code_is_left_alone(template: NotebookNode, spec: RunSpec) -> None:
    """Code is the template's, letter for letter: a run differs by its parameters only."""
    rendered = render(template, spec)

    assert [cell.source for cell in template.cells if cell.cell_type == "code"] == [
        cell.source for cell in rendered.cells if cell.cell_type == "code"
    ]


def test_unknown_parameter_lists_the_known_ones(template: NotebookNode, spec: RunSpec) -> None:
    """A parameter that the template lacks is refused before anything is executed."""
    wrong = replace(spec, parameters={"cuont": 2})

    with pytest.raises(UnknownNameError, match="'cuont'; choose one of: count, name"):
        render(template, wrong)


@pytest.mark.parametrize("source", ["No heading.", "## Too deep"])
def test_template_without_heading_is_refused(
    template: NotebookNode, spec: RunSpec, source: str
) -> None:
    """A template begins with its heading, or two of its runs would share a title."""
    template.cells[0].source = source

    with pytest.raises(NotebookError, match="must begin with a markdown cell"):
        render(template, spec)


def test_template_needs_one_parameters_cell(template: NotebookNode) -> None:
    """Papermill takes the first tagged cell only, so a second one would go unnoticed."""
    assert ("count", "name") == parameter_names(template)

    template.cells[2].metadata.tags = ["parameters"]
    with pytest.raises(NotebookError, match="exactly one cell tagged 'parameters', this has 2"):
        parameter_names(template)


def test_what_is_no_notebook_is_named(spec: RunSpec) -> None:
    """A file that is no notebook is one error with its name."""
    spec.template.write_text("{", encoding="utf-8")

    with pytest.raises(NotebookError, match=r"tiny\.ipynb cannot be read"):
        read(spec.template)


def test_injected_parameter_that_the_notebook_lacks_is_refused() -> None:
    """Names that papermill injects by hand are held to the cell before, and listed."""
    defaults, right, wrong = "count = 1", "# Parameters\ncount = 2\n", "# Parameters\ncuont = 2\n"

    check_injected(["", defaults, right])
    check_injected([defaults, right, "print(1)", "print(", right])  # cells run again by hand
    with pytest.raises(UnknownNameError, match="'cuont'; choose one of: count"):
        check_injected(["", defaults, wrong])
