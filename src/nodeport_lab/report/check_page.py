"""A check as one HTML file that asks nothing of the network, and as a notebook's output.

Everything that comes from a manifest is escaped, and the page forbids itself scripts,
pictures and requests.
"""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup
from rich.console import Console

from nodeport_lab.check.checker import Check
from nodeport_lab.check.findings import MEANINGS, Kind
from nodeport_lab.report import check_text, html
from nodeport_lab.report.check_table import rows
from nodeport_lab.report.words import SYMBOLS

MOST_ROWS = 3_000
"""Lines of the table; those in which dataplanes differ come first where there are more."""

TITLE = "What the policies do"
_PROVENANCE = (
    "Embedded testbed: real packets through real netfilter in network namespaces. Calico's "
    "tables and kube-proxy are emulated; Calico's eBPF dataplane and Cilium are modelled, with "
    "their semantics carried out by netfilter. Not observed on a live cluster."
)


def page(made: Check) -> str:
    """The whole page."""
    body = Markup(fragment(made))  # noqa: S704 - escaped below
    return html.render("check_page.html.j2", title=TITLE, body=body)


def fragment(made: Check, *, timed: bool = True) -> str:
    """What stands in the page, and in a notebook's cell, where no time belongs."""
    lines = rows(made.answers)
    if len(lines) > MOST_ROWS:
        lines.sort(key=lambda row: row.is_even)
    return html.render(
        "check.html.j2",
        plan=check_text.plan_words(made.plan, len(made.answers)),
        closing=check_text.closing_line(made, timed=timed),
        groups=[
            (kind, some)
            for kind in Kind
            if (some := [one for one in made.findings if one.kind is kind])
        ],
        meanings=MEANINGS,
        bases=made.bases,
        rows=lines[:MOST_ROWS],
        left=max(0, len(lines) - MOST_ROWS),
        symbols=SYMBOLS,
        remedy_words=check_text.remedy_words,
        manifests_text=check_text.manifests_text,
        provenance=_PROVENANCE,
    )


@dataclass(frozen=True, slots=True, repr=False)
class Shown:
    """A check that shows itself in a notebook."""

    check: Check

    def __repr__(self) -> str:
        """As on a terminal."""
        console = Console(width=120, color_system=None, force_jupyter=False)
        with console.capture() as captured:
            console.print(check_text.render(self.check, timed=False))
        return "\n".join(line.rstrip() for line in captured.get().splitlines())

    def _repr_html_(self) -> str:
        return fragment(self.check, timed=False)
