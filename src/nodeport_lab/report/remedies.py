"""A remedy's stages below each other, dataplanes side by side: what works, and who is seen.

Clients and ways with the same answers on every dataplane share a row. What is merged is
found in the runs, never stated.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from rich.console import Group
from rich.table import Table as Layout
from rich.text import Text

from nodeport_lab.experiment import suite_scenario
from nodeport_lab.model import Client, Direction, NetworkPolicy, Observation, Run
from nodeport_lab.remedies import REMEDIES, Remedy, Stage
from nodeport_lab.report.atlas import Kind, kinds_of
from nodeport_lab.report.changes import NO_PATH, outcome_cell
from nodeport_lab.report.grid import CONTROL, rank
from nodeport_lab.report.seen import Names, names, seen_name
from nodeport_lab.report.table import Cell, Note, Table
from nodeport_lab.report.walk_words import peer, ports, selector
from nodeport_lab.report.words import SYMBOLS, listed, marked
from nodeport_lab.suites import SUITES
from nodeport_lab.testbeds.embedded.addressing import plan_network
from nodeport_lab.variations import split, vary

OF = " of "
_Way = tuple[Kind, str]
"""Who dials, and what."""


@dataclass(frozen=True, slots=True)
class Staged:
    """A stage of a remedy with its runs, one for each dataplane.

    Attributes:
        stage: the stage.
        runs: what its packets said.
        clients: who called.
        names: of the addresses.
    """

    stage: Stage
    runs: tuple[Run, ...]
    clients: tuple[Client, ...]
    names: Names

    def observations(self) -> Iterator[tuple[str, str, _Way, Observation]]:
        """Dataplane, policy, way and cell of every connection; several servers are told apart."""
        several = len({cell.server for run in self.runs for cell in run.observations}) > 1
        for run in self.runs:
            kinds = kinds_of(run, self.clients)
            for cell in run.observations:
                way = f"{cell.target}{OF}{cell.server}" if several else cell.target
                yield run.dataplane, cell.policy, (kinds[cell.client], way), cell

    def by_client(self) -> Iterator[tuple[str, str, str, Observation]]:
        """Dataplane, policy, who in words, and cell of every connection."""
        for dataplane, policy, (kind, way), cell in self.observations():
            _, of, server = way.partition(OF)
            yield dataplane, policy, f"{kind.who} to {server}" if of else kind.who, cell


def staged(runs: Iterable[Run]) -> tuple[Staged, ...]:
    """Runs of remedies by stage, in the order of the stages."""
    by_suite: defaultdict[str, list[Run]] = defaultdict(list)
    for run in runs:
        by_suite[run.suite].append(run)
    return tuple(
        _staged(stage, by_suite[suite])
        for suite, (_, stage) in stages().items()
        if suite in by_suite
    )


def stages() -> dict[str, tuple[Remedy, Stage]]:
    """Name of a suite -> the remedy and the stage that it is."""
    return {
        remedy.suite(stage): (remedy, stage)
        for remedy in REMEDIES.values()
        for stage in remedy.stages
    }


def remedy_table(runs: Sequence[Run]) -> Table:
    """What became of the connections: a row for each stage, policy and group of clients."""
    parts = staged(runs)
    dataplanes = tuple(dict.fromkeys(run.dataplane for run in runs))
    present = {cell.outcome for run in runs for cell in run.observations}
    return Table(
        caption=f"{_title(runs)}: before and after",
        corner="stage",
        headings=("policy", "who dials what", *dataplanes),
        rows=tuple(
            (part.stage.name, (Cell(policy), Cell(who), *map(outcome_cell, answers)))
            for part in parts
            for policy, who, answers in _merged(part, dataplanes, _outcome)
        ),
        notes=(
            Note("   ".join(marked(outcome) for outcome in SYMBOLS if outcome in present)),
            *(Note(f"{part.stage.name}: {part.stage.summary}.") for part in parts),
        ),
    )


def sources_table(runs: Sequence[Run]) -> Table:
    """Whose address the server's policy saw, and which one the application logged.

    Told of connections that no policy kept from the server.
    """
    parts = staged(runs)
    dataplanes = tuple(dict.fromkeys(run.dataplane for run in runs))
    return Table(
        caption=f"{_title(runs)}: whose address arrives",
        corner="stage",
        headings=("who dials what", *dataplanes),
        rows=tuple(
            (part.stage.name, (Cell(who), *map(_arrived, answers)))
            for part in parts
            for _, who, answers in _merged(_without_policy(part), dataplanes, _source)
        ),
        notes=(
            Note("Before the bar: what the server's policy saw. After it: what the server logged."),
        ),
    )


def policies_table(runs: Sequence[Run]) -> Table:
    """What each policy has to allow: whom it selects, and the peers and ports it admits."""
    found: dict[str, NetworkPolicy] = {}
    for part in staged(runs):
        scenario = suite_scenario(SUITES[part.runs[0].suite])
        found |= {one.name: one for one in scenario.policies if one.name in part.stage.policies}
    return Table(
        caption=f"{_title(runs)}: what the policies allow",
        corner="policy",
        headings=("selects", "allows"),
        rows=tuple(
            (
                name,
                (
                    Cell(f"pods {selector(policy.pod_selector)}"),
                    Cell("\n".join(_allowed(policy)) or "nothing"),
                ),
            )
            for name, policy in found.items()
        ),
    )


def _allowed(policy: NetworkPolicy) -> Iterator[str]:
    for direction, word in ((Direction.EGRESS, "to"), (Direction.INGRESS, "from")):
        for rule in policy.rules(direction):
            clause = f", {ports(rule.ports)}" if rule.ports else ""
            yield from (f"{word} {peer(one)}{clause}" for one in rule.peers or (None,))


def outcome_values(runs: Sequence[Run]) -> dict[str, str]:
    """`{stage}/{policy}/{who}/{dataplane}` -> outcome, all ways and places together.

    Where a stage has several servers, `{who}` is `{who} to {server}`.
    """
    return _values(
        (f"{part.stage.name}/{policy}/{who}/{dataplane}", cell.outcome)
        for part in staged(runs)
        for dataplane, policy, who, cell in part.by_client()
    )


def source_values(runs: Sequence[Run]) -> dict[str, str]:
    """`seen/{stage}/{who}/{dataplane}` -> what the server's policy saw without any, in words."""
    return _values(
        (f"seen/{part.stage.name}/{who}/{dataplane}", _seen(part, cell)[0])
        for part in map(_without_policy, staged(runs))
        for dataplane, _, who, cell in part.by_client()
        if cell.outcome != NO_PATH
    )


def for_terminal(runs: Sequence[Run]) -> Group:
    """The stages of one remedy after the other, in symbols, readable at 80 columns."""
    parts: list[Layout | Text] = []
    for part in staged(runs):
        dataplanes = tuple(dict.fromkeys(run.dataplane for run in part.runs))
        layout = Layout(
            title=f"{part.runs[0].suite}: {part.stage.summary}",
            box=None,
            title_justify="left",
            pad_edge=False,
            padding=(0, 1, 0, 0),
        )
        layout.add_column("policy\n  who dials what")
        for dataplane in dataplanes:
            layout.add_column(dataplane.replace("-", "\n"), no_wrap=True, vertical="bottom")
        told = ""
        for policy, who, answers in _merged(part, dataplanes, _outcome):
            lines = [f"  {line}" for line in who.splitlines()]
            heading = [] if policy == told else [policy]
            symbols = ("".join(SYMBOLS[one] for one in found) for found in answers)
            layout.add_row("\n".join([*heading, *lines]), *symbols)
            told = policy
        parts += [layout, Text()]
    return Group(*parts)


def _title(runs: Sequence[Run]) -> str:
    found = stages()
    return listed(dict.fromkeys(found[run.suite][0].title for run in runs))


def _staged(stage: Stage, runs: Sequence[Run]) -> Staged:
    suite = SUITES[runs[0].suite]
    scenario = vary(suite_scenario(suite), split(runs[0].options)[1])
    known = names(scenario, plan_network(scenario, tunnel=True))
    return Staged(stage, tuple(runs), tuple(suite.callers(scenario)), known)


def _without_policy(part: Staged) -> Staged:
    return replace(
        part,
        runs=tuple(
            replace(
                run,
                observations=tuple(cell for cell in run.observations if cell.policy == CONTROL),
            )
            for run in part.runs
        ),
    )


def _outcome(_part: Staged, cell: Observation) -> str:
    return cell.outcome


def _source(part: Staged, cell: Observation) -> str:
    return NO_PATH if cell.outcome == NO_PATH else " | ".join(_seen(part, cell))


def _seen(part: Staged, cell: Observation) -> tuple[str, str]:
    """What the last policy on the way in saw, and what the server logged, in words."""
    door = [one.seen_source for one in cell.decisions if one.direction is Direction.INGRESS]
    seen, logged = (
        seen_name(replace(cell, direction=Direction.INGRESS, seen_source=address), part.names)
        for address in (door[-1] if door else None, cell.application_source)
    )
    return seen, logged


def _merged(
    part: Staged, dataplanes: Sequence[str], tell: Callable[[Staged, Observation], str]
) -> Iterator[tuple[str, str, tuple[tuple[str, ...], ...]]]:
    """Policy, who dials what in words, and for each dataplane the different answers."""
    found: defaultdict[tuple[str, _Way], defaultdict[str, dict[str, None]]]
    found = defaultdict(lambda: defaultdict(dict))
    for dataplane, policy, way, cell in part.observations():
        found[policy, way][dataplane][tell(part, cell)] = None
    rows: defaultdict[tuple[str, tuple[tuple[str, ...], ...]], list[_Way]] = defaultdict(list)
    for (policy, way), by_dataplane in found.items():
        together = tuple(tuple(sorted(by_dataplane[dataplane])) for dataplane in dataplanes)
        rows[policy, together].append(way)
    asked = [way for _, way in found]
    for (policy, answers), ways in rows.items():
        yield policy, _words(ways, asked), answers


def _words(ways: Sequence[_Way], asked: Sequence[_Way]) -> str:
    """Who and what in words; places are named where the answer is not that of all places."""
    targets: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for kind, target in ways:
        everywhere = all(
            (other, one) in ways for other, one in asked if other.who == kind.who and one == target
        )
        targets[kind.who if everywhere else str(kind)][target] = None
    return "\n".join(
        f"{who}: {', '.join(sorted(found, key=_near_to_far))}" for who, found in targets.items()
    )


def _near_to_far(way: str) -> tuple[str, int]:
    target, _, server = way.partition(OF)
    return server, rank(target)


def _arrived(found: Sequence[str]) -> Cell:
    return Cell("\nor ".join(found))


def _values(told: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The different words under each name, in a fixed order."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for name, words in told:
        found[name].add(words)
    return {name: " or ".join(sorted(words)) for name, words in found.items()}
