"""A packet walk as a picture: a lane for each place, the packet's way from top to bottom.

White paper whatever the page around it, and a symbol beside every colour. Clients' ports
are left out: they differ from run to run, so that the same walk gives the same bytes.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from nodeport_lab.dataplanes.names import TUNNEL_DEVICE
from nodeport_lab.model import Action
from nodeport_lab.report import walk_words as words
from nodeport_lab.report.figure import HeatMap
from nodeport_lab.report.words import evidence, marked, title
from nodeport_lab.trace import End
from nodeport_lab.walk import (
    Drop,
    Evaluation,
    Exemption,
    Lane,
    Step,
    Translation,
    Visit,
    Walk,
)

_LANE, _BOX = 2.55, 2.35  # inches, width
_LINE, _MARGIN, _GAP = 0.15, 0.07, 0.11  # inches, height: of text, inside a box, between rows
_HEAD, _TITLE = 0.5, 0.62
_SIDE, _LETTER = 0.12, 0.1  # left of a title, and no letter of it is wider
_LETTERS = 36  # fit into a box
_SMALL, _NORMAL = 7.5, 9

# Tints of Okabe and Ito's colours; black text is readable on each of them.
_PLAIN = "#f2f2f2"
_GOOD = "#b8e3d3"
_BAD = "#f6c7a1"
_CHANGED = "#c3e2f5"
_INK, _FAINT = "black", "#757575"


@dataclass(frozen=True, slots=True, repr=False)
class WalkFigure(HeatMap):
    """A walk that shows itself in a notebook; its text is its description."""

    def svg(self) -> bytes:
        """The picture as SVG, with its description for those who cannot see it."""
        head, tag, rest = HeatMap.svg(self).decode().partition("<svg ")
        attributes, end, content = rest.partition(">")
        label = f'role="img" aria-label={quoteattr(self.description)} '
        description = f"\n <desc>{escape(self.description)}</desc>"
        return f"{head}{tag}{label}{attributes}{end}{description}{content}".encode()


@dataclass(frozen=True, slots=True)
class _Box:
    """Something that happens in a lane."""

    lane: int
    lines: tuple[str, ...]
    colour: str
    size: float = _SMALL

    @property
    def height(self) -> float:
        return len(self.lines) * _LINE * self.size / _SMALL + 2 * _MARGIN


@dataclass(frozen=True, slots=True)
class _Arrow:
    """The packet on its way from lane to lane."""

    start: int
    end: int
    words: str

    @property
    def height(self) -> float:
        return _LINE + 2 * _MARGIN


def draw(walk: Walk) -> WalkFigure:
    """Draw a walk."""
    rows = list(_rows(walk))
    titles = _titles(walk)
    width = max(_LANE * len(walk.lanes), *(_LETTER * len(each) for each in titles))
    height = _TITLE + _HEAD + sum(row.height + _GAP for row in rows) + 3 * _GAP
    with matplotlib.style.context("default"):
        figure = Figure(figsize=(width, height), facecolor="white")
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        axes.set_xlim(0, width)
        axes.set_ylim(height, 0)
        for number, (words_of, weight) in enumerate(zip(titles, ("bold", "normal"), strict=True)):
            axes.text(_SIDE, 0.24 + 0.22 * number, words_of, fontsize=10, weight=weight, color=_INK)
        for number, lane in enumerate(walk.lanes):
            _draw_lane(axes, number, lane, height)
        top = _TITLE + _HEAD + 2 * _GAP
        for row in rows:
            if isinstance(row, _Box):
                _draw_box(axes, row, top)
            else:
                _draw_arrow(axes, row, top)
            top += row.height + _GAP
    return WalkFigure(figure, words.describe(walk))


def _rows(walk: Walk) -> Iterator[_Box | _Arrow]:
    places = [lane.place for lane in walk.lanes]
    before: Visit | None = None
    for visit in walk.visits:
        lane = places.index(visit.place)
        if before is None:
            yield _Box(lane, ("dials", visit.entered.destination), _PLAIN)
        elif before.place != visit.place:
            shown = words.flow(words.host(visit.entered.source), visit.entered.destination)
            tunnel = ", in the tunnel" if visit.arrived_by == TUNNEL_DEVICE else ""
            yield _Arrow(places.index(before.place), lane, f"{shown}{tunnel}")
        for step in visit.steps:
            yield _step(step, lane)
        if visit.end is End.ARRIVED and walk.application_source is not None:
            logs = ("the application logs", words.host(walk.application_source))
            yield _Box(lane, logs, _PLAIN)
        before = visit
    if before is not None:
        colour = {"allowed": _GOOD, "no path": _PLAIN}.get(walk.outcome, _BAD)
        yield _Box(places.index(before.place), (marked(walk.outcome),), colour, _NORMAL)


def _step(step: Step, lane: int) -> _Box:
    match step:
        case Translation():
            rule = words.standing(step.rule).partition("/")[0] if step.rule else ""
            return _Box(
                lane, _wrapped(f"⇄ {step.side} becomes", words.replacement(step), rule), _CHANGED
            )
        case Evaluation():
            return _evaluation(step, lane)
        case Exemption():
            return _Box(lane, _wrapped("policy is not evaluated:", step.rule.text), _PLAIN)
        case Drop():
            rule = words.standing(step.rule).partition("/")[0]
            return _Box(lane, _wrapped(f"{words.DENIES} dropped by", rule), _BAD)


def _evaluation(step: Evaluation, lane: int) -> _Box:
    decision = step.decision
    denied = decision.action is Action.DENY
    seen = words.flow(words.host(decision.seen_source), decision.seen_destination)
    tried = [
        f"{words.ALLOWS if each.matched else words.DENIES} {words.peer(each.peer)}"
        + (f", {words.ports(each.ports)}" if each.ports else "")
        for each in step.considered
    ]
    return _Box(
        lane,
        _wrapped(
            f"{decision.direction} policy of {step.pod}",
            f"at {decision.hook}",
            f"saw {seen}",
            *tried,
            words.answer(step),
        ),
        _BAD if denied else _GOOD,
    )


def _wrapped(*lines: str) -> tuple[str, ...]:
    return tuple(part for line in lines for part in textwrap.wrap(line, _LETTERS))


def _titles(walk: Walk) -> tuple[str, str]:
    return (
        f"{walk.client} → {walk.route}, {walk.policy}",
        f"{title(walk.run)}, {evidence(walk.run)}",
    )


def _draw_lane(axes: Axes, number: int, lane: Lane, bottom: float) -> None:
    centre = _centre(number)
    colour, dashes = (_INK, "-") if lane.reached else (_FAINT, "--")
    axes.plot(
        (centre, centre),
        (_TITLE + _HEAD, bottom - _GAP),
        color=_FAINT,
        linestyle=dashes,
        linewidth=0.8,
        zorder=0,
    )
    _draw_frame(axes, number, _TITLE, _HEAD, "white", dashes)
    below = words.kind(lane) if lane.reached else f"{words.kind(lane)}; not reached"
    axes.text(
        centre, _TITLE + 0.2, lane.place.name, fontsize=_NORMAL, weight="bold", ha="center",
        color=colour,
    )  # fmt: skip
    axes.text(centre, _TITLE + 0.38, below, fontsize=_SMALL, ha="center", color=colour)


def _draw_box(axes: Axes, box: _Box, top: float) -> None:
    _draw_frame(axes, box.lane, top, box.height, box.colour, "-")
    axes.text(
        _centre(box.lane),
        top + box.height / 2,
        "\n".join(box.lines),
        fontsize=box.size,
        ha="center",
        va="center",
        color=_INK,
    )


def _draw_frame(  # noqa: PLR0913, PLR0917 - where, how large, how it looks
    axes: Axes, lane: int, top: float, height: float, colour: str, dashes: str
) -> None:
    axes.add_patch(
        FancyBboxPatch(
            (_centre(lane) - _BOX / 2, top),
            _BOX,
            height,
            boxstyle="round,pad=0,rounding_size=0.05",
            facecolor=colour,
            edgecolor=_FAINT,
            linestyle=dashes,
            linewidth=0.8,
        )
    )


def _draw_arrow(axes: Axes, arrow: _Arrow, top: float) -> None:
    start, end = _centre(arrow.start), _centre(arrow.end)
    line = top + arrow.height - 0.04
    axes.annotate(
        "",
        (end, line),
        (start, line),
        arrowprops={"arrowstyle": "-|>", "color": _INK, "shrinkA": 0, "shrinkB": 0},
    )
    axes.text(
        (start + end) / 2,
        line - 0.06,
        arrow.words,
        fontsize=_SMALL,
        ha="center",
        color=_INK,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
    )


def _centre(lane: int) -> float:
    return _LANE * (lane + 0.5)
