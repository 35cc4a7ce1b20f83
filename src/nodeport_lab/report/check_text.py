"""A check on a terminal: what matters first, then the whole table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import yaml
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from nodeport_lab.check.answers import Answer
from nodeport_lab.check.checker import Check
from nodeport_lab.check.findings import MEANINGS, Finding, Kind, Remedy
from nodeport_lab.check.plan import Plan
from nodeport_lab.report.check_table import rows
from nodeport_lab.report.terminal import STYLES
from nodeport_lab.report.words import SYMBOLS, in_order, marked

MOST_ROWS = 60
"""Lines of the table; the rest is in the other reports."""

_MOST_FINDINGS = 15  # of one kind


def render(made: Check, *, timed: bool = True) -> Group:
    """Everything that is told of a check."""
    parts: list[RenderableType] = [Text(plan_words(made.plan, len(made.answers)))]
    for kind in Kind:
        some = [one for one in made.findings if one.kind is kind]
        if some:
            parts += [Text(), Text(f"{MEANINGS[kind]} ({len(some)})", "bold"), *_findings(some)]
    remedies = [one.remedy for one in made.findings if one.remedy and one.remedy.manifests]
    if remedies:
        parts += [Text(), Text("Policies that were tried with packets", "bold")]
        parts += [Text(f"{one}\n") for one in dict.fromkeys(map(manifests_text, remedies))]
    parts += [Text(), *table(made.answers, made.bases), Text()]
    parts.append(Text(closing_line(made, timed=timed)))
    return Group(*parts)


def plan_words(plan: Plan, dataplanes: int) -> str:
    """What is asked, in one sentence."""
    asked = f"{plan.asked:,} questions to {_counted(dataplanes, 'dataplane')}"
    if plan.is_complete:
        return f"{asked}; every one that there is."
    return (
        f"{asked}, of {plan.possible:,} that there are: all {plan.kinds:,} kinds that reasoning "
        "tells apart, every rule by every route, and a sample of the others."
    )


def closing_line(made: Check, *, timed: bool = True) -> str:
    """What it comes down to, and how long it took, where that belongs."""
    told = [one for one in made.findings if one.kind is not Kind.NOTE]
    answers = sum(map(len, made.answers.values()))
    findings = _counted(len(told), "finding") if told else "nothing to report"
    return f"{findings}; {answers:,} answers{f' in {made.seconds:.1f} s' if timed else ''}."


def manifests_text(remedy: Remedy) -> str:
    """The policies of a remedy, ready to be applied."""
    return yaml.safe_dump_all(list(remedy.manifests), sort_keys=False).rstrip()


def remedy_words(remedy: Remedy) -> str:
    """What was tried and what packets said to it."""
    if not remedy.agrees:
        return remedy.words
    return (
        f"all agree with this added ({_counted(remedy.cells, 'question')} asked again): "
        f"{remedy.words}"
    )


def _findings(some: Sequence[Finding]) -> Iterator[RenderableType]:
    for finding in some[:_MOST_FINDINGS]:
        mark = "·" if finding.kind is Kind.NOTE else "▸"
        lines = [Text(f"{mark} {finding.title}")]
        if finding.reason:
            lines.append(Text(f"  {finding.reason}"))
        if finding.kind in {Kind.NODE, Kind.PLACEMENT}:
            lines += [Text(f"  {detail}") for detail in finding.details]
        lines += [Text(f"  at {place}", "dim") for place in finding.places]
        if finding.remedy is not None:
            lines.append(Text(f"  {remedy_words(finding.remedy)}", "green"))
        yield Padding(Group(*lines), (0, 0, 0, 1))
    if len(some) > _MOST_FINDINGS:
        yield Text(f"  and {len(some) - _MOST_FINDINGS} more; --html or --json tells all")


def table(
    answers: Mapping[str, Sequence[Answer]], bases: Mapping[str, str]
) -> list[RenderableType]:
    """The table, uneven lines first where not all of them fit.

    Args:
        answers: dataplane -> what it answered.
        bases: dataplane -> on what that is based.
    """
    lines = rows(answers, by_node=False)
    shown = lines
    if len(lines) > MOST_ROWS:
        shown = sorted(lines, key=lambda row: row.is_even)[:MOST_ROWS]
    numbers = {name: str(number) for number, name in enumerate(answers, start=1)}
    layout = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    layout.add_column("from", overflow="fold")
    layout.add_column("to", overflow="fold")
    for number in numbers.values():
        layout.add_column(number, no_wrap=True)
    for row in shown:
        symbols = (_symbols(row.outcomes.get(name, ())) for name in answers)
        layout.add_row(Text(str(row.caller)), Text(str(row.door)), *symbols)
    told = {outcome for row in lines for some in row.outcomes.values() for outcome in some}
    legend = Text("   ").join(Text(marked(outcome), STYLES[outcome]) for outcome in in_order(told))
    names = Text("   ".join(f"{number} {name} ({bases[name]})" for name, number in numbers.items()))
    parts: list[RenderableType] = [names, legend, layout]
    if len(shown) < len(lines):
        left = len(lines) - len(shown)
        parts.append(Text(f"{left:,} lines more, most alike: --html or --json tells all"))
    return parts


def _symbols(outcomes: Iterable[str]) -> Text:
    line = Text()
    for outcome in outcomes:
        line.append(SYMBOLS[outcome], STYLES[outcome])
    return line


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
