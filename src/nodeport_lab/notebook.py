"""All that a notebook imports: `from nodeport_lab import notebook as lab`.

Notebooks hold calls and sentences. A function here is one such call; what it shows is
made in `report` and `book.values`, what it runs in `experiment`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from io import StringIO
from typing import TYPE_CHECKING, Any

from IPython.core.getipython import get_ipython
from myst_nb import glue  # type: ignore[import-untyped]  # publishes no types
from rich.console import Console, RenderableType

from nodeport_lab import claims, claims_file, documented, experiment, locations
from nodeport_lab.adviser import consult
from nodeport_lab.book.figures import RUNS_FROM_CHAPTERS
from nodeport_lab.book.parameters import check_injected
from nodeport_lab.book.values import (
    answer_values,
    claim_values,
    dependence_values,
    seen_names,
    seen_values,
    shared_values,
    status_values,
    summary_table,
    verdict_values,
)
from nodeport_lab.check import checker
from nodeport_lab.check.checker import Check
from nodeport_lab.errand import Errand
from nodeport_lab.errors import NotebookError, UnknownNameError
from nodeport_lab.manifests.users import read_users_files
from nodeport_lab.model import Client, Run, Scenario
from nodeport_lab.remedies import PREFIX, REMEDIES
from nodeport_lab.report import advice_text, changes, claim_tables, tables
from nodeport_lab.report import atlas as atlases
from nodeport_lab.report import remedies as remedied
from nodeport_lab.report.atlas import Atlas, Part, Seen
from nodeport_lab.report.check_page import Shown
from nodeport_lab.report.published import publish
from nodeport_lab.report.seen import names
from nodeport_lab.report.table import Note, Table
from nodeport_lab.report.walk_text import render as walk_text_of
from nodeport_lab.report.words import title
from nodeport_lab.suites import SUITES
from nodeport_lab.testbeds.embedded.addressing import EXTERNAL, ROUTED, plan_network
from nodeport_lab.testbeds.interface import DEFAULT_DEADLINE
from nodeport_lab.variations import split, vary
from nodeport_lab.venues import venue
from nodeport_lab.walk import Walk
from nodeport_lab.walker import walk as follow

if TYPE_CHECKING:
    from nodeport_lab.report.figure import HeatMap

_WIDTH = 76  # characters of printed text
TESTBED_VARIABLE = "NODEPORT_LAB_TESTBED"
"""Names the testbed on which committed notebooks are executed again, in place of theirs."""


def run(  # noqa: PLR0913  # a question, and how to ask it
    dataplane: str,
    options: Mapping[str, str] | None = None,
    *,
    suite: str = "report",
    policies: Sequence[str] | None = None,
    testbed: str = "embedded",
    deadline: float = DEFAULT_DEADLINE,
) -> Run:
    """Run one dataplane under every policy of a suite.

    Args:
        dataplane: its name.
        options: option or variation -> value; what is missing takes its default.
        suite: whose manifests and clients are used.
        policies: names, `no-policy` included where it should be shown; None for the suite's.
        testbed: where; `NODEPORT_LAB_TESTBED` in the environment wins.
        deadline: seconds that a connection and its answer may take.

    Raises:
        LabError: a name that does not exist, or a machine that cannot run the testbed.
    """
    (made,) = run_all(
        [(dataplane, options or {})],
        suite=suite,
        policies=policies,
        testbed=testbed,
        deadline=deadline,
    )
    return made


def run_all(
    configurations: Iterable[Sequence[object]],
    *,
    suite: str = "report",
    policies: Sequence[str] | None = None,
    testbed: str = "embedded",
    deadline: float = DEFAULT_DEADLINE,
) -> list[Run]:
    """Run several pairs of a dataplane and its options at once; see `run`."""
    questions = [_question(suite, policies, *configuration) for configuration in configurations]
    return _answered(questions, testbed, deadline)


def run_suite(  # noqa: PLR0913  # questions, and how to ask them
    suite: str,
    dataplanes: Sequence[str] | None = None,
    *,
    policies: Sequence[str] | None = None,
    without: Iterable[str] = (),
    testbed: str = "embedded",
    deadline: float = DEFAULT_DEADLINE,
) -> list[Run]:
    """Run everything that a suite sets on dataplanes, one run for each setting.

    Args:
        suite: its name.
        dataplanes: names; None for those of the suite.
        policies: names; None for those of the suite.
        without: settings to leave out, as `option=value`.
        testbed: see `run`.
        deadline: see `run`.
    """
    left_out = frozenset(without)
    questions = [
        question
        for question in experiment.questions_of(suite, dataplanes, policies)
        if left_out.isdisjoint(f"{name}={value}" for name, value in question.options.items())
    ]
    return _answered(questions, testbed, deadline)


def run_each(
    sets: Iterable[Mapping[str, Any]],
    *,
    testbed: str = "embedded",
    deadline: float = DEFAULT_DEADLINE,
) -> list[Run]:
    """Run several sets of configurations at once, each under policies of its own; see `run`.

    Args:
        sets: each with a `suite`, the names of `policies`, and `configurations`, which are
            pairs of a dataplane and its options.
        testbed: see `run`.
        deadline: see `run`.

    Raises:
        LabError: a set of another form; see `run` for others.
    """
    questions = []
    for one in sets:
        if one.keys() != {"suite", "policies", "configurations"}:
            raise NotebookError(
                f"a set of configurations has {sorted(one)}; it needs a suite, policies and "
                "configurations, as in {suite: ports, policies: [egress-port-node], "
                "configurations: [[cilium, {}]]}"
            )
        questions += [
            _question(one["suite"], one["policies"], *configuration)
            for configuration in one["configurations"]
        ]
    return _answered(questions, testbed, deadline)


def run_remedy(
    name: str,
    dataplanes: Sequence[str] | None = None,
    *,
    testbed: str = "embedded",
    deadline: float = DEFAULT_DEADLINE,
) -> list[Run]:
    """Run every stage of a remedy, one run for each stage and dataplane.

    Args:
        name: its name.
        dataplanes: names; None for all.
        testbed: see `run`.
        deadline: see `run`.
    """
    if name not in REMEDIES:
        raise UnknownNameError("remedy", name, list(REMEDIES))
    return run_suite(f"{PREFIX}{name}", dataplanes, testbed=testbed, deadline=deadline)


def walk(  # noqa: PLR0913  # a connection, and how to ask about it
    dataplane: str,
    client: str,
    route: str,
    policy: str,
    options: Mapping[str, str] | None = None,
    *,
    testbed: str = "embedded",
    deadline: float = DEFAULT_DEADLINE,
) -> Walk:
    """Follow the first packet of one connection by the kernel's own trace.

    Args:
        dataplane: its name.
        client: a pod, `host:NODE`, `external` or `external-routed`.
        route: `pod-ip`, `cluster-ip`, `nodeport:NODE`, `load-balancer` or `external-ip`.
        policy: name of the policy in force, or `no-policy`.
        options: see `run`.
        testbed: see `run`.
        deadline: see `run`.
    """
    return follow(_errand(dataplane, client, route, policy, options, testbed), deadline)


def walk_figure(way: Walk) -> HeatMap:
    """A walk as a picture: a lane for each place, the packet's way from top to bottom."""
    from nodeport_lab.report.walk_figure import draw  # noqa: PLC0415  # as for heat maps

    return draw(way)


def walk_text(way: Walk) -> None:
    """Print a walk place by place."""
    _print(walk_text_of(way))


def advise(  # noqa: PLR0913  # a connection, and how to ask about it
    dataplane: str,
    client: str,
    route: str,
    policy: str,
    options: Mapping[str, str] | None = None,
    *,
    testbed: str = "embedded",
    deadline: float = DEFAULT_DEADLINE,
) -> None:
    """Try rules for a connection that a policy denies, and print which one helps; see `walk`."""
    errand = _errand(dataplane, client, route, policy, options, testbed)
    _print(advice_text.render(consult(errand, deadline)))


def check(
    path: str, dataplanes: Sequence[str] | None = None, *, testbed: str = "embedded"
) -> Check:
    """Check somebody's manifests; see the command of that name.

    Args:
        path: a file or folder; a relative one begins at the checkout.
        dataplanes: names; None for all.
        testbed: where; manifests are checked on the embedded one alone.
    """
    if testbed != "embedded":
        raise UnknownNameError("testbed for manifests of users", testbed, ["embedded"])
    shell = get_ipython()
    if shell is not None:
        check_injected(shell.user_ns["In"])
    reading = read_users_files([path], folder=locations.repository_root())
    return checker.check(checker.Request(reading, tuple(dataplanes or ())))


def check_report(made: Check) -> Shown:
    """What is worth telling of a check, then the whole table."""
    return Shown(made)


def paste_check(made: Check) -> None:
    """Let chapters refer to the report of a check."""
    _paste({"report": Shown(made)})


def verdict_table(run: Run) -> Table:
    """What became of every connection."""
    return tables.verdict_table(run)


def heat_map(*runs: Run) -> HeatMap:
    """What became of the connections, as a picture, clients together."""
    from nodeport_lab.report import figure  # noqa: PLC0415  # most runs draw nothing

    return figure.heat_map(runs)


def atlas(*runs: Run) -> Atlas:
    """What became of every connection, kinds of clients apart, dataplanes side by side."""
    return Atlas(tuple(_part(one) for one in runs))


def changes_table(*runs: Run) -> Table:
    """What each further run changes against the first."""
    return changes.changes_table(
        changes.comparisons(runs), f"What changes on {runs[0].dataplane}", "set"
    )


def differences_table(before: Iterable[Run], after: Iterable[Run], what: str) -> Table:
    """What differs between two runs of each dataplane."""
    return changes.changes_table(_pairs(before, after), what, "dataplane")


def placement_table(*runs: Run) -> Table:
    """Verdicts with the server in several places, side by side."""
    return changes.placement_table(runs)


def seen_table(run: Run) -> Table:
    """What policy saw of each connection, and where it looked."""
    return tables.seen_table(run)


def documented_table(run: Run, *, by_client: bool = False) -> Table:
    """What was observed beside what is documented, with the sources; kinds of clients apart."""
    groups = atlases.client_groups(run, _clients(run)) if by_client else None
    return tables.documented_table(run, _book_of_claims().documented, groups)


def claims_table(*runs: Run) -> Table:
    """The report's claims, settled by these runs."""
    return _report_table(_statuses(runs))


def remedy_table(*runs: Run) -> Table:
    """What became of the connections in each stage of a remedy, dataplanes side by side."""
    return remedied.remedy_table(runs)


def sources_table(*runs: Run) -> Table:
    """Whose address arrives at the server in each stage of a remedy."""
    return remedied.sources_table(runs)


def remedy_claim(*runs: Run) -> Table:
    """The report's sentence about a remedy, settled by its runs."""
    settled = claim_tables.claims_table(_remedy_statuses(runs))
    unheard = (Note("The report does not speak of this remedy."),)
    return settled if settled.rows else replace(settled, notes=unheard)


def policies_table(*runs: Run) -> Table:
    """What each policy of a remedy has to allow."""
    return remedied.policies_table(runs)


def told_table(*runs: Run) -> Table:
    """What the clients were told in each stage of a remedy, by the server or by a proxy."""
    return remedied.told_table(runs)


def versions(*runs: Run) -> None:
    """Print what the runs were made with; it belongs to the machine, not to the result."""
    for name, version in {key: one.versions[key] for one in runs for key in one.versions}.items():
        print(f"{name} {version}")  # noqa: T201  # a notebook shows what it prints


def assert_documented(*runs: Run) -> None:
    """Hold runs to what is documented, and print what was held.

    Raises:
        AssertionError: a cell differs from a documented outcome that applies to it.
    """
    for one in runs:
        name = f"{title(one)}: " if len(runs) > 1 else ""
        held = documented.assert_documented(one, _book_of_claims().documented)
        print(f"{name}{held}")  # noqa: T201


def assert_all_documented(*runs: Run) -> None:
    """Hold many runs to what is documented, and print in one sentence what was held.

    Raises:
        AssertionError: a cell differs from a documented outcome that applies to it.
    """
    print(documented.assert_all_documented(runs, _book_of_claims().documented))  # noqa: T201


def paste_verdicts(run: Run, *policies: str) -> None:
    """Let chapters refer to the verdicts as a table, and to single ones under some policies."""
    _paste({"verdict-table": summary_table(run), **verdict_values(run, policies)})


def paste_seen(run: Run) -> None:
    """Let chapters refer to the addresses seen."""
    _paste({"seen-table": seen_table(run), **seen_values(run)})


def paste_atlas(run: Run, clients: Sequence[str], policies: Sequence[str]) -> None:
    """Give the run's part to the atlas, and some answers of some clients to chapters."""
    part = _part(run)
    values: dict[str, object] = {"atlas": part}
    for one in clients:
        values |= answer_values(part, one, policies)
    _paste(values)


def paste_atlas_seen(run: Run, clients: Sequence[str]) -> None:
    """Give to the atlas what policy saw, and to chapters what it saw of some clients."""
    part = _part(run, with_seen=True)
    values: dict[str, object] = {"atlas-seen": Seen(part)}
    for one in clients:
        values |= seen_names(part, one)
    _paste(values)


def paste_observations(run: Run) -> None:
    """Publish the observations, for the page that answers questions from them."""
    scenario = _scenario(run)
    at_hand = run.cluster.network if run.cluster else None
    network = at_hand or plan_network(scenario, tunnel=True)
    machines = {name: address for name, address, _ in (EXTERNAL, ROUTED)}
    _paste({"observations": publish(run, _clients(run), scenario, network, machines)})


def paste_answers(runs: Iterable[Run], clients: str, policies: Sequence[str]) -> None:
    """Let chapters refer to answers on several dataplanes, each under its dataplane's name."""
    parts = [_part(run) for run in runs]
    _paste({"atlas-table": Atlas(tuple(parts)), **shared_values(parts, clients, policies)})


def paste_changes(*runs: Run) -> None:
    """Let chapters refer to what each further run changes against the first."""
    pairs = changes.comparisons(runs)
    _paste({"changes-table": changes_table(*runs), **changes.change_values(pairs)})


def paste_differences(before: Iterable[Run], after: Iterable[Run]) -> None:
    """Let chapters refer to what differs between two runs of each dataplane."""
    _paste(changes.change_values(_pairs(before, after)))


def paste_placements(*runs: Run) -> None:
    """Let chapters refer to the verdicts in several places, and how they depend on the node."""
    _paste({"placement-table": placement_table(*runs), **dependence_values(runs)})


def paste_claims(*runs: Run) -> None:
    """Let chapters refer to the claims and their statuses, the report's and all together."""
    found = _statuses(runs)
    ledger = claim_tables.ledger_table(found, _book_of_claims().report, RUNS_FROM_CHAPTERS)
    _paste({"claims-table": _report_table(found), "ledger-table": ledger, **claim_values(found)})


def paste_remedy(*runs: Run) -> None:
    """Let chapters refer to what became of the connections in each stage."""
    _paste(
        {
            "remedy-table": remedy_table(*runs),
            **remedied.outcome_values(runs),
            **remedied.dataplane_values(runs),
            **status_values(_remedy_statuses(runs)),
        }
    )


def paste_told(*runs: Run) -> None:
    """Let chapters refer to what the clients were told in each stage."""
    _paste({"told-table": told_table(*runs)})


def paste_sources(*runs: Run) -> None:
    """Let chapters refer to whose address arrived in each stage."""
    _paste(
        {
            "sources-table": sources_table(*runs),
            **remedied.source_values(runs),
            **remedied.kept_values(runs),
        }
    )


def _paste(values: Mapping[str, object]) -> None:
    for name, value in values.items():
        glue(name, value, display=False)


def _errand(  # noqa: PLR0913, PLR0917  # a connection, and how to ask about it
    dataplane: str,
    client: str,
    route: str,
    policy: str,
    options: Mapping[str, str] | None,
    testbed: str,
) -> Errand:
    where = os.environ.get(TESTBED_VARIABLE, testbed)
    return Errand(dataplane, client, route, policy, options or {}, where)


def _print(shown: RenderableType) -> None:
    """Print as on a terminal, without colours and trailing spaces."""
    told = StringIO()
    Console(file=told, width=_WIDTH, color_system=None, force_jupyter=False).print(shown)
    print("\n".join(line.rstrip() for line in told.getvalue().splitlines()))  # noqa: T201


def _answered(questions: Sequence[experiment.Question], testbed: str, deadline: float) -> list[Run]:
    shell = get_ipython()
    if shell is not None:
        check_injected(shell.user_ns["In"])
    with venue(os.environ.get(TESTBED_VARIABLE, testbed)) as where:
        return experiment.run_all(questions, venue=where, deadline=deadline)


def _question(
    suite: str, policies: Sequence[str] | None, dataplane: object, options: object = None
) -> experiment.Question:
    """A question from what a notebook's parameters hold, which may be anything."""
    if not isinstance(options, Mapping):
        raise NotebookError(
            f"the options of {dataplane} are {options!r}; they must map names to values, "
            "as in {'policyCIDRMatchMode': 'nodes'}; with papermill: "
            "-y 'options: {policyCIDRMatchMode: nodes}'"
        )
    if suite not in SUITES:
        raise UnknownNameError("suite", suite, list(SUITES))
    return experiment.Question(
        str(dataplane), {str(name): str(value) for name, value in options.items()}, policies, suite
    )


def _part(run: Run, *, with_seen: bool = False) -> Part:
    scenario = _scenario(run)
    known = names(scenario, plan_network(scenario, tunnel=True)) if with_seen else None
    return atlases.part(run, _clients(run), known)


def _clients(run: Run) -> Sequence[Client]:
    return SUITES[run.suite].callers(_scenario(run))


def _scenario(run: Run) -> Scenario:
    return vary(experiment.suite_scenario(SUITES[run.suite]), split(run.options)[1])


def _pairs(before: Iterable[Run], after: Iterable[Run]) -> tuple[changes.Comparison, ...]:
    return tuple(
        changes.Comparison(one.dataplane, one, other)
        for one, other in zip(before, after, strict=True)
    )


def _book_of_claims() -> claims_file.ClaimsFile:
    return claims_file.load(locations.claims_file())


def _report_table(statuses: Iterable[claims.ClaimStatus]) -> Table:
    return claim_tables.claims_table(one for one in statuses if not one.claim.sources)


def _remedy_statuses(runs: Sequence[Run]) -> tuple[claims.ClaimStatus, ...]:
    """The claims that the remedies of some runs put to the test."""
    found = remedied.stages()
    tested = {found[run.suite][0].claim for run in runs}
    return tuple(entry for entry in _statuses(runs) if entry.claim.id in tested)


def _statuses(runs: Sequence[Run]) -> tuple[claims.ClaimStatus, ...]:
    return claims.statuses(_book_of_claims().claims, runs)
