"""The two things one does with the book: renew the committed runs, and build the site."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from nbformat import NotebookNode

from nodeport_lab.book import evidence
from nodeport_lab.book.atlas import atlases
from nodeport_lab.book.catalogue import catalogue
from nodeport_lab.book.compare import differences
from nodeport_lab.book.coverage import coverage
from nodeport_lab.book.execute import Executed, execute_all
from nodeport_lab.book.explorer import published
from nodeport_lab.book.figures import FOLDER, figures
from nodeport_lab.book.normalise import dumps
from nodeport_lab.book.render import read
from nodeport_lab.book.reproducibility import (
    BY_HAND,
    FILE,
    PAGE,
    Generation,
    RunStatus,
    data,
    page,
    versions_here,
)
from nodeport_lab.book.runs import RunSpec, load, missing, select
from nodeport_lab.book.site import assemble, build_languages
from nodeport_lab.errors import NotebookError, PrerequisiteError

Say = Callable[[str], None]
"""Takes one line for the person who waits."""

Execute = Callable[[Sequence[RunSpec], Path, Callable[[Executed], None]], Sequence[Executed]]
"""Executes runs in a directory and reports each as it ends."""


def renew_runs(root: Path, say: Say, names: Sequence[str] = ()) -> None:
    """Execute the runs and write them, with their figures, to `notebooks/runs`.

    Args:
        root: the checkout.
        say: receives the progress.
        names: only these runs; all without any. Files of runs that are no longer
            listed are removed when all are renewed.

    Raises:
        PrerequisiteError: the testbed cannot run on this machine; nothing was changed.
        NotebookError: a cell failed; nothing was changed.
        UnknownNameError: there is no such run, template or parameter.
    """
    specs = load(root / "notebooks")
    chosen = select(specs, names)
    target = root / "notebooks" / "runs"
    lacking = _lacking(chosen, say)
    runnable = [spec for spec in chosen if spec.id not in lacking]
    executed = execute_all(runnable, target, _progress(say, len(runnable)))
    kept = _stored(root, [spec for spec in specs if spec not in runnable])
    files = _files(specs, executed, kept)
    pages = {
        **_told(stored(specs)),
        str(evidence.PAGE): evidence.current_page(root).encode(),
    }
    for name, content in {**files, **pages}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    if not names:
        for path in sorted(target.rglob("*")):
            stays = path.relative_to(root).as_posix() in files or path.stem.startswith(
                tuple(lacking)
            )
            if path.is_file() and not stays:
                path.unlink()
    say(f"wrote {len(executed)} run notebooks to {target.relative_to(root)}")


def build_site(root: Path, say: Say, execute: Execute = execute_all) -> Path:
    """Execute the runs into `_build/notebooks` and build the site in `_build/html` from there.

    Where the testbed cannot run, the site shows the stored outputs and says so.

    Args:
        root: the checkout.
        say: receives the progress and what was done.
        execute: how runs are executed.

    Returns:
        The start page.

    Raises:
        NotebookError: a cell failed, compared outputs differ from the committed ones,
            or the site does not build.
    """
    specs = load(root / "notebooks")
    work = root / "_build"
    lacking = _lacking(specs, say)
    runnable = [spec for spec in specs if spec.id not in lacking]
    try:
        executed = execute(runnable, work / "notebooks", _progress(say, len(runnable)))
    except PrerequisiteError as error:
        say(f"the embedded testbed cannot run here: {error}")
        say("the site shows the stored outputs; nothing was executed")
        generation = stored(specs, f"The embedded testbed could not run: {error}.")
        replaced: dict[str, bytes] = {}
    else:
        kept = _stored(root, [spec for spec in specs if spec.id in lacking])
        replaced = _files(specs, executed, kept)
        _keep(executed, work / "notebooks")
        _check(root, executed)
        say("every compared output is the committed one")
        replaced[str(evidence.PAGE)] = evidence.current_page(root).encode()
        generation = _executed(specs, executed, lacking)
    source = work / "source"
    assemble(root, source, {**replaced, **_told(generation)})
    return build_languages(source, root) / "index.html"


def stored(specs: Sequence[RunSpec], reason: str = BY_HAND) -> Generation:
    """A site that shows the stored outputs, for a reason."""
    return Generation([RunStatus(spec.id, None) for spec in specs], reason, {})


def _executed(
    specs: Sequence[RunSpec], executed: Sequence[Executed], lacking: Mapping[str, str]
) -> Generation:
    seconds = {run.spec.id: run.seconds for run in executed}
    runs = [RunStatus(spec.id, seconds.get(spec.id), lacking.get(spec.id)) for spec in specs]
    return Generation(runs, None, versions_here())


def _told(generation: Generation) -> dict[str, bytes]:
    """Path seen from the book's root -> content, of what says where outputs come from."""
    return {str(PAGE): page(generation).encode(), str(FILE): data(generation).encode()}


def _lacking(specs: Sequence[RunSpec], say: Say) -> dict[str, str]:
    """Id of a run that lacks a program here -> the reason, which is said as well."""
    found = {spec.id: reason for spec in specs if (reason := missing(spec)) is not None}
    for run, reason in found.items():
        say(f"{run} is not executed and keeps its stored output: {reason}")
    return found


def _stored(root: Path, specs: Sequence[RunSpec]) -> dict[str, NotebookNode]:
    """Id -> notebook as it is committed, of the runs that have one."""
    target = root / "notebooks" / "runs"
    return {
        spec.id: read(target / spec.filename)
        for spec in specs
        if (target / spec.filename).is_file()
    }


def _files(
    specs: Sequence[RunSpec], executed: Sequence[Executed], kept: Mapping[str, NotebookNode]
) -> dict[str, bytes]:
    """Path seen from the book's root -> content, for runs and what is derived from them.

    Args:
        specs: every run of the list.
        executed: those that were executed.
        kept: id -> notebook of those that were not, and take part in the atlas.
    """
    files: dict[str, bytes] = {}
    derived: dict[str, bytes] = {}
    for run in executed:
        files[f"notebooks/runs/{run.spec.filename}"] = dumps(run.notebook).encode()
        derived |= figures(run.notebook, run.spec.id)
    found = {**kept, **{run.spec.id: run.notebook for run in executed}}
    at_hand = {spec.id: found[spec.id] for spec in specs if spec.id in found}
    derived |= atlases(at_hand)
    derived |= coverage(at_hand) | catalogue()
    snippets = {str(FOLDER / name): content for name, content in derived.items()}
    return files | snippets | published(at_hand)


def _keep(executed: Sequence[Executed], directory: Path) -> None:
    """Write the executed notebooks where a reader can compare them by hand."""
    directory.mkdir(parents=True, exist_ok=True)
    for run in executed:
        (directory / run.spec.filename).write_text(dumps(run.notebook), encoding="utf-8")


def _check(root: Path, executed: Sequence[Executed]) -> None:
    """Hold the executed runs to the committed ones."""
    found: list[str] = []
    for run in executed:
        committed = root / "notebooks" / "runs" / run.spec.filename
        if not committed.is_file():
            found.append(f"{run.spec.id}: there is no committed run")
            continue
        testbed = str(run.spec.parameters.get("testbed", "embedded"))
        found.extend(
            f"{run.spec.id}: {difference}"
            for difference in differences(read(committed), run.notebook, testbed)
        )
    if found:
        raise NotebookError(
            "what was executed is not what is committed; compare _build/notebooks with "
            "notebooks/runs, and run `make notebooks` if the new outputs are right:\n  "
            + "\n  ".join(found)
        )


def _progress(say: Say, total: int) -> Callable[[Executed], None]:
    """One line for each run as it ends."""
    ended = 0

    def report(run: Executed) -> None:
        nonlocal ended
        ended += 1
        say(f"{ended}/{total} {run.spec.id} … {run.seconds:.1f} s")

    return report
