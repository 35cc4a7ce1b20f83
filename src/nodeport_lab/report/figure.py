"""The heat map: every policy by every target, for one or several runs, as a picture.

Each cell has a colour and a symbol, so that nobody needs the colours. The same data gives
the same bytes with the same version of matplotlib.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from nodeport_lab.model import Run
from nodeport_lab.report.dependence import compared, dependence
from nodeport_lab.report.grid import Summary, outcomes, summary
from nodeport_lab.report.words import SYMBOLS, evidence, listed, marked, options, title

# Okabe and Ito's colours; black symbols are readable on each of them.
_COLOURS = {
    "allowed": "#009e73",
    "timeout": "#d55e00",
    "refused": "#cc79a7",
    "no path": "#bbbbbb",
    "error": "#f0e442",
}
_NOT_OBSERVED = "#ffffff"
_STYLE: Sequence[str | dict[str, str]] = [
    "default",
    {"svg.hashsalt": "nodeport-lab", "font.family": "DejaVu Sans"},
]
_CELL_WIDTH, _CELL_HEIGHT = 0.56, 0.34  # inches
_DPI = 96
_RETINA = 2  # pixels per point of the picture shown in a notebook


@dataclass(frozen=True, slots=True, repr=False)
class HeatMap:
    """A heat map that shows itself in a notebook; its text is its description."""

    figure: Figure
    description: str

    def __repr__(self) -> str:
        """What the picture shows, in words."""
        return self.description

    def png(self) -> bytes:
        """The picture as PNG, at twice the resolution that it is shown with."""
        return self._saved("png")

    def svg(self) -> bytes:
        """The picture as SVG."""
        return self._saved("svg")

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        # The width alone: where a page has less room, the height follows.
        return self.png(), {"width": round(self.figure.get_size_inches()[0] * _DPI)}

    def _saved(self, kind: str) -> bytes:
        stamps = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}
        buffer = io.BytesIO()
        with matplotlib.style.context(_STYLE):
            self.figure.savefig(
                buffer, format=kind, dpi=_DPI * _RETINA, metadata=stamps[kind], bbox_inches=None
            )
        return buffer.getvalue()


def heat_map(runs: Sequence[Run]) -> HeatMap:
    """Draw runs side by side, one row per policy, one column per target.

    Clients share a column; a cell in which they got different answers shows each of them.
    """
    summaries = [summary(run) for run in runs]
    policies = tuple(dict.fromkeys(policy for cells in summaries for policy in cells.policies))
    with matplotlib.style.context(_STYLE):
        figure = _drawn(runs, summaries, policies)
    return HeatMap(figure, describe(runs))


def describe(runs: Sequence[Run]) -> str:
    """What a heat map of these runs shows, for those who cannot see it."""
    policies = dict.fromkeys(cell.policy for run in runs for cell in run.observations)
    targets = dict.fromkeys(cell.target for run in runs for cell in run.observations)
    allowed = [
        f"{sum(cell.outcome == 'allowed' for cell in run.observations)} "
        f"of {len(run.observations)} on {title(run)}"
        for run in runs
    ]
    what = f"Heat map of {len(policies)} policies by {len(targets)} ways to reach the server"
    found = compared(runs)
    meaning = f" {dependence(found)}" if found else ""
    return f"{what}; allowed connections: {listed(allowed)}.{meaning}"


def _drawn(runs: Sequence[Run], summaries: Sequence[Summary], policies: tuple[str, ...]) -> Figure:
    columns = [max(len(cells.targets), 1) for cells in summaries] or [1]
    figure = Figure(
        figsize=(
            1.9 + _CELL_WIDTH * sum(columns) + 0.3 * len(columns),
            1.9 + _CELL_HEIGHT * max(len(policies), 1),
        ),
        facecolor="white",
        layout="constrained",
    )
    all_axes = figure.subplots(
        1, len(columns), squeeze=False, gridspec_kw={"width_ratios": columns}
    )[0]
    for position, (axes, run, cells) in enumerate(zip(all_axes, runs, summaries, strict=False)):
        _draw(axes, cells, policies)
        axes.set_title(_heading(run), fontsize=9, loc="left")
        axes.set_yticks(
            [row + 0.5 for row in range(len(policies))],
            policies if position == 0 else ["" for _ in policies],
        )
    seen = outcomes(runs)
    if seen:
        figure.legend(
            handles=[
                Patch(facecolor=_COLOURS[one], edgecolor="black", label=marked(one)) for one in seen
            ],
            loc="outside lower center",
            ncols=len(seen),
            frameon=False,
            fontsize=9,
        )
    return figure


def _draw(axes: Axes, cells: Summary, policies: tuple[str, ...]) -> None:
    for row, policy in enumerate(policies):
        for column, target in enumerate(cells.targets):
            answers = cells.outcomes(policy, target)
            share = 1 / max(len(answers), 1)
            for part, outcome in enumerate(answers):
                left = column + part * share
                axes.add_patch(Rectangle((left, row), share, 1, facecolor=_COLOURS[outcome]))
                axes.text(
                    left + share / 2,
                    row + 0.5,
                    SYMBOLS[outcome],
                    fontsize=12,
                    ha="center",
                    va="center_baseline",
                )
            axes.add_patch(
                Rectangle(
                    (column, row),
                    1,
                    1,
                    facecolor="none" if answers else _NOT_OBSERVED,
                    edgecolor="white",
                    lw=2,
                )
            )
    axes.set_xlim(0, max(len(cells.targets), 1))
    axes.set_ylim(max(len(policies), 1), 0)
    axes.set_xticks(
        [column + 0.5 for column in range(len(cells.targets))],
        [target.replace("-", "\n", 1) for target in cells.targets],
        fontsize=8,
    )
    axes.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _heading(run: Run) -> str:
    """The run and its basis, in two or three lines that stand on the axes."""
    return "\n".join(line for line in (run.dataplane, options(run), evidence(run)) if line)
