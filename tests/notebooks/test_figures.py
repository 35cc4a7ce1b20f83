"""The figures of a run as files of their own."""

from base64 import b64encode

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook, new_output

from nodeport_lab.book.figures import figures


def notebook(**mystnb: object) -> NotebookNode:
    """A notebook with one cell that shows a picture."""
    picture = new_output("display_data", {"image/png": b64encode(b"picture").decode()})
    cell = new_code_cell(id="one", metadata={"mystnb": mystnb}, outputs=[picture])
    made: NotebookNode = new_notebook(cells=[cell])
    return made


def test_captioned_picture_becomes_a_file_and_a_snippet() -> None:
    """The snippet shows the picture with its description, its caption and its run."""
    files = figures(
        notebook(
            figure={"caption": "Seen.", "name": "a-map"},
            image={"alt": "Two\nlines.", "classes": "wide"},
        ),
        "a",
    )

    assert ["a-map.png", "a-map.md"] == list(files)
    assert b"picture" == files["a-map.png"]
    assert (
        "```{figure} /notebooks/runs/figures/a-map.png\n"
        ":alt: Two lines.\n"
        ":class: wide\n"
        "\n"
        "Seen. From the run {doc}`/notebooks/runs/a`.\n"
        "```\n"
    ) == files["a-map.md"].decode()


def test_picture_without_caption_stays_in_its_notebook() -> None:
    """Only a captioned picture has a name to be found by."""
    assert {} == figures(notebook(), "a")
