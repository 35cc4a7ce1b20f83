"""What pages take from several runs at once, and from what dataplanes say of themselves."""

import json

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook, new_output

from nodeport_lab.book.atlas import atlases
from nodeport_lab.book.catalogue import catalogue
from nodeport_lab.dataplanes import DATAPLANES
from nodeport_lab.report.atlas import JSON
from nodeport_lab.variations import VARIATIONS


def pasted(name: str, value: object) -> NotebookNode:
    """An output as `glue` writes it."""
    prefix = "application/papermill.record/"
    output: NotebookNode = new_output(
        "display_data",
        {f"{prefix}{JSON}": json.dumps(value)},
        metadata={"scrapbook": {"mime_prefix": prefix, "name": name}},
    )
    return output


def notebook(dataplane: str, suite: str, outcome: str, *more: NotebookNode) -> NotebookNode:
    """A run that gave one answer to the atlas."""
    part = {
        "suite": suite,
        "dataplane": dataplane,
        "options": "",
        "basis": "modelled",
        "connections": 21,
        "ways": [["pod", "on another node", "own-node"]],
        "answers": {"fence": [outcome]},
    }
    cells = [new_code_cell(id="paste", outputs=[pasted("atlas", part), *more])]
    made: NotebookNode = new_notebook(cells=cells)
    return made


def test_runs_of_a_suite_are_put_together_in_their_order() -> None:
    """One snippet for each suite, with every run's answers and a link to each."""
    found = atlases(
        {
            "b-run": notebook("b-plane", "egress", "allowed"),
            "other": notebook("b-plane", "ingress", "allowed"),
            "a-run": notebook("a-plane", "egress", "timeout"),
            "silent": new_notebook(cells=[new_code_cell(id="one")]),
        }
    )

    assert ["atlas-egress.md", "atlas-ingress.md"] == list(found)
    text = found["atlas-egress.md"].decode()
    assert text.startswith("```{raw} html\n")
    assert text.index("b-plane") < text.index("a-plane")
    assert "From the runs {doc}`/notebooks/runs/b-run`, {doc}`/notebooks/runs/a-run`." in text
    assert "42 connections: 1 policies on two dataplanes" in text
    assert "two of them modelled" in text


def test_what_policy_saw_comes_along() -> None:
    """It stands in a cell of its own, since it belongs to a testbed."""
    seen = pasted("atlas-seen", [["dialled node"]])

    text = atlases({"a": notebook("plane", "egress", "allowed", seen)})["atlas-egress.md"]

    assert "dialled node" in text.decode()


def test_the_catalogue_names_every_dataplane_and_option() -> None:
    """Pages cannot forget a new one, nor where it is not emulated."""
    found = {name: content.decode() for name, content in catalogue().items()}

    for dataplane in DATAPLANES.values():
        assert (
            f"| `{dataplane.name}` | {dataplane.basis} | {dataplane.summary}"
            in (found["dataplanes.md"])
        )
        assert dataplane.limits in found["dataplanes.md"]
        for name, option in dataplane.options.items():
            assert f"| `{name}` | **`{option.values[0]}`**" in found["options.md"]
            for value in option.live_only:
                assert f"`{name}={value}` on" in found["dataplanes.md"]
    for name in VARIATIONS:
        assert f"| `{name}` |" in found["options.md"]


def test_the_catalogue_tells_what_a_kernel_may_lack() -> None:
    """A setting that needs a device of its own is not promised."""
    text = catalogue()["dataplanes.md"].decode()

    assert (
        "| `encapsulation=IPIP` on `calico-iptables`, `calico-nftables` | emulated, or live" in text
    )
    assert "makes ipip devices" in text


def test_snippets_are_tables_of_one_width() -> None:
    """Every row has the columns of the heading, or the page would show something else."""
    for content in catalogue().values():
        rows = content.decode().splitlines()

        assert {rows[0].count("|")} == {row.count("|") for row in rows}
