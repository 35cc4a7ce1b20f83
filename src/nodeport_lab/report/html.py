"""Tables as HTML that reads well in light and dark mode, in JupyterLab and on a phone.

A symbol and a word always say the same as the colour.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined

from nodeport_lab.report.words import SYMBOLS

if TYPE_CHECKING:
    from nodeport_lab.report.atlas import Atlas
    from nodeport_lab.report.table import Table

_ENVIRONMENT = Environment(
    loader=PackageLoader("nodeport_lab", "report"), autoescape=True, undefined=StrictUndefined
)


def render(table: Table) -> str:
    """The table as one piece of HTML that brings its style along."""
    return _ENVIRONMENT.get_template("table.html.j2").render(table=table)


def render_atlas(atlas: Atlas) -> str:
    """The atlas as one piece of HTML that brings its style along."""
    return _ENVIRONMENT.get_template("atlas.html.j2").render(atlas=atlas, symbols=SYMBOLS)
