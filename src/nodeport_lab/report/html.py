"""HTML that reads well in light and dark mode, in JupyterLab and on a phone.

The templates stand beside this module. Whatever they are given is escaped. A symbol and a
word always say the same as the colour.
"""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined

_ENVIRONMENT = Environment(
    loader=PackageLoader("nodeport_lab", "report"), autoescape=True, undefined=StrictUndefined
)


def render(template: str, **values: object) -> str:
    """A template's HTML, with the values that it names; it brings its style along."""
    return _ENVIRONMENT.get_template(template).render(values)
