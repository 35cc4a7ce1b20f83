"""The pages' tables over several runs: what each run gave to the atlas, put together.

A run stays small and fast, since it answers for one dataplane; a page shows them all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from nbformat import NotebookNode

from nodeport_lab.book.pasted import pasted
from nodeport_lab.report.atlas import JSON, Atlas, Part, from_json

_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def atlases(notebooks: Mapping[str, NotebookNode]) -> dict[str, bytes]:
    """File name -> content: for each suite whose runs gave their part, a snippet to include.

    Args:
        notebooks: id of each run -> its notebook, in the order of the list of runs.
    """
    found: defaultdict[str, dict[str, Part]] = defaultdict(dict)
    for run_id, notebook in notebooks.items():
        given = pasted(notebook, JSON)
        if "atlas" in given:
            part = from_json(given["atlas"], given.get("atlas-seen", ()))
            found[part.suite][run_id] = part
    return {f"atlas-{suite}.md": _snippet(parts).encode() for suite, parts in found.items()}


def _snippet(parts: Mapping[str, Part]) -> str:
    """The atlas as a figure: a page shows it with an `include`."""
    atlas = Atlas(tuple(parts.values()))
    runs = ", ".join(f"{{doc}}`/notebooks/runs/{run_id}`" for run_id in parts)
    modelled = sum(part.basis == "modelled" for part in atlas.parts)
    return (
        "```{raw} html\n"
        f"{atlas._repr_html_()}\n"  # what a notebook would show
        "```\n"
        "\n"
        ":::{div} atlas-caption\n"
        f"{atlas.connections} connections: {len(atlas.policies)} policies on "
        f"{_number(len(atlas.parts))} dataplanes with their defaults, {_number(modelled)} of them "
        "modelled, none observed live. Clients with the same answers share a table, ways with "
        f"the same answers a column. From the runs {runs}.\n"
        ":::\n"
    )


def _number(number: int) -> str:
    return _NUMBERS[number] if number < len(_NUMBERS) else str(number)
