"""All that a notebook imports: `from nodeport_lab import notebook as lab`.

Notebooks hold calls and sentences. A function here is one such call; what it shows is
made in `report` and `book.values`, what it runs in `experiment`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence

from IPython.core.getipython import get_ipython
from myst_nb import glue  # type: ignore[import-untyped]  # publishes no types

from nodeport_lab import claims, claims_file, documented, experiment, locations
from nodeport_lab.book.parameters import check_injected
from nodeport_lab.book.values import claim_values, seen_values, summary_table, verdict_values
from nodeport_lab.errors import NotebookError
from nodeport_lab.model import Run
from nodeport_lab.report import figure, tables
from nodeport_lab.report.figure import HeatMap
from nodeport_lab.report.table import Table
from nodeport_lab.testbeds.interface import DEFAULT_DEADLINE

TESTBED_VARIABLE = "NODEPORT_LAB_TESTBED"
"""Names the testbed on which committed notebooks are executed again, in place of theirs."""


def run(
    dataplane: str,
    options: Mapping[str, str] | None = None,
    *,
    testbed: str = "embedded",
    deadline: float = DEFAULT_DEADLINE,
) -> Run:
    """Run one dataplane under every policy of `manifests/policies`.

    Args:
        dataplane: its name.
        options: option -> value; what is missing takes its default.
        testbed: where; `NODEPORT_LAB_TESTBED` in the environment wins.
        deadline: seconds that a connection and its answer may take.

    Raises:
        LabError: a name that does not exist, or a machine that cannot run the testbed.
    """
    (made,) = run_all([(dataplane, options or {})], testbed=testbed, deadline=deadline)
    return made


def run_all(
    configurations: Iterable[Sequence[object]],
    *,
    testbed: str = "embedded",
    deadline: float = DEFAULT_DEADLINE,
) -> list[Run]:
    """Run several pairs of a dataplane and its options at once; see `run`."""
    shell = get_ipython()
    if shell is not None:
        check_injected(shell.user_ns["In"])
    return experiment.run_all(
        [_question(*configuration) for configuration in configurations],
        testbed=os.environ.get(TESTBED_VARIABLE, testbed),
        deadline=deadline,
    )


def verdict_table(run: Run) -> Table:
    """What became of every connection."""
    return tables.verdict_table(run)


def heat_map(*runs: Run) -> HeatMap:
    """What became of the connections, as a picture, clients together."""
    return figure.heat_map(runs)


def seen_table(run: Run) -> Table:
    """The destination that policy saw, and where it looked."""
    return tables.seen_table(run)


def documented_table(run: Run) -> Table:
    """What was observed beside what is documented, with the sources."""
    return tables.documented_table(run, _book_of_claims().documented)


def claims_table(*runs: Run) -> Table:
    """The report's claims, settled by these runs."""
    return tables.claims_table(_statuses(runs))


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
        print(documented.assert_documented(one, _book_of_claims().documented))  # noqa: T201


def paste_verdicts(run: Run, *policies: str) -> None:
    """Let chapters refer to the verdicts as a table, and to single ones under some policies."""
    _paste({"verdict-table": summary_table(run), **verdict_values(run, policies)})


def paste_seen(run: Run) -> None:
    """Let chapters refer to the addresses seen."""
    _paste({"seen-table": seen_table(run), **seen_values(run)})


def paste_claims(*runs: Run) -> None:
    """Let chapters refer to the claims and their statuses."""
    _paste({"claims-table": claims_table(*runs), **claim_values(_statuses(runs))})


def _paste(values: Mapping[str, object]) -> None:
    for name, value in values.items():
        glue(name, value, display=False)


def _question(dataplane: object, options: object = None) -> experiment.Question:
    """A question from what a notebook's parameters hold, which may be anything."""
    if not isinstance(options, Mapping):
        raise NotebookError(
            f"the options of {dataplane} are {options!r}; they must map names to values, "
            "as in {'policyCIDRMatchMode': 'nodes'}; with papermill: "
            "-y 'options: {policyCIDRMatchMode: nodes}'"
        )
    return experiment.Question(
        str(dataplane), {str(name): str(value) for name, value in options.items()}
    )


def _book_of_claims() -> claims_file.ClaimsFile:
    return claims_file.load(locations.claims_file())


def _statuses(runs: Sequence[Run]) -> tuple[claims.ClaimStatus, ...]:
    return claims.statuses(_book_of_claims().claims, runs)
