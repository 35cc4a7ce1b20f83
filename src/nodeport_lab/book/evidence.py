"""The page that shows every record from a live cluster beside the embedded testbed's answers.

A record is an observation and is shown as it is; the embedded run of the same questions is
made anew for the page, so that neither is typed a second time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from nodeport_lab import claims_file, locations
from nodeport_lab.book.evidence_tables import Beside, cells_table, claims_table, differing_table
from nodeport_lab.claims import Claim
from nodeport_lab.errors import LabError, PrerequisiteError
from nodeport_lab.experiment import Question, find_policy, run_all, runnable, suite_scenario
from nodeport_lab.model import Run
from nodeport_lab.records import Record, compare, read, role
from nodeport_lab.report.table import Table
from nodeport_lab.report.words import title
from nodeport_lab.suites import find_suites

PAGE = PurePosixPath("chapters/evidence.md")
"""Where the page lies, seen from the book's root."""

RESULTS = "results"
"""The folder of records, seen from the book's root."""

Answer = Callable[[Sequence[Question]], Sequence[Run]]
"""Makes the embedded run of each question."""

HEADING = "# Evidence from live clusters\n"
_PROMISE = """
**What you will see.** What real Calico and real Cilium answered, beside the answers of the embedded
testbed: claim by claim, cell by cell, disagreements first. For whoever asks how far the rest of
this book can be trusted.
"""
_NOTHING = """
## The answer first

:::{admonition} Not yet observed live
:class: warning
There is no record from a live cluster. Every verdict in this book is the embedded testbed's:
*emulated* or *modelled*, as each table says. Nothing here has been confirmed or refuted by the
products themselves.
:::
"""
_TO_DO = """
## What to do

- **Make a record**: `nodeport-lab up -d calico-iptables`, then
  `nodeport-lab run -t kind -d calico-iptables --record results/`. On a cluster of your own it is
  `run -t live --context NAME`. `results/README.md` says more.
- **Compare two records**: `nodeport-lab compare A B`, files or folders. It lists the cells that
  differ, by their names.
- **Show it here**: commit the file in `results/` and run `make notebooks`.

## References

- {doc}`method` for what emulated and modelled mean, {doc}`/notebooks/runs/claims` for the claims
"""


def current_page(root: Path) -> str:
    """The text of the page for the records of a checkout.

    Without any record nothing is run.

    Args:
        root: the checkout.

    Raises:
        LabError: a file in `results/` is no record.
        PrerequisiteError: there are records, and the embedded testbed cannot run here.
    """
    folder = root / RESULTS
    found = read(folder) if any(folder.rglob("*.json")) else ()
    live = [record for record in found if record.run.basis == "live"]
    return page(beside(live), claims_file.load(locations.claims_file()).claims, root)


def beside(live: Sequence[Record], answer: Answer = run_all) -> tuple[Beside, ...]:
    """Every record with the embedded run of its questions, where there can be one.

    Args:
        live: records of live clusters.
        answer: makes the embedded runs.
    """
    questions = [_question(record.run) for record in live]
    possible = []
    reasons: dict[int, str] = {}
    for number, question in enumerate(questions):
        try:
            _check(question)
            good, why_not = runnable([question])
        except PrerequisiteError:  # this machine's fault, not the record's
            raise
        except LabError as error:  # an option that can only be had live, or of a later version
            good, why_not = [], [str(error)]
        if good:
            possible.append(number)
        else:
            reasons[number] = "; ".join(why_not)
    made = dict(
        zip(possible, answer([questions[number] for number in possible]), strict=True)
        if possible
        else ()
    )
    return tuple(
        _beside(record, made.get(number), reasons.get(number, ""))
        for number, record in enumerate(live)
    )


def page(found: Sequence[Beside], claims: Sequence[Claim], root: Path) -> str:
    """The text of the page.

    Args:
        found: every record beside its embedded run.
        claims: what the report claims.
        root: the checkout; files are named from here.
    """
    if not found:
        return f"{HEADING}{_PROMISE}{_NOTHING}{_TO_DO}"
    parts = [HEADING, _PROMISE, "\n## The answer first\n\n", *_answer(found)]
    parts += ["\n## Claim by claim\n\n", _raw(claims_table(found, claims))]
    parts.append("\n## Cell by cell\n")
    for one in found:
        parts += _record(one, root)
    return "".join((*parts, _TO_DO))


def _question(run: Run) -> Question:
    policies = tuple(dict.fromkeys(cell.policy for cell in run.observations))
    return Question(run.dataplane, run.options, policies or None, run.suite)


def _check(question: Question) -> None:
    """Accept a question whose suite and policies this version has.

    Raises:
        UnknownNameError: a later version recorded it.
    """
    (suite,) = find_suites(question.suite)
    scenario = suite_scenario(suite)
    for name in question.policies or ():
        find_policy(scenario, name)


def _beside(record: Record, embedded: Run | None, reason: str) -> Beside:
    if embedded is None:
        return Beside(record, None, None, reason)
    # The options are those that were asked for: a cluster may tell more, or leave some out.
    asked = Record(replace(embedded, options=record.run.options), record.file)
    (pair,) = compare([asked], [record], role).pairs
    return Beside(record, embedded, pair, "")


def _answer(found: Sequence[Beside]) -> Iterable[str]:
    compared = sum(one.pair.compared for one in found if one.pair)
    differing = sum(len(one.pair.differences) for one in found if one.pair)
    yield (
        f"{compared - differing} of {compared} cells came out on live clusters as on the embedded "
        f"testbed, in {len(found)} {'record' if len(found) == 1 else 'records'}. "
    )
    if not differing:
        yield "There is no disagreement.\n"
        return
    yield f"{differing} {'cell differs' if differing == 1 else 'cells differ'}:\n\n"
    yield _raw(differing_table(found))


def _record(one: Beside, root: Path) -> Iterable[str]:
    run = one.record.run
    name = one.record.file
    shown = name.relative_to(root) if name.is_relative_to(root) else name.name
    versions = ", ".join(f"{part} {version}" for part, version in sorted(run.versions.items()))
    yield f"\n### {title(run)}, suite {run.suite}, {run.testbed}, {run.date or 'undated'}\n\n"
    yield f"`{shown}`: {versions}.\n\n"
    if one.pair is None:
        yield f"Nothing stands beside it: {one.reason}.\n"
        return
    agreeing = one.pair.compared - len(one.pair.differences)
    yield f"{agreeing} of {one.pair.compared} cells agree."
    for side, cells in (
        ("on the embedded testbed", one.pair.only_before),
        ("on the cluster", one.pair.only_after),
    ):
        if cells:
            clients = ", ".join(f"`{name}`" for name in dict.fromkeys(c.client for c in cells))
            yield f" {len(cells)} more were asked {side} only, of {clients}."
    yield "\n\n"
    yield _raw(cells_table(one))


def _raw(table: Table) -> str:
    return f"```{{raw}} html\n{table._repr_html_()}\n```\n"  # what a notebook would show
