"""The page that says where the outputs in this site come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

PAGE = PurePosixPath("chapters/build-status.md")
"""Where the page lies, seen from the book's root."""


@dataclass(frozen=True, slots=True)
class RunStatus:
    """A run in this build: executed for it in so many seconds, or taken as stored.

    `lacking` says which program this machine lacks for it.
    """

    id: str
    seconds: float | None
    lacking: str | None = None


def status_page(runs: Sequence[RunStatus], reason: str | None, machine: str | None) -> str:
    """The text of the page.

    What differs from build to build stands in numbers and literal blocks, which no
    catalogue of translations holds.

    Args:
        runs: every run of the book.
        reason: why the stored outputs are shown; None if the runs were executed. A reason
            other than `BY_HAND` is what a machine said.
        machine: what the runs were executed on; None if they were not.
    """
    rows = "\n".join(f"| {{doc}}`/notebooks/runs/{run.id}` | {_origin(run)} |" for run in runs)
    return (
        "# Build status\n"
        "\n"
        f"{_answer(reason, machine, some_lack=any(run.lacking for run in runs))}\n"
        "\n"
        "| run | outputs shown | seconds |\n"
        "| --- | --- | ---: |\n"
        f"{rows}\n"
        "\n"
        "The outputs that are compared are verdicts, names, addresses and rules. Pictures and\n"
        "versions are not: they belong to the machine that made them.\n"
    )


def every_sentence() -> str:
    """A page with the sentences of all these pages, for those who translate them."""
    executed, stored = RunStatus("claims", 1.0), RunStatus("claims", None)
    pages = (
        status_page([executed], None, "a machine"),
        status_page([stored], BY_HAND, None),
        status_page([stored], "a reason", None),
    )
    return "\n".join((pages[0], *(page.partition("\n")[2] for page in pages[1:])))


def _answer(reason: str | None, machine: str | None, *, some_lack: bool) -> str:
    if reason is None:
        which = (
            "Every run" if not some_lack else "Every run for which this machine has the programs"
        )
        return (
            ":::{admonition} Executed for this build\n"
            ":class: tip\n"
            f"{which} was executed for this build, and shows what the committed run shows. The\n"
            "machine:\n"
            "\n"
            f"{_literal(str(machine))}\n"
            ":::"
        )
    said = reason
    if reason != BY_HAND:
        said = f"The embedded testbed could not run:\n\n{_literal(reason)}"
    return (
        ":::{admonition} Stored outputs\n"
        ":class: warning\n"
        "Nothing was executed for this build. The outputs are the stored ones, which\n"
        "`make notebooks` wrote.\n"
        "\n"
        f"{said}\n"
        ":::"
    )


def _literal(text: str) -> str:
    return f"```text\n{text}\n```"


def _origin(run: RunStatus) -> str:
    if run.seconds is not None:
        return f"executed | {run.seconds:.1f}"
    return "stored |" if run.lacking is None else f"stored: {run.lacking} |"


BY_HAND = (
    "This is what `jupyter-book build .` always does; `make book` executes the runs first "
    "where the machine can."
)
"""Why the committed page says that outputs are stored."""
